"""Write transactions. READ COMMITTED binds: "lock, then check in a second statement" needs a fresh snapshot."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import IntegrityError, OperationalError, transaction

from haven_core.db import backend
from haven_core.errors import ConcurrentChange

ATTEMPTS = 8
retries: Counter[str] = Counter()  # why transactions were run again; read by tests and benchmarks

_T = TypeVar("_T")
_RETRYABLE = ("40P01", "40001")  # deadlock detected, serialization failure


@contextmanager
def write_transaction() -> Iterator[None]:
    """One outermost transaction: what it wrote is durable when it ends."""
    with transaction.atomic(durable=True):
        yield


def run_write(function: Callable[[], _T]) -> _T:
    """Run `function` as one write transaction; again when it lost a race to GC or to another insert of the same key.

    Raises ConcurrentChange after ATTEMPTS losses in a row, and whatever else `function` raises, rolled back.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with write_transaction():
                return function()
        except ConcurrentChange:
            if attempt == ATTEMPTS:
                raise
            retries["concurrent_change"] += 1
        except IntegrityError as error:
            if not backend.is_foreign_key_violation(error) or attempt == ATTEMPTS:
                raise
            retries["foreign_key"] += 1
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", None) not in _RETRYABLE or attempt == ATTEMPTS:
                raise
            retries["deadlock"] += 1
    raise AssertionError("unreachable")
