"""Stacks that run as their own process, and a look at which processes are alive."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = Path(__file__).with_name("programs")
ROOMS = Path(__file__).parents[3]


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def descendants(pid: int) -> set[tuple[int, str]]:
    """(pid, start time) of everything below `pid`: the start time tells a process from a later one of the same number."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append((int(entry.name), fields[19]))
    found: set[tuple[int, str]] = set()
    pending = [pid]
    while pending:
        children = parents.get(pending.pop(), [])
        found.update(children)
        pending.extend(child for child, _ in children)
    return found


def alive(processes: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those that still run; a zombie does not."""
    return {
        (pid, start)
        for pid, start in processes
        if (fields := _stat(pid)) and fields[19] == start and fields[0] not in "ZX"
    }


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Stack:
    """A supervisor in a process of its own."""

    def __init__(self, data_dir: Path, argv: list[str], env: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.seen: set[tuple[int, str]] = set()

    def wait_ready(self, seconds: float = 15) -> None:
        eventually(lambda: self.status() and self.status()["state"] == "running", seconds)
        self.look()

    def look(self) -> set[tuple[int, str]]:
        self.seen |= descendants(self.process.pid)
        return self.seen

    def status(self) -> dict:
        try:
            state = json.loads((self.data_dir / "run" / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return state if state["pid"] == self.process.pid else {}

    def pid_of(self, name: str) -> int:
        return next(process["pid"] for process in self.status()["processes"] if process["name"] == name)

    def events(self) -> list[str]:
        try:
            return (self.data_dir / "events").read_text().splitlines()
        except FileNotFoundError:
            return []

    def log(self, name: str = "supervisor") -> str:
        return (self.data_dir / "log" / f"{name}.log").read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20) -> tuple[int, str]:
        """Send a signal; returns the exit status and what was said to stderr."""
        self.look()
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=seconds)
        return self.process.returncode, stderr

    def clean_up(self) -> None:
        self.look()
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        self.process.wait()
        for pid, _ in alive(self.seen):
            os.kill(pid, signal.SIGKILL)
