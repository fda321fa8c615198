"""What a command line needs: run the stack, stop it from another terminal, ask how it is."""

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from haven_deploy.data_dir import is_locked, lock_holder
from haven_deploy.errors import AlreadyRunning, NotRunning, StillRunning
from haven_deploy.guardian import STOP_SECONDS
from haven_deploy.logs import open_log
from haven_deploy.processes import Process
from haven_deploy.supervisor import Supervisor


@dataclass(frozen=True)
class ProcessStatus:
    """state: waiting, starting, running, backoff, stopping or stopped. since: seconds since the epoch."""

    name: str
    state: str
    pid: int | None
    restarts: int
    since: float


@dataclass(frozen=True)
class StackStatus:
    """state: starting, running or stopping. pid: the supervisor's. started_at: seconds since the epoch."""

    pid: int
    state: str
    started_at: float
    processes: tuple[ProcessStatus, ...]


def run_foreground(
    data_dir: Path,
    processes: Sequence[Process],
    *,
    on_ready: Callable[[], None] | None = None,
    echo: bool = False,
) -> None:
    """Run the stack until SIGINT or SIGTERM (see Supervisor.run). The supervisor's log is DATA/log/supervisor.log.

    After a kill -9 of an earlier supervisor its guardian may still be clearing up; it is waited for.
    echo: log to stderr too. Raises: AlreadyRunning, StartFailed.
    """
    wait_for_guardian(data_dir)
    log = logging.getLogger("haven.supervisor")
    log.setLevel(logging.INFO)
    log.propagate = False
    os.close(open_log(data_dir / "log" / "supervisor.log"))  # made here, so that it is 0600
    handlers: list[logging.Handler] = [logging.FileHandler(data_dir / "log" / "supervisor.log")]
    if echo:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    try:
        Supervisor(processes, data_dir).run(on_ready)
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def wait_for_guardian(data_dir: Path, timeout_seconds: float = STOP_SECONDS + 5) -> None:
    """Wait until the remains of a killed supervisor are gone. Raises AlreadyRunning at once when it is alive."""
    deadline = time.monotonic() + timeout_seconds
    while is_locked(data_dir):
        pid = lock_holder(data_dir)
        if pid is None or _is_alive(pid) or time.monotonic() >= deadline:
            raise AlreadyRunning(data_dir, pid)
        time.sleep(0.1)


def stop(data_dir: Path, timeout_seconds: float = 60) -> None:
    """Ask the running stack to stop and wait until it, and everything it started, is gone.

    Raises: NotRunning; StillRunning after the timeout (the stack goes on stopping).
    """
    pid = lock_holder(data_dir)
    if pid is None or not is_locked(data_dir):
        raise NotRunning(data_dir)
    with contextlib.suppress(ProcessLookupError):  # killed: its guardian is ending the rest
        descriptor = os.pidfd_open(pid)
        try:
            # The lock is asked again with the process in hand, lest the number be somebody else's by now.
            if is_locked(data_dir) and lock_holder(data_dir) == pid:
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        finally:
            os.close(descriptor)
    deadline = time.monotonic() + timeout_seconds
    while is_locked(data_dir) and lock_holder(data_dir) == pid:
        if time.monotonic() >= deadline:
            raise StillRunning(data_dir, timeout_seconds)
        time.sleep(0.1)


def read_status(data_dir: Path) -> StackStatus | None:
    """How the stack is, or None when it is not running."""
    if not is_locked(data_dir):
        return None
    try:
        state = json.loads((data_dir / "run" / "state.json").read_text())
    except FileNotFoundError:
        return None
    if state["pid"] != lock_holder(data_dir):
        return None  # left by an earlier run; this one has not written its own yet
    processes = tuple(ProcessStatus(**process) for process in state["processes"])
    return StackStatus(state["pid"], state["state"], state["started_at"], processes)


def _is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
