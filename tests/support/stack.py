"""A running Haven to test against: the product's own `up`, as a user starts it, in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.client import RegistryClient

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 120.0  # seconds; a loaded machine migrates slowly
STOP_LIMIT = 40.0
ADMIN = "admin"


class StackError(Exception):
    """The stack did not come up, or not down; the text holds the end of what it printed."""


@dataclass
class HavenServer:
    """A registry under test. `external`: one this run did not start, perhaps not Haven (--registry)."""

    url: str
    host_port: str
    admin_user: str
    admin_password: str
    data_dir: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    @property
    def external(self) -> bool:
        return self.process is None

    @property
    def pid(self) -> int | None:
        """The supervisor."""
        return self.process.pid if self.process else None

    @property
    def pids(self) -> list[int]:
        """The supervisor and everything below it, by /proc."""
        return _family(self.process.pid) if self.process else []

    def client(self, username: str | None = None, password: str | None = None) -> RegistryClient:
        """A client of this user, or of the administrator."""
        if username is None:
            return RegistryClient(self.url, self.admin_user, self.admin_password)
        return RegistryClient(self.url, username, password)

    def anonymous(self) -> RegistryClient:
        return RegistryClient(self.url)

    def api(self, method: str, path: str, **options: object) -> requests.Response:
        """A request to /api/v2.0 as the administrator."""
        options = {"auth": (self.admin_user, self.admin_password), "timeout": 30, **options}
        return requests.request(method, f"{self.url}/api/v2.0{path}", **options)  # type: ignore[arg-type]

    def create_project(self, name: str, *, public: bool = False) -> str:
        """Returns the name. On a registry that has no projects the first push makes the repository."""
        answer = self.api("POST", "/projects", json={"project_name": name, "metadata": {"public": str(public).lower()}})
        if answer.status_code != 201 and not (self.external and answer.status_code == 404):
            raise AssertionError(f"POST /projects {name} -> {answer.status_code} {answer.text[:400]}")
        return name


def external_server(spec: str) -> HavenServer:
    """`url,user,password` of a running registry."""
    url, user, password = spec.split(",", 2)
    return HavenServer(url.rstrip("/"), url.rstrip("/").split("://", 1)[1], user, password)


@contextmanager
def running_haven(
    *,
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    data_dir: Path | None = None,
) -> Iterator[HavenServer]:
    """`haven up` until the block ends. HAVEN_* variables of this run are passed on, `environment` goes over them.

    Without `data_dir` a temporary folder is used and removed; with one it is kept, to be started on again."""
    if data_dir is not None:
        yield from _serve(data_dir, environment or {}, arguments)
        return
    with tempfile.TemporaryDirectory(prefix="haven-") as folder:  # a short path: sockets lie in it
        yield from _serve(Path(folder) / "data", environment or {}, arguments)


def _serve(data_dir: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> Iterator[HavenServer]:
    server = start(data_dir, environment=environment, arguments=arguments)
    try:
        yield server
    finally:
        stop(server)


def start(
    data_dir: Path, *, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> HavenServer:
    """Start it and wait until it is ready. StackError with the log's end when it exits or stays silent."""
    host_port = f"127.0.0.1:{free_port()}"
    password = "Test-" + os.urandom(9).hex() + "A1"
    log = data_dir.parent / f"{data_dir.name}.log"
    command = [sys.executable, "-m", "haven_project.cli", "up", "--data", str(data_dir), "--listen", host_port]
    with log.open("wb") as output:  # anew: the last start's "ready" says nothing about this one
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment({"HAVEN_ADMIN_PASSWORD": password, **(environment or {})}),
            cwd=data_dir.parent,
        )
    scheme = "https" if "--tls" in arguments else "http"
    server = HavenServer(f"{scheme}://{host_port}", host_port, ADMIN, password, data_dir, process, log)
    try:
        _wait_ready(server)
    except BaseException:
        stop(server)
        raise
    return server


def stop(server: HavenServer) -> None:
    """End it as Ctrl-C does. StackError when it, or a process below it, is left after STOP_LIMIT; those are killed."""
    assert server.process is not None, "a registry this run did not start is not stopped by it"
    started = {pid: _birth(pid) for pid in server.pids}
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_LIMIT
    while left := [pid for pid, birth in started.items() if birth and _birth(pid) == birth]:
        server.process.poll()  # a child that ended is a process until it is waited for
        if time.monotonic() > deadline:
            for pid in left:
                _kill(pid)
            server.process.wait(10)
            raise StackError(f"left {STOP_LIMIT:.0f} s after SIGINT: processes {left}\n{_tail(server)}")
        time.sleep(0.05)
    server.process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what configures the tests; the worktree's packages are importable."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HAVEN_TEST_")}
    inherited.pop("DJANGO_SETTINGS_MODULE", None)
    inherited.pop("HAVEN_DATA_DIR", None)
    packages = sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})
    paths = [*packages, *filter(None, [inherited.get("PYTHONPATH")])]
    return {**inherited, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", **extra}


def _wait_ready(server: HavenServer) -> None:
    """Ready is what the process says it is: a line with that word, and then an answer to ping."""
    assert server.process is not None
    assert server.log is not None
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise StackError(f"haven up ended with status {server.process.returncode}:\n{_tail(server)}")
        if b"ready" in server.log.read_bytes().lower():
            try:
                if requests.get(f"{server.url}/api/v2.0/ping", timeout=5, verify=False).status_code == 200:
                    return
            except requests.RequestException:
                pass
        time.sleep(0.1)
    raise StackError(f"haven up was not ready within {START_LIMIT:.0f} s:\n{_tail(server)}")


def _tail(server: HavenServer) -> str:
    parts = [server.log] if server.log else []
    if server.data_dir:
        parts += sorted((server.data_dir / "log").glob("*.log"))
    texts = [f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in parts if path.exists()]
    return "\n".join(texts)


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it ended while we looked
            continue
        for child in children:
            found += _family(int(child))
    return found


def _birth(pid: int) -> str | None:
    """When the process was started, in clock ticks since boot: a pid may be another process's by now."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
