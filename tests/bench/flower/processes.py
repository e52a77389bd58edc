"""The processes of one measurement: started, measured, and ended with all that they started.

It measures, from /proc, the CPU time (user and system, processes that have ended included) and the memory of
the processes it started and of all below them. CPU time is as exact as the kernel's ticks, 10 ms a process.
Memory is the sum of each process's own peak (VmHWM) over those alive together, looked at ten times a second;
pages that processes share count once for each. What it does not measure: commands that are run beside
(`ask`, `watch`), the disk and the page cache. Linux only.
"""

import ctypes
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 120
SAMPLE_SECONDS = 0.1
POLL_SECONDS = 0.01
LOG_LINES_SHOWN = 15
TICKS = os.sysconf("SC_CLK_TCK")
SET_PARENT_DEATH_SIGNAL, SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """A run that gave no measurement, and why."""


def adopt_orphans() -> None:
    """What our processes leave behind becomes our child, so that `end_all` finds it."""
    LIBC.prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    LIBC.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def stats() -> dict[int, list[str]]:
    """Of every process: the fields of its stat file from its state on."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path("/proc", entry, "stat").read_text(errors="replace")
            except OSError:
                continue
            found[int(entry)] = text[text.rindex(")") + 2 :].split()
    return found


def below(roots: set[int], all_stats: dict[int, list[str]]) -> set[int]:
    """What `roots` started, directly or not, without them."""
    found, parents = set(), set(roots)
    while parents:
        parents = {pid for pid, fields in all_stats.items() if int(fields[1]) in parents} - found
        found |= parents
    return found


def memory_peak(pid: int) -> int:
    """In bytes; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def end_all() -> None:
    """Ends all that this process started and what that started in turn, and waits for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while children := below({os.getpid()}, stats()):
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                continue
        if time.monotonic() > deadline:
            raise Failed(f"processes do not end: {sorted(children)}")
        time.sleep(POLL_SECONDS)


def json_lines(path: Path) -> list[dict]:
    """The lines that are written whole and are JSON; programs may say other things between."""
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


class Services:
    """Processes that run until the measurement ends."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.folder, self.environment = folder, environment
        self.memory_peak_bytes = 0
        self.processes_most = 0
        self._roots: dict[str, subprocess.Popen] = {}
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Services":
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        end_all()

    def start(self, name: str, command: list) -> None:
        """Starts a process that is measured; it says its lines to `name.out` and `name.log`."""
        self._roots[name] = self._start(name, command, preexec_fn=end_with_parent)

    def watch(self, name: str, command: list) -> None:
        """Starts a process that is not."""
        self._start(name, command)

    def _start(self, name: str, command: list, **more) -> subprocess.Popen:
        with open(self.folder / f"{name}.out", "wb") as out, open(self.folder / f"{name}.log", "wb") as log:
            words = [str(word) for word in command]
            places = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": log, "cwd": self.folder}
            return subprocess.Popen(words, env=self.environment, **places, **more)

    def ask(self, command: list) -> str:
        """Runs a command to its end; returns what it says."""
        words = [str(word) for word in command]
        places = {"stdin": subprocess.DEVNULL, "capture_output": True, "cwd": self.folder}
        done = subprocess.run(words, text=True, env=self.environment, timeout=PATIENCE_SECONDS, **places)
        if done.returncode:
            raise Failed(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def until(self, what: str, found: Callable[[], object], seconds: float = PATIENCE_SECONDS):
        """Asks again and again until something is found; fails when a process ends or time is up."""
        deadline = time.monotonic() + seconds
        while not (answer := found()):
            for name, process in self._roots.items():
                if process.poll() is not None:
                    raise Failed(f"{name} ended while waiting for {what}: {self.said(name)}")
            if time.monotonic() > deadline:
                raise Failed(f"no {what} within {seconds} s: {self.said(*self._roots)}")
            time.sleep(POLL_SECONDS)
        return answer

    def line(self, path: Path, what: str, wanted: Callable[[dict], bool], seconds: float = PATIENCE_SECONDS) -> dict:
        """The first JSON line of a file that is as wanted, once it is there."""
        return self.until(what, lambda: next(filter(wanted, json_lines(path)), None), seconds)

    def said(self, *names: str) -> str:
        """The last lines of processes, for an error."""
        text = ""
        for path in [self.folder / f"{name}.{end}" for name in names for end in ("out", "log")]:
            lines = path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
            text += "".join(f"\n{path.name}: {line}" for line in lines)
        return text

    def cpu_seconds(self) -> float:
        """Of all measured processes since they started."""
        all_stats = stats()
        roots = {process.pid for process in self._roots.values()}
        ticks = [all_stats[pid][11:15] for pid in (roots | below(roots, all_stats)) & all_stats.keys()]
        return sum(int(tick) for four in ticks for tick in four) / TICKS

    def begin_sampling(self) -> None:
        """Looks at memory again and again from now on, beside whatever else happens."""
        self._sampler.start()

    def end_sampling(self) -> None:
        self._stop.set()
        self._sampler.join()
        self._look_at_memory()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._look_at_memory()

    def _look_at_memory(self) -> None:
        roots = {process.pid for process in self._roots.values()}
        pids = roots | below(roots, stats())
        self.memory_peak_bytes = max(self.memory_peak_bytes, sum(map(memory_peak, pids)))
        self.processes_most = max(self.processes_most, len(pids))
