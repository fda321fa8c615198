"""Stacks that run as their own process, and a look at which processes are alive."""

import contextlib
import http.client
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
CONTENT = bytes(number % 251 for number in range(2048))
DIGEST = "sha256:" + "ab" * 32
BLOB = f"/v2/team/app/blobs/{DIGEST}"
"""Of the stand-in product: a blob whose bytes are CONTENT."""


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
    """(pid, start time) of everything below `pid`; the time tells a process from a later one of the same number."""
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


def group_of(pid: int) -> int:
    """The process group, 0 when the process has ended."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


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
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> dict:
        return json.loads(self.body)

    def error_code(self) -> str:
        """The code of an answer that is a whole error envelope."""
        assert self.headers.get_all("Content-Type") == ["application/json"]
        (error,) = self.json()["errors"]
        assert set(error) == {"code", "message", "detail"}
        return error["code"]


class Embedded(Stack):
    """The embedded stack, asked through its port."""

    port: int

    def ask(self, target: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
        """Header names are written with underscores."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body=body, headers=named, encode_chunked=True)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def send_raw(self, data: bytes) -> Answer:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return Answer(response)
