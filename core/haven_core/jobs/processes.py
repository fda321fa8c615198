"""Which process works on a task, so that its end is noticed before the lease runs out."""

import os
from functools import lru_cache
from pathlib import Path


def own_process() -> str:
    """Names this process among all that ever ran: machine and boot, container, pid, moment of its start. '' where there is no
    /proc (proc(5), pid_namespaces(7))."""
    pid = os.getpid()
    started = _started(pid)
    return f"{_place()}/{pid}/{started}" if started and _place() else ""


def has_ended(process: str) -> bool:
    """Whether the process of that name was one of this container, and is no more. False when that can't be known."""
    place, _, rest = process.rpartition("/")
    place, _, pid = place.rpartition("/")
    return bool(place) and place == _place() and _started(int(pid)) != rest


@lru_cache(maxsize=1)
def _place() -> str:
    """The boot of this machine, and the pid namespace: the first has the same number everywhere."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When the process began, in ticks since the boot; '' when there is none, or a dead one that nobody has looked after."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *more = text.rpartition(")")[2].split()
    return "" if state in ("Z", "X") else more[18]
