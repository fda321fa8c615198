"""Write transactions. READ COMMITTED binds: "lock, then check in a second statement" needs a fresh snapshot."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, transaction

from haven_core.db import backend, waits
from haven_core.errors import ConcurrentChange
from haven_core.visibility import change_mark

ATTEMPTS = 8
retries: Counter[str] = Counter()  # why transactions were run again; read by tests and benchmarks

_T = TypeVar("_T")
_RETRYABLE = ("40P01", "40001")  # deadlock detected, serialization failure


@contextmanager
def write_transaction(*, is_durable: bool = True, is_one_statement: bool = False) -> Iterator[None]:
    """One outermost transaction: what it wrote is durable when it ends, unless told otherwise (run_write).

    With SQLite others see it before that, and may write meanwhile: one sync serves all who wait for it.
    is_one_statement: the block makes one write, which needs no BEGIN and COMMIT, and may read after it.
    """
    frame = backend.nothing_left_unsaid() if is_one_statement else transaction.atomic(durable=True)
    with waits.writers_turn(), waits.commit_without_sync(), frame:
        if not is_durable:
            waits.relax_this_commit()
        yield
    change_mark()
    if is_durable:
        waits.sync()


def run_write(function: Callable[[], _T], *, is_durable: bool = True, is_one_statement: bool = False) -> _T:
    """Run `function` as one write transaction; again when it lost a race to GC or to another insert of the same key.

    is_durable: False commits without waiting for the disk. The change is atomic and visible at once, survives any process
    that is killed, and may be lost, as a whole, when the database's machine loses power; the next durable commit takes
    it along. Only for what nobody was promised: the state of an upload session, that something is purged (ADR 0011).
    is_one_statement: as write_transaction's; not inside another transaction (RuntimeError).
    Raises ConcurrentChange after ATTEMPTS losses in a row, and whatever else `function` raises, rolled back.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with write_transaction(is_durable=is_durable, is_one_statement=is_one_statement):
                return function()
        except ConcurrentChange:
            if attempt == ATTEMPTS:
                raise
            retries["concurrent_change"] += 1
        except IntegrityError as error:
            if not backend.is_foreign_key_violation(error) or attempt == ATTEMPTS:
                raise
            retries["foreign_key"] += 1
        except DatabaseError as error:
            if attempt == ATTEMPTS:
                raise
            if backend.is_lost_statement(error):
                retries["lost_statement"] += 1
            elif getattr(error.__cause__, "pgcode", None) in _RETRYABLE:
                retries["deadlock"] += 1
            else:
                raise
    raise AssertionError("unreachable")
