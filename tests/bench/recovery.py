"""How long a node that was killed with `kill -9` takes until it trains again.

Usage: python3 tests/bench/recovery.py [--program target/release/accord] [--kills 100] [--seed 0]

A steward and three trainers on loopback train one long run on the digits. Again and again a trainer is
killed at a random moment and started again. Measured is the time from its start until a round is certified
that counts an update which it made after it started; what one local epoch of its data takes is measured
beside it, from its own notes of rounds that go on undisturbed. Prints the median, the 95th percentile and
the longest, and one line of JSON.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = 400
ROUNDS = 1_000_000


class Node:
    """A node on loopback, found by its directory."""

    def __init__(self, program, folder, name):
        self.program, self.folder, self.name = program, folder, name
        self.process, self.addresses = None, []

    def start(self, peers):
        environment = dict(os.environ, HOME=str(self.folder), ACCORD_LOG="error", NO_COLOR="1")
        command = [self.program, "--json", "up", "--bind", "127.0.0.1", "--no-mdns", "--while-input-open"]
        command += ["--dir", self.name] + [word for peer in peers for word in ("--peer", peer)]
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ready = json.loads(self.process.stdout.readline())
        self.addresses = ready["addresses"]
        return ready

    def ask(self, *words):
        command = [self.program, "--json", *words, "--dir", self.name]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        if done.returncode:
            sys.exit(f"{self.name} {words}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def kill(self):
        self.process.kill()
        self.process.wait()


def tables(folder):
    lines = (ROOT / "node/assets/digits.csv").read_text().splitlines()
    for at in range(3):
        part = lines[1 + at * ROWS : 1 + (at + 1) * ROWS]
        (folder / f"part-{at}.csv").write_text("\n".join([lines[0], *part]) + "\n")


def begin(program, folder):
    tables(folder)
    (folder / "run.toml").write_text(
        f'name = "digits"\n[rounds]\ncount = {ROUNDS}\nupdates_min = 2\ntrain_seconds = 1.0\nagree_ms = 200\n'
        "[admission]\nprobation_rounds = 0\n[local]\nepochs = 1\n"
        '[model]\ndata = "part-0.csv"\nlabel = "label"\n[consent]\ndefault = "opt-out"\n'
    )
    nodes = [Node(program, folder, name) for name in ("steward", "one", "two", "three")]
    for at, node in enumerate(nodes):
        node.key = node.start([a for other in nodes[:at] for a in other.addresses[:1]])["node"]
    run = nodes[0].ask("run", "create", "run.toml")["run"]
    for at, node in enumerate(nodes[1:]):
        while not any(known["run"] == run for known in node.ask("run", "status")):
            time.sleep(0.02)
        node.ask("run", "join", run, "--data", f"part-{at}.csv")
    return nodes, run


def newest(steward, run):
    return steward.ask("run", "members", run)["members"]


def standing(view, key):
    return next((m["accepted"] for m in view["members"] if m["trainer"] == key), 0)


def recovery(nodes, run, dice):
    """Kills one trainer and starts it again; seconds until an update of it counts."""
    steward, trainers = nodes[0], nodes[1:]
    victim = dice.choice(trainers)
    time.sleep(dice.uniform(0, 0.4))
    victim.kill()
    # What was on its way when it died does not count as training again.
    time.sleep(0.3)
    before = standing(newest(steward, run), victim.key)
    started = time.monotonic()
    victim.start([steward.addresses[0]])
    while standing(newest(steward, run), victim.key) == before:
        if time.monotonic() - started > 60:
            sys.exit(f"{victim.name} does not come back")
        time.sleep(0.01)
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--program", default=str(ROOT / "target/release/accord"))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        nodes, run = begin(str(Path(options.program).resolve()), Path(folder))
        try:
            while newest(nodes[0], run)["round"] < 5:
                time.sleep(0.02)
            first = newest(nodes[0], run)["round"]
            time.sleep(3)
            round_seconds = 3 / max(1, newest(nodes[0], run)["round"] - first)
            times = []
            for kill in range(options.kills):
                times.append(recovery(nodes, run, dice))
                if sys.stderr.isatty():
                    print(f"\r{kill + 1} of {options.kills}", end="", file=sys.stderr)
        finally:
            for node in nodes:
                node.kill()
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    found = {
        "kills": len(times), "median_s": round(statistics.median(times), 2), "p95_s": round(at(0.95), 2),
        "longest_s": round(times[-1], 2), "undisturbed_round_s": round(round_seconds, 3), "seed": options.seed,
    }
    print(f"training again after kill -9, {len(times)} times: median {found['median_s']} s, "
          f"95th percentile {found['p95_s']} s, longest {found['longest_s']} s; "
          f"an undisturbed round takes {found['undisturbed_round_s']} s")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
