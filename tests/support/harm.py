"""A stack to do harm to: its processes by name, its end and its return, and the question whether anything was lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from tests.support import stack as stacks
from tests.support.client import RegistryClient

PASSWORD = "Faults-must-lose-nothing-1"
SETTLE = Path(__file__).resolve().parents[1] / "faults" / "programs" / "settle.py"
COMMAND_LIMIT = 120.0  # seconds


class HarmedStack:
    """`haven up` in one data folder, again and again."""

    def __init__(
        self, folder: Path, *, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> None:
        """folder: holds the data folder; its path must be short, sockets lie below it."""
        self.data_dir = folder / "data"
        self.environment = {"HAVEN_ADMIN_PASSWORD": PASSWORD, **(environment or {})}
        self.arguments = tuple(arguments)
        self.server: stacks.HavenServer | None = None

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> HarmedStack:
        self.server = stacks.start(self.data_dir, environment=self.environment, arguments=self.arguments)
        self.server.admin_password = PASSWORD
        return self

    def stop(self) -> None:
        if self.server is not None:
            stacks.stop(self.server)
            self.server = None

    def kill_everything(self) -> None:
        """kill -9 of the supervisor, its guardian and all below, as nearly at once as can be: a power cut of processes."""
        for pid in self._server.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._server.process is not None
        self._server.process.wait(10)
        self.server = None

    @property
    def _server(self) -> stacks.HavenServer:
        assert self.server is not None, "the stack is not running"
        return self.server

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self._server.host_port.rpartition(":")
        return host, int(port)

    def client(self, timeout: float = 60) -> RegistryClient:
        return RegistryClient(self.url, stacks.ADMIN, PASSWORD, timeout=timeout)

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._server.api(method, path, **options)

    def create_project(self, name: str) -> str:
        return self._server.create_project(name)

    @property
    def pids(self) -> list[int]:
        return self._server.pids

    # -- processes -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, dict[str, Any]]:
        """What the supervisor says of each process."""
        text = (self.data_dir / "run" / "state.json").read_text()
        return {process["name"]: process for process in json.loads(text)["processes"]}

    def pid_of(self, name: str) -> int:
        pid = self.state()[name]["pid"]
        assert pid, f"{name} is not running"
        return int(pid)

    def workers_of(self, name: str) -> list[int]:
        """The processes below the named one that serve: with the application loaded and the socket at hand."""
        return [pid for pid in stacks._family(self.pid_of(name))[1:] if not _is_helper(pid)]

    def writer_of(self, suffix: str = ".upload") -> int | None:
        """The uploads worker that has a staged file open."""
        for pid in self.workers_of("uploads"):
            if any(target.endswith(suffix) for target in open_files(pid)):
                return pid
        return None

    def wait_running(self, *names: str, seconds: float = 30) -> None:
        """Until the supervisor has these (or all) processes running and the registry answers through the gateway."""

        def is_up() -> bool:
            found = self.state()
            return all(found[name]["state"] == "running" for name in names or found) and _pings(self.url)

        eventually(is_up, seconds)

    # -- nothing lost --------------------------------------------------------------------------------------------

    def command(
        self, *words: str, extra: Mapping[str, str] | None = None, limit: float = COMMAND_LIMIT
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the stack's surroundings, for `limit` seconds at most."""
        environment = stacks.child_environment(
            {**self.environment, "HAVEN_DATA_DIR": str(self.data_dir), **(extra or {})}
        )
        return subprocess.run(
            [sys.executable, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def assert_clean(self) -> None:
        """`haven fsck`: rows and bytes."""
        done = self.command("-m", "haven_project.cli", "fsck", "--data", str(self.data_dir))
        assert done.returncode == 0, f"fsck found damage:\n{done.stdout}\n{done.stderr}"

    def settle(self, *words: str) -> dict[str, Any]:
        """Reap every open upload, sweep every dead key, require fsck to be clean, and tell what is there; with nobody
        pushing. words: settle.py's arguments.

        sessions: rows of uploads left. staged: staged bytes in the storage. unknown: stored keys without a row.
        objects: published keys. live: keys the database calls live, or
        dead but for a grace that downloads have."""
        done = self.command(str(SETTLE), *words, extra={"HAVEN_UPLOAD_TTL_HOURS": "0"})
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return found

    def assert_settled(self, *words: str) -> dict[str, Any]:
        """No session, no staged byte, no key without its row, no row without its bytes remains. words: as settle's."""
        found = self.settle(*words)
        assert (found["sessions"], found["staged"], found["unknown"]) == (0, [], []), found
        assert set(found["objects"]) ^ set(found["live"]) == set()
        return found


def eventually(condition: Callable[[], object], seconds: float = 15, pause: float = 0.05) -> None:
    """Wait for it; a condition that can't be asked yet counts as not true yet."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError, ValueError, KeyError, AssertionError, requests.RequestException):
            if condition():
                return
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(pause)


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def seconds_old(pid: int) -> float:
    """Seconds since the process began; 0 when it is gone."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            found.append(str(link.readlink()))
    return found


def rss_bytes(pid: int) -> int:
    """Resident memory; 0 when the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _is_helper(pid: int) -> bool:
    return "resource_tracker" in command_line(pid) or not command_line(pid)


def _pings(url: str) -> bool:
    return requests.get(f"{url}/v2/", timeout=5).status_code == 401
