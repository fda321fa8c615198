"""One process of the stack: how it is described, and how its life is followed."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from haven_deploy.logs import open_log

PR_SET_PDEATHSIG = 1
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 30.0
STABLE_SECONDS = 60.0  # having run so long, a process starts again with the first back-off

# Loaded here, in the parent: between fork and exec nothing may be imported.
libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Process:
    """What to run.

    name: log file, state and messages call it so.
    env: the whole environment of the process.
    ready: asked again and again until it is true (it may take half a second at most); None: ready when started.
    depends_on: names that must be ready before this one starts, and that are stopped only after it has ended.
    stop_signal, stop_seconds: how it ends on its own, and how long it may take before its group is killed.
    reload_signal: sent when the supervisor gets SIGHUP; None: not reloaded.
    start_seconds: how long it may take until it is ready.
    stale: left-over files, such as sockets, removed before each start.
    niceness: how far, once it is ready, its processor time stands back behind the others' (0 to 19, nice(2)).
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    ready: Callable[[], bool] | None = None
    depends_on: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    reload_signal: signal.Signals | None = None
    start_seconds: float = 60.0
    stale: tuple[Path, ...] = ()
    niceness: int = 0


class Child:
    """The running side of a Process. All methods return at once; the supervisor calls them from one thread.

    State: waiting → starting → running → (backoff → starting …) → stopping → stopped.
    """

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.log = log
        self.state = "waiting"
        self.restarts = 0
        self.since = time.time()
        self.started = 0.0  # monotonic
        self.due = 0.0  # monotonic: when a back-off or the time to stop ends
        self._backoff_seconds = BACKOFF_FIRST_SECONDS
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    def start(self) -> None:
        """Start the program in a session of its own: a Ctrl-C reaches the supervisor alone, and killpg all of it.

        Raises: OSError (no such program, no memory).
        """
        for path in self.process.stale:
            path.unlink(missing_ok=True)
        supervisor = os.getpid()

        def die_with_supervisor() -> None:
            # The signal asks the program to end: a master process then ends its workers. What does not listen is
            # killed by the guardian. If the supervisor died before prctl() there is nobody left to tell us.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != supervisor:
                os._exit(1)

        log = open_log(self.log)
        try:
            self._popen = subprocess.Popen(
                self.process.argv,
                env=dict(self.process.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
                preexec_fn=die_with_supervisor,  # the supervisor has one thread
            )
        finally:
            os.close(log)
        self.started = time.monotonic()
        self.enter("starting")

    def enter(self, state: str) -> None:
        self.state = state
        self.since = time.time()

    def is_ready(self) -> bool:
        return self.process.ready is None or self.process.ready()

    def stand_back(self) -> None:
        """Give way from now on, with all workers: as a group of processes, and as a session where the kernel weighs sessions
        against each other and processes only within one (sched(7), autogroup)."""
        if self._popen is None or not self.process.niceness:
            return
        with contextlib.suppress(OSError):  # it has just ended, or the kernel has no such weights
            os.setpriority(os.PRIO_PGRP, self._popen.pid, self.process.niceness)
            Path(f"/proc/{self._popen.pid}/autogroup").write_text(str(self.process.niceness))

    def has_ended(self) -> bool:
        """Whether the leader has ended. Leaves it a zombie, so that its number stays its own until reap()."""
        if self._popen is None:
            return False
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap(self) -> int:
        """Kill what is left of an ended leader's group, reap the leader, return its exit status (negative: signal).

        In this order: while the leader is a zombie its number, and so its group's, cannot be given to anybody else.
        """
        assert self._popen is not None
        self.signal_group(signal.SIGKILL)
        status = self._popen.wait()
        self._popen = None
        return status

    def back_off(self) -> float:
        """Put off the next start: by 0.5 s, doubling to 30 s, anew after a minute's run. Returns the seconds."""
        now = time.monotonic()
        if now - self.started >= STABLE_SECONDS:
            self._backoff_seconds = BACKOFF_FIRST_SECONDS
        seconds = self._backoff_seconds
        self._backoff_seconds = min(seconds * 2, BACKOFF_MAX_SECONDS)
        self.due = now + seconds
        self.restarts += 1
        self.enter("backoff")
        return seconds

    def ask_to_stop(self) -> None:
        """Send the stop signal to the leader, which knows how to end its workers."""
        self.due = time.monotonic() + self.process.stop_seconds
        if self._popen is None:
            self.enter("stopped")
            return
        self.enter("stopping")
        self._popen.send_signal(self.process.stop_signal)

    def send(self, number: signal.Signals) -> None:
        if self._popen is not None:
            self._popen.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        if self._popen is not None:
            with contextlib.suppress(ProcessLookupError):  # all of it has ended
                os.killpg(self._popen.pid, number)


def tcp_accepts(host: str, port: int) -> Callable[[], bool]:
    """A readiness check: somebody accepts connections there. Wildcard addresses are asked by loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104

    def check() -> bool:
        try:
            socket.create_connection((host, port), timeout=0.5).close()
        except OSError:
            return False
        return True

    return check


def answers(path: Path, request: bytes, expected: bytes) -> Callable[[], bool]:
    """A readiness check on a Unix socket: the answer to `request` begins with `expected`.

    A connection alone proves nothing: masters listen before their workers have loaded the application.
    """

    def check() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(0.5)
            try:
                client.connect(str(path))
                client.sendall(request)
                return client.recv(len(expected)) == expected
            except OSError:
                return False

    return check


def http_answers(path: Path, target: str) -> Callable[[], bool]:
    """A readiness check: an HTTP server on a Unix socket answers, with whatever status."""
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    return answers(path, request, b"HTTP/1.1 ")
