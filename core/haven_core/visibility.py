"""When what was taken away is gone for everybody.

Readers may answer from what they found up to MEMORY_SECONDS ago. Whoever takes something away (deletes it, moves a tag off it)
calls take_away() in its transaction and, between COMMIT and answer, make_gone(). So a client that was told sees it gone at
once, everywhere (ADR 0020):

- With PostgreSQL make_gone() waits WAIT_SECONDS: by then no process of any machine remembers. Nothing is sent between them, and
  both only measure how long something takes; clocks need not agree.
- SQLite's processes are on one machine and share a mark, eight bytes of a file in memory. Every COMMIT of what takes something
  away changes it, and nobody believes what was found under another mark. Nobody waits.
"""

import mmap
import os
import threading
import time

from haven_core.db import backend

MEMORY_SECONDS = 0.08
WAIT_SECONDS = 0.1  # more than the memory: clocks of two machines run at speeds that differ a little
LATELY_SECONDS = 5
"""A change is as if of this moment for so long: clocks of two machines may differ by it. Whoever writes over what somebody
else took away, and might be waiting for, waits too."""
_MARK_BYTES = 8
_ALWAYS = b""

_thread = threading.local()
_opening = threading.Lock()
_mark: tuple[str, mmap.mmap] | None = None


def now() -> float:
    """Seconds on a clock that also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def mark() -> bytes | None:
    """To be read before a question is sent, and again before its answer is believed once more. PostgreSQL: always the same.
    None: nothing may be remembered, of a SQLite database in memory or where no mark can be made (a full disk)."""
    path = backend.database_file()
    if path is None:
        return _ALWAYS if backend.is_postgresql() else None
    found = _open(path)
    return None if found is None else found[:]


def take_away() -> None:
    """Say, in the transaction of a change, that it takes away something that readers may remember."""
    _thread.has_taken = True


def change_mark() -> None:
    """After a COMMIT. Does nothing unless this thread took something away, and with PostgreSQL."""
    if getattr(_thread, "has_taken", False) and not backend.is_postgresql():
        make_gone()


def make_gone() -> None:
    """Between the last COMMIT of a request and its answer. Does nothing unless this thread took something away."""
    if not getattr(_thread, "has_taken", False):
        return
    _thread.has_taken = False
    path = backend.database_file()
    found = None if path is None else _open(path)
    if found is not None:
        found[:] = os.urandom(_MARK_BYTES)  # never the same twice: of two at once neither undoes the other's
    elif path is not None or backend.is_postgresql():
        time.sleep(WAIT_SECONDS)


def _open(path: str) -> mmap.mmap | None:
    """The mark beside the database, shared by all its processes; None where it can't be made. Its bytes are allocated before
    they are touched: a process that writes to a hole on a full disk is killed."""
    global _mark
    known = _mark
    if known is not None and known[0] == path:
        return known[1]
    with _opening:
        try:
            descriptor = os.open(f"{path}.mark", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            os.posix_fallocate(descriptor, 0, _MARK_BYTES)
            found = mmap.mmap(descriptor, _MARK_BYTES)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        _mark = (path, found)
        return found
