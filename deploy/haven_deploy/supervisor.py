"""Starts the processes of the stack in order, keeps them alive, and ends them all.

No process outlives the supervisor, however it ends:
  * asked to stop: each process in turn, dependents first; what does not end in its time is killed with its whole group;
  * kill -9: the parent-death signal asks every child to stop, and the guardian kills the groups that do not;
  * a process that left its group (setsid) is re-parented to the supervisor, a child subreaper, and killed at the end.
"""

import contextlib
import json
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from haven_deploy.data_dir import DataDirLock, write_atomically
from haven_deploy.errors import StartFailed
from haven_deploy.guardian import Guardian
from haven_deploy.logs import rotate_logs
from haven_deploy.processes import Child, Process, libc

PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.1  # while something is starting or stopping
IDLE_SECONDS = 10.0  # between looks at the size of the logs

logger = logging.getLogger("haven.supervisor")


class Supervisor:
    """Runs `processes` until it is told to stop. One at a time, in the only thread of its process."""

    def __init__(self, processes: Sequence[Process], data_dir: Path) -> None:
        """data_dir: prepared by prepare_data_dir(). Raises ValueError when a dependency is not named earlier."""
        names: set[str] = set()
        for process in processes:
            if process.name in names or not names.issuperset(process.depends_on):
                raise ValueError(f"{process.name}: named twice, or depends on a process that is not named before it")
            names.add(process.name)
        self._data_dir = data_dir
        self._children = [Child(process, data_dir / "log" / f"{process.name}.log") for process in processes]
        self._guardian = Guardian()
        self._signals: list[int] = []
        self._phase = "starting"
        self._stop_requests = 0
        self._started_at = time.time()
        self._next_rotation = 0.0
        self._written_state = ""

    def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Start everything, call `on_ready` once all are ready, and stay until SIGINT or SIGTERM; then stop everything.

        on_ready: runs between start and supervision; signals wait for its end; its exception stops the stack.
        SIGHUP passes on to the processes that have a reload signal. A second SIGINT or SIGTERM kills without waiting.
        Raises: AlreadyRunning; StartFailed when a process fails before the stack was complete.
        """
        lock = DataDirLock(self._data_dir).acquire()
        try:
            with _Signals(self._signals) as signals:
                self._guardian.start()
                try:
                    self._run(signals, on_ready)
                finally:
                    self._stop(signals)
                    self._guardian.dismiss()
        finally:
            lock.release()

    def _run(self, signals: "_Signals", on_ready: Callable[[], None] | None) -> None:
        logger.info("supervisor_started pid=%d", os.getpid())
        while not self._stop_requests:
            self._follow_children()
            self._start_due()
            if self._phase == "starting" and all(child.state == "running" for child in self._children):
                self._phase = "running"
                self._write_state()
                logger.info("stack_ready seconds=%.1f", time.time() - self._started_at)
                if on_ready:
                    on_ready()
            self._rotate_logs()
            self._write_state()
            signals.wait(self._seconds_to_wait())
            self._take_signals()

    def _take_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGINT, signal.SIGTERM):
                self._stop_requests += 1
                logger.info("stop_requested signal=%s", signal.Signals(number).name)
            elif number == signal.SIGHUP:
                for child in self._children:
                    if child.process.reload_signal:
                        logger.info("process_reloaded name=%s", child.process.name)
                        child.send(child.process.reload_signal)

    def _follow_children(self) -> None:
        if self._guardian.restart_if_dead():
            logger.warning("guardian_restarted")
        for child in self._children:
            if child.has_ended():
                status = self._reap(child)
                if self._phase == "starting":
                    raise StartFailed(child.process.name, f"ended at once ({_describe(status)})", child.log)
                seconds = child.back_off()
                logger.warning(
                    "process_crashed name=%s %s restart_in_seconds=%.1f", child.process.name, _describe(status), seconds
                )
            elif child.state == "starting":
                self._follow_start(child)
        _reap_orphans(self._known_pids())

    def _follow_start(self, child: Child) -> None:
        if child.is_ready():
            child.enter("running")
            logger.info("process_ready name=%s pid=%s", child.process.name, child.pid)
            child.stand_back()
        elif time.monotonic() - child.started > child.process.start_seconds:
            if self._phase == "starting":
                reason = f"was not ready within {child.process.start_seconds:.0f} s"
                raise StartFailed(child.process.name, reason, child.log)
            logger.warning("process_never_ready name=%s", child.process.name)
            child.signal_group(signal.SIGKILL)  # the next look finds it ended, and backs off

    def _start_due(self) -> None:
        running = {child.process.name for child in self._children if child.state == "running"}
        for child in self._children:
            due = (child.state == "waiting" and running.issuperset(child.process.depends_on)) or (
                child.state == "backoff" and time.monotonic() >= child.due
            )
            if due:
                self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            if self._phase == "starting":
                reason = f"cannot be started ({error.strerror})"
                raise StartFailed(child.process.name, reason, child.log) from error
            logger.warning("process_not_started name=%s reason=%s", child.process.name, error.strerror)
            child.back_off()
            return
        assert child.pid is not None
        self._guardian.watch(child.pid, child.process.stop_signal)
        logger.info("process_started name=%s pid=%d", child.process.name, child.pid)

    def _reap(self, child: Child) -> int:
        assert child.pid is not None
        self._guardian.forget(child.pid)
        return child.reap()

    def _stop(self, signals: "_Signals") -> None:
        """Stop all, each after its dependents. Bounded by the sum of stop_seconds along a chain of dependencies."""
        self._phase = "stopping"
        logger.info("stack_stopping")
        while any(child.state != "stopped" for child in self._children):
            self._take_signals()
            self._guardian.restart_if_dead()
            needed = {name for child in self._children if child.state != "stopped" for name in child.process.depends_on}
            for child in reversed(self._children):
                self._stop_one(child, is_needed=child.process.name in needed)
            self._write_state()
            if any(child.state != "stopped" for child in self._children):
                signals.wait(POLL_SECONDS)
        _kill_descendants(self._guardian.pid)
        logger.info("supervisor_stopped")

    def _stop_one(self, child: Child, *, is_needed: bool) -> None:
        if child.has_ended():
            status = self._reap(child)
            logger.info("process_stopped name=%s %s", child.process.name, _describe(status))
            child.enter("stopped")
        elif child.state == "stopping":
            if self._stop_requests > 1 or time.monotonic() >= child.due:
                logger.warning("process_killed name=%s", child.process.name)
                child.signal_group(signal.SIGKILL)
        elif child.state != "stopped" and not is_needed:
            child.ask_to_stop()

    def _seconds_to_wait(self) -> float:
        if self._phase == "starting" or any(child.state == "starting" for child in self._children):
            return POLL_SECONDS
        now = time.monotonic()
        dues = [child.due - now for child in self._children if child.state == "backoff"]
        return max(0.0, min([*dues, IDLE_SECONDS]))

    def _rotate_logs(self) -> None:
        if time.monotonic() >= self._next_rotation:
            self._next_rotation = time.monotonic() + IDLE_SECONDS
            try:
                rotate_logs(self._data_dir / "log")
            except OSError as error:  # a full disk must not end the stack
                logger.warning("logs_not_rotated reason=%s", error.strerror)

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "started_at": self._started_at,
            "state": self._phase,
            "processes": [
                {
                    "name": child.process.name,
                    "state": child.state,
                    "pid": child.pid,
                    "restarts": child.restarts,
                    "since": child.since,
                }
                for child in self._children
            ],
        }
        text = json.dumps(state, indent=1)
        if text != self._written_state:
            with contextlib.suppress(OSError):  # a full disk must not end the stack
                write_atomically(self._data_dir / "run" / "state.json", text)
                self._written_state = text

    def _known_pids(self) -> set[int]:
        return {self._guardian.pid, *(child.pid for child in self._children if child.pid)}


class _Signals:
    """Collects signals into a list and wakes wait(). Handlers and the wake-up pipe are put back at the end."""

    def __init__(self, received: list[int]) -> None:
        self._received = received

    def __enter__(self) -> "_Signals":
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._old_wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        self._old_handlers = {
            number: signal.signal(number, self._receive)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        }
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._read_end)
        os.close(self._write_end)

    def wait(self, seconds: float) -> None:
        if select.select([self._read_end], [], [], seconds)[0]:
            os.read(self._read_end, 4096)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._received.append(number)


def _describe(status: int) -> str:
    return f"signal={signal.Signals(-status).name}" if status < 0 else f"exit_status={status}"


def _own_children() -> list[int]:
    """Pids of all children, adopted ones included, from /proc."""
    own = str(os.getpid())
    pids = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(entry.path, "stat").read_text()
                if stat.rpartition(")")[2].split()[1] == own:
                    pids.append(int(entry.name))
    return pids


def _reap_orphans(known: set[int]) -> None:
    """Reap adopted children that have ended; the known ones are left to their owners."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in known:
                return
            os.waitpid(ended.si_pid, 0)


def _kill_descendants(spared: int) -> None:
    """Kill what escaped its process group; each round adopts, and then kills, the children of the killed."""
    for _ in range(100):
        remaining = [pid for pid in _own_children() if pid != spared]
        if not remaining:
            return
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
