"""Compares a training run of Accord with one of Flower on this machine, and prints both.

    cargo build --release
    python3 tests/bench/flower.py [--workload digits|dense|both] [--rounds N] [--repeats N]
                                  [--accord PATH] [--venv DIR] [--json FILE]

Both train the same network, begun in the same way, on the same rows, in as many rounds, with four trainers.
Accord: four `accord up`, all of which train; the first is the steward. Flower: one `flower-superlink` and four
`flower-supernode` with their defaults, no TLS, and the app in `flower/federated.py`; its pinned version is
installed with pip into a virtual environment. The sides take turns, all on loopback.

It measures, from the end of round 1 to the end of the last: the wall time of each round, its overhead (that
time less local compute) and CPU seconds; and peak memory. Local compute is that of the slowest trainer while
all of them share the cores. Flower's clients time theirs. Accord does not tell its own, so each repeat trains
once more with more epochs and takes it from what those add. What it does not measure: a network, clients of
another kind, or how good the training is; the accuracy only shows that both learn. Accord sends 8 bits a
parameter, encrypted, and keeps all on disk; Flower's FedAvg sends 32 and keeps them in memory. The defaults
take about a quarter of an hour; whatever else the machine does then is in the figures. Linux only.
"""

import argparse
import json
import math
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE / "flower"))
sys.dont_write_bytecode = True
from processes import Failed, Services, adopt_orphans, json_lines

FLOWER = "1.41.0"
TRAINERS = 4
HELD_OUT = slice(1440, None)
ROUND_SECONDS_MAX = 120
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Workload:
    """What is trained. `more_epochs` is what the run that shows Accord's local compute has more."""

    name: str
    sizes: tuple[int, ...]
    rows: int
    epochs: int
    momentum: float
    learning_rate: float
    more_epochs: int
    overhead_asked: int
    batch_size: int = 32

    def parameters(self) -> int:
        return sum((inputs + 1) * outputs for inputs, outputs in zip(self.sizes, self.sizes[1:]))


WORKLOADS = [
    Workload("digits", (64, 64, 10), 360, 3, 0.5, 0.1, 57, 25),
    Workload("dense", (64, 3200, 3200, 10), 32, 1, 0.0, 0.1, 16, 10),
]
RESOURCES_ASKED = 10


def write_tables(folder: Path, workload: Workload) -> None:
    """A part for each trainer, none of them alike, and held-out rows."""
    header, *rows = (ROOT / "node/assets/digits.csv").read_text().splitlines()
    share = HELD_OUT.start // TRAINERS
    tables = {f"part-{at}.csv": rows[at * share :][: workload.rows] for at in range(TRAINERS)}
    for name, part in {**tables, "held-out.csv": rows[HELD_OUT]}.items():
        (folder / name).write_text("\n".join([header, *part]) + "\n")


def environment(folder: Path, more: dict[str, str]) -> dict[str, str]:
    """This process's, without proxies, settings of Accord and the user's own folders."""
    kept = {k: v for k, v in os.environ.items() if not re.search("(?i)^accord_|_proxy$|^xdg_", k)}
    return {**kept, "HOME": str(folder), "NO_COLOR": "1", **more}


# Accord


def accord_run_file(workload: Workload, rounds: int, epochs: int) -> str:
    return f"""name = "bench"
[model]
data = "part-0.csv"
label = "label"
hidden = {list(workload.sizes[1:-1])}
[rounds]
count = {rounds}
updates_min = {TRAINERS}
train_seconds = 600
[local]
epochs = {epochs}
batch_size = {workload.batch_size}
learning_rate = {workload.learning_rate}
momentum = {workload.momentum}
[outer]
optimizer = "average"
[consent]
default = "opt-out"
"""


def start_accord(services: Services, program: Path) -> None:
    """Four nodes, each of which is told of those before it."""
    peers: list[str] = []
    for at in range(TRAINERS):
        name = f"node-{at}"
        known = [word for address in peers for word in ("--peer", address)]
        command = [program, "--json", "up", "--bind", LOOPBACK, "--no-mdns", "--dir", name, *known]
        services.start(name, command)
        ready = services.line(services.folder / f"{name}.out", "a node", lambda line: line.get("event") == "ready")
        peers += ready["addresses"]


def accord(program: Path, folder: Path, workload: Workload, rounds: int, epochs: int) -> dict:
    """One run."""
    write_tables(folder, workload)
    (folder / "run.toml").write_text(accord_run_file(workload, rounds, epochs))
    with Services(folder, environment(folder, {"ACCORD_LOG": "node=info"})) as services:

        def ask(at: int, *words) -> dict:
            return json.loads(services.ask([program, "--json", *words, "--dir", f"node-{at}"]))

        start_accord(services, program)
        run = ask(0, "run", "create", "run.toml")["run"]
        services.watch("watch", [program, "--json", "run", "status", run, "--watch", "--dir", "node-0"])
        services.begin_sampling()
        for at in range(TRAINERS):
            services.until("the run", lambda: any(known["run"] == run for known in ask(at, "run", "status")))
            ask(at, "run", "join", run, "--data", f"part-{at}.csv")
        cpu = cpu_of_rounds(services, folder / "watch.out", rounds)
        view = services.until("a model", lambda: (now := ask(0, "run", "status", run))["published"] and now)
        taken = [len(one["accepted"]) for one in view["history"]]
        if taken != [TRAINERS] * rounds:
            raise Failed(f"updates accepted in each round: {taken}")
        ask(0, "get", "me/bench", "--out", "model")
        parameters = safetensors_parameters(folder / "model/model.safetensors")
        found = ask(0, "eval", "model", "--data", "held-out.csv")["evaluation"]
        ends = [one["certified_ms"] / 1000 for one in view["history"]]
        return {
            "rounds": differences(ends),
            "update_bytes": view["history"][-1]["own"]["update_bytes"],
            **finished(workload, services, cpu, parameters, found["correct"] / found["samples"]),
        }


def safetensors_parameters(path: Path) -> int:
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


# Flower


def install_flower(venv: Path) -> dict[str, str]:
    """Installs Flower where it is not installed yet. Returns versions."""
    python = venv / "bin/python"
    asked = "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in ('flwr', 'numpy')}))"

    def installed() -> dict[str, str]:
        said = subprocess.run([python, "-c", asked], capture_output=True, text=True) if python.exists() else None
        return json.loads(said.stdout) if said and said.returncode == 0 else {}

    if installed().get("flwr") != FLOWER:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"flwr=={FLOWER}"]
        subprocess.run(command, check=True)
    return {"python": ".".join(map(str, sys.version_info[:3])), **installed()}


def flower_app(folder: Path, workload: Workload, rounds: int) -> None:
    """The app's folder, as `flwr run` takes it."""
    app = folder / "app"
    app.mkdir()
    shutil.copy(HERE / "flower/federated.py", app)
    (app / "pyproject.toml").write_text(f"""[project]
name = "bench"
version = "1.0.0"
license = "Apache-2.0"
dependencies = []
[tool.flwr.app]
publisher = "accord"
[tool.flwr.app.components]
serverapp = "federated:server"
clientapp = "federated:client"
[tool.flwr.app.config]
folder = {json.dumps(str(folder))}
sizes = "{"-".join(map(str, workload.sizes))}"
rounds = {rounds}
epochs = {workload.epochs}
batch-size = {workload.batch_size}
learning-rate = {workload.learning_rate}
momentum = {workload.momentum}
""")


def free_ports(count: int) -> list[int]:
    """Flower takes no port 0, so these are looked for, all at once, and let go."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def flower(venv: Path, folder: Path, workload: Workload, rounds: int) -> dict:
    """One run."""
    write_tables(folder, workload)
    flower_app(folder, workload, rounds)
    programs = venv.resolve() / "bin"
    link, *ports = free_ports(1 + TRAINERS)
    home = folder / "flwr-home"
    home.mkdir()
    (home / "config.toml").write_text(f'[superlink.bench]\naddress = "{LOOPBACK}:{link}"\ninsecure = true\n')
    settings = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    with Services(folder, environment(folder, settings)) as services:
        here = ["--insecure", "--host", LOOPBACK, "--port"]
        no_install = "--disable-runtime-dependency-installation"
        services.start("superlink", [programs / "flower-superlink", *here, link, no_install])
        services.until("a SuperLink", lambda: answers(link))
        for at, port in enumerate(ports):
            to = ["--superlink", f"{LOOPBACK}:{link}", "--node-config", f"partition-id={at}"]
            services.start(f"supernode-{at}", [programs / "flower-supernode", *here, port, *to])
        services.begin_sampling()
        services.ask([programs / "flwr", "run", folder / "app", "bench"])
        notes = folder / "server.jsonl"
        cpu = cpu_of_rounds(services, notes, rounds)
        end = services.line(notes, "the end", lambda line: line["event"] in ("finished", "failed"))
        if end["event"] == "failed":
            raise Failed(end["why"])
        ends = [line["at"] for line in json_lines(notes) if line["event"] == "round"]
        clients = [json_lines(folder / f"client-{at}.jsonl") for at in range(TRAINERS)]
        slowest = [max(one["seconds"] for one in of_round) for of_round in zip(*clients, strict=True)]
        return {
            "rounds": differences(ends),
            "compute": slowest[1:],
            "update_bytes": 4 * workload.parameters(),
            **finished(workload, services, cpu, end["parameters"], end["accuracy"]),
        }


# Both


def differences(ends: list[float]) -> list[float]:
    return [after - before for before, after in zip(ends, ends[1:])]


def cpu_of_rounds(services: Services, path: Path, rounds: int) -> list[float]:
    """CPU seconds since the start, at the end of round 1 and of the last."""
    found = []
    for number in (1, rounds):

        def reached(line: dict) -> bool:
            return line.get("event") in ("failed", "finished") or line.get("round", 0) >= number

        services.line(path, f"round {number}", reached, (rounds + 1) * ROUND_SECONDS_MAX)
        found.append(services.cpu_seconds())
    services.end_sampling()
    return found


def finished(workload: Workload, services: Services, cpu: list[float], parameters: int, accuracy: float) -> dict:
    if parameters != workload.parameters():
        raise Failed(f"{parameters} parameters, expected {workload.parameters()}")
    return {
        "cpu_at": cpu,
        "memory_peak_mib": services.memory_peak_bytes / 2**20,
        "processes_most": services.processes_most,
        "accuracy": accuracy,
    }


def repeat(workload: Workload, arguments, venv: Path, flower_first: bool) -> dict:
    """Each side once, and Accord with more epochs."""
    rounds, program = arguments.rounds, arguments.accord.resolve()
    jobs = {
        "accord": lambda folder: accord(program, folder, workload, rounds, workload.epochs),
        "longer": lambda folder: accord(program, folder, workload, rounds, workload.epochs + workload.more_epochs),
        "flower": lambda folder: flower(venv, folder, workload, rounds),
    }
    done = {}
    for name in ("flower", "accord", "longer") if flower_first else ("accord", "longer", "flower"):
        print(f"{workload.name}: {'accord, more epochs' if name == 'longer' else name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
            done[name] = jobs[name](Path(folder))
    ours, longer = done["accord"], done.pop("longer")
    added = statistics.median(longer["rounds"]) - statistics.median(ours["rounds"])
    ours["compute"] = [max(0.0, added * workload.epochs / workload.more_epochs)] * len(ours["rounds"])
    ours["rounds_with_more_epochs"] = longer["rounds"]
    for side in done.values():
        side["overhead"] = [whole - local for whole, local in zip(side["rounds"], side["compute"])]
        side["cpu_per_round"] = [(side["cpu_at"][1] - side["cpu_at"][0]) / (rounds - 1)]
        side["cpu_whole"] = [side["cpu_at"][1]]
        side["memory"] = [side["memory_peak_mib"]]
    return done


def figures(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def print_table(workload: Workload, repeats: list[dict]) -> None:
    rows = [
        ("whole round, s", "rounds", 3, None),
        ("local compute, s", "compute", 3, None),
        ("overhead of a round, s", "overhead", 3, workload.overhead_asked),
        ("CPU seconds a round", "cpu_per_round", 2, RESOURCES_ASKED),
        ("CPU seconds, start included", "cpu_whole", 1, None),
        ("peak memory, MiB", "memory", 0, RESOURCES_ASKED),
    ]
    layers, parameters = "-".join(map(str, workload.sizes)), workload.parameters()
    work = f"epochs: {workload.epochs}, rows at each of {TRAINERS} trainers: {workload.rows}"
    print(f"\n{workload.name}: {layers}, {parameters:,} parameters, {work}; median (min to max)\n")
    print(f"{'':28} {'Accord':>24} {'Flower ' + FLOWER:>24} {'ratio':>7} {'asked':>6}")
    for title, name, digits, asked in rows:
        ours, theirs = ([value for one in repeats for value in one[side][name]] for side in ("accord", "flower"))
        ratio = statistics.median(theirs) / statistics.median(ours) if statistics.median(ours) else math.inf
        print(f"{title:28} {figures(ours, digits):>24} {figures(theirs, digits):>24} {ratio:7.1f} {asked or '-':>6}")
    for title, name, form in (("accuracy", "accuracy", ".1%"), ("bytes of an update", "update_bytes", ",.0f")):
        ours, theirs = (statistics.median(one[side][name] for one in repeats) for side in ("accord", "flower"))
        print(f"{title:28} {ours:>24{form}} {theirs:>24{form}} {'-':>7} {'-':>6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", choices=["digits", "dense", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=8, help="of a run, at least 2; the first is not quoted")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--accord", type=Path, default=ROOT / "target/release/accord")
    parser.add_argument("--venv", type=Path, help="where Flower is or will be installed; else a temporary folder")
    parser.add_argument("--json", type=Path, help="a file for the raw figures")
    arguments = parser.parse_args()
    if arguments.rounds < 2 or arguments.repeats < 1 or not arguments.accord.is_file():
        parser.error("at least 2 rounds and 1 repeat are needed, and a built accord (see --accord)")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    adopt_orphans()
    raw: dict = {"cores": os.cpu_count(), "load_before": os.getloadavg(), "rounds": arguments.rounds}
    with tempfile.TemporaryDirectory(prefix="bench-flower-") as temporary:
        venv = arguments.venv or Path(temporary) / "venv"
        raw["versions"] = install_flower(venv)
        versions = ", ".join(f"{name} {version}" for name, version in raw["versions"].items())
        print(f"{raw['cores']} cores, load {raw['load_before'][0]:.1f}, {versions}", flush=True)
        for workload in (one for one in WORKLOADS if arguments.workload in (one.name, "both")):
            done = [repeat(workload, arguments, venv, at % 2 == 1) for at in range(arguments.repeats)]
            raw[workload.name] = done
            print_table(workload, done)
            if arguments.json:
                arguments.json.write_text(json.dumps(raw, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"flower.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
