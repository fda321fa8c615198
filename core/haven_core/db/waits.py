"""What a write waits for: its turn, which SQLite's writers take one after the other, and the disk."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

from haven_core.db.backend import connect, database_file, is_postgresql, thread_connection

_thread = threading.local()


@contextmanager
def writers_turn() -> Iterator[None]:
    """Around a write transaction: SQLite's writers wait for each other here, in the kernel, and not in SQLite.

    SQLite polls for its lock, asleep for up to 100 ms between tries: with eight writers the disk and the processors idle
    while everybody sleeps. A file lock wakes the next one at once, and ends with the process that holds it. Who writes
    without it is only less quick: SQLite's own lock still decides.
    """
    path = database_file()
    if path is None:
        yield
        return
    descriptor = _turn_file(path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _turn_file(path: str) -> int:
    """This thread's descriptor of the lock file beside the database: flock tells threads apart by descriptor."""
    known: tuple[str, int] | None = getattr(_thread, "turn", None)
    if known is None or known[0] != path:
        descriptor = os.open(f"{path}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        known = _thread.turn = (path, descriptor)
    return known[1]


@contextmanager
def commit_without_sync() -> Iterator[None]:
    """Around a transaction of transactions.write_transaction: SQLite's COMMIT does not wait for the disk, see sync().
    Whatever writes without it waits inside, as SQLite does by itself."""
    database = thread_connection()
    if database.vendor == "postgresql" or database.in_atomic_block:  # the latter within the transaction of a test
        yield
        return
    _set_synchronous(database, "NORMAL")
    try:
        yield
    finally:
        _set_synchronous(database, "FULL")


def _set_synchronous(database: BaseDatabaseWrapper, level: str) -> None:
    """Straight on the driver: this comes twice with every write."""
    connect(database)
    with database.wrap_database_errors:
        database.connection.execute(f"PRAGMA synchronous = {level}")


def relax_this_commit() -> None:
    """PostgreSQL: the COMMIT of this transaction, or of the next statement, need not wait for the disk. Ends with the
    transaction, so a pooled connection carries nothing on."""
    if is_postgresql():
        database = thread_connection()
        connect(database)
        database.connection.ahead(b"SET LOCAL synchronous_commit = off")


def sync() -> None:
    """What this process committed to SQLite is on the disk when this returns; PostgreSQL's COMMIT has waited already.

    A commit is durable once the log it was appended to is: that is all SQLite's own FULL does, except that it waits while
    it holds the lock for which all other writers wait. Frames that a checkpoint has taken from the log since are in the
    database, which the checkpoint syncs. SQLite locks nothing in the log, so another descriptor of it may be closed
    (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous). Raises OSError.
    """
    path = database_file()
    if path is None:
        return
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # the last connection was closed, which checkpoints everything
        return
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
