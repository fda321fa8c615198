"""When what was taken away is gone for everybody.

Readers may answer from what they found up to MEMORY_SECONDS ago. Whoever takes something away (deletes it, moves a tag off it)
calls take_away() in its transaction and, between COMMIT and answer, make_gone(). So a client that was told sees it gone at
once, everywhere (ADR 0020):

- With PostgreSQL make_gone() waits WAIT_SECONDS: by then no process of any machine remembers. Nothing is sent between them, and
  both only measure how long something takes; clocks need not agree.
- SQLite's processes are on one machine and share a mark, eight bytes of a file in memory. make_gone() changes it, and
  nobody believes what was found under another mark. Nobody waits.
"""

import mmap
import os
import threading
import time

from haven_core.db import backend

MEMORY_SECONDS = 0.08
WAIT_SECONDS = 0.1  # more than the memory: clocks of two machines run at speeds that differ a little
_MARK_BYTES = 8
_NO_MARK = b""

_thread = threading.local()
_opening = threading.Lock()
_mark: tuple[str, mmap.mmap] | None = None


def now() -> float:
    """Seconds on a clock that also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def may_remember() -> bool:
    """Whether readers of this database may; not those of a database in memory, which has no place for a mark."""
    return backend.is_postgresql() or backend.database_file() is not None


def mark() -> bytes:
    """To be read before a question is sent, and again before its answer is believed once more. PostgreSQL: always the
    same."""
    path = backend.database_file()
    return _NO_MARK if path is None else _open(path)[:]


def take_away() -> None:
    """Say, in the transaction of a change, that it takes away something that readers may remember."""
    _thread.has_taken = True


def make_gone() -> None:
    """Between the last COMMIT of a request and its answer. Does nothing unless this thread took something away."""
    if not getattr(_thread, "has_taken", False):
        return
    _thread.has_taken = False
    path = backend.database_file()
    if path is not None:
        _open(path)[:] = os.urandom(_MARK_BYTES)  # never the same twice: of two at once neither undoes the other's
    elif backend.is_postgresql():
        time.sleep(WAIT_SECONDS)


def _open(path: str) -> mmap.mmap:
    """The mark beside the database, shared by all its processes."""
    global _mark
    if _mark is not None and _mark[0] == path:
        return _mark[1]
    with _opening:
        descriptor = os.open(f"{path}.mark", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _MARK_BYTES)
            _mark = (path, mmap.mmap(descriptor, _MARK_BYTES))
        finally:
            os.close(descriptor)
        return _mark[1]
