"""Ends the stack's process groups when the supervisor itself was killed.

A parent-death signal reaches only the children, not what they forked, and a signal that is ignored ends nothing. The
guardian is a fork of the supervisor that does nothing but read a pipe: it is told the number of every process group,
and when the pipe closes without a farewell it asks the groups to stop, waits, and kills what is left. It holds the lock
of the data folder all the time, so that a new start cannot meet the remains of the old one.
"""

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable

STOP_SECONDS = 5.0
_QUIET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


class Guardian:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self._groups: dict[int, signal.Signals] = {}
        self._pipe = -1
        self.pid = 0

    def start(self) -> None:
        """Fork the guardian. The supervisor must have one thread; the lock's descriptor is inherited on purpose."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        gc.freeze()  # the collector would touch, and so copy, every page the two share
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(write_end)
                if self._pipe >= 0:
                    os.close(self._pipe)
                _guard(read_end)
            finally:
                os._exit(0)
        os.close(read_end)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = write_end
        for group, stop_signal in self._groups.items():
            self._tell(f"+{group} {int(stop_signal)}\n")

    def watch(self, group: int, stop_signal: signal.Signals) -> None:
        self._groups[group] = stop_signal
        self._tell(f"+{group} {int(stop_signal)}\n")

    def forget(self, group: int) -> None:
        """Must be called before the group's leader is reaped: afterwards the number may belong to somebody else."""
        if self._groups.pop(group, None) is not None:
            self._tell(f"-{group}\n")

    def restart_if_dead(self) -> bool:
        """Fork a new guardian if this one has ended. Returns whether it had."""
        if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self.start()
        return True

    def dismiss(self) -> None:
        """End the guardian and wait for it. All groups have been forgotten by now."""
        os.close(self._pipe)
        self._pipe = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # restart_if_dead() tells everything anew
            os.write(self._pipe, line.encode())


def _guard(pipe: int) -> None:
    """The guardian's life: collect group numbers until the supervisor is gone, then end them."""
    os.setsid()
    for number in _QUIET:
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    groups: dict[int, int] = {}
    with os.fdopen(pipe) as lines:
        for line in lines:
            group, _, stop_signal = line[1:].partition(" ")
            if line[0] == "+":
                groups[int(group)] = int(stop_signal)
            else:
                groups.pop(int(group), None)
    _end(groups)


def _end(groups: dict[int, int]) -> None:
    """Ask every group's leader to stop, the last started first; kill a group when its leader has gone or time is up."""
    for group, stop_signal in reversed(groups.items()):
        _send(os.kill, group, stop_signal)
    deadline = time.monotonic() + STOP_SECONDS
    while groups:
        for group in list(groups):
            if time.monotonic() >= deadline or not _send(os.kill, group, 0):
                _send(os.killpg, group, signal.SIGKILL)
                del groups[group]
        time.sleep(0.05)


def _send(send: Callable[[int, int], None], target: int, number: int) -> bool:
    """Send a signal; false when there is nobody left to take it."""
    try:
        send(target, number)
    except ProcessLookupError:
        return False
    return True
