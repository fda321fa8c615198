"""When what was taken away is gone for everybody.

Processes that read from PostgreSQL may answer from what they found up to MEMORY_SECONDS ago. Whoever takes something away
(deletes it, moves a tag off it) has committed, and then waits WAIT_SECONDS before the answer says so: by then no process
of any machine remembers it. So a client that was told sees it gone at once, everywhere, and nothing has to be sent
between processes. Both only measure how long something takes; clocks need not agree. ADR 0020.
"""

import threading
import time

from haven_core.db.backend import is_postgresql

MEMORY_SECONDS = 0.08
WAIT_SECONDS = 0.1  # more than the memory: clocks of two machines run at speeds that differ a little

_thread = threading.local()


def now() -> float:
    """Seconds on a clock that also runs while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def take_away() -> None:
    """Say, in the transaction of a change, that it takes away something that readers may remember."""
    _thread.has_taken = True


def wait_until_gone() -> None:
    """Between the last COMMIT of a request and its answer. Returns at once unless this thread took something away, and on
    SQLite, whose readers remember nothing."""
    if getattr(_thread, "has_taken", False):
        _thread.has_taken = False
        if is_postgresql():
            time.sleep(WAIT_SECONDS)
