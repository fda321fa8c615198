"""Connections outside Django's request cycle.

A server of the data plane has far more threads than are in the database at a moment. With a connection each, every one of
them would be a process of PostgreSQL that has plans to make and memory to fill. So they go from request to request, whatever
thread it has, and the one that was used last is used next: there are as many as were ever needed at once in IDLE_SECONDS.
SQLite's belong to their threads.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError

from haven_core.db.backend import thread_connection
from haven_core.errors import DatabaseUnavailable

REST_SECONDS = 0.1  # a thousand times what asking costs
IDLE_SECONDS = 60.0

_T = TypeVar("_T")
_thread = threading.local()
_log = logging.getLogger("haven.database")


_resting: list[tuple[Any, float, float]] = []
"""The driver's connections nobody uses now, when each was given back, and when it was last known to live."""


def on_live_connection(function: Callable[[], _T], *, is_repeatable: bool) -> _T:
    """Run `function` on a database connection that works, so that a restarted database costs no request.

    There are no request signals in a bare WSGI callable, so nobody else looks after the connection. A repeatable function
    (a read) that fails on a dead one runs again on a new one. Another must not run twice, so its connection is checked
    before, unless it was asked or written on a moment ago (REST_SECONDS). Raises DatabaseUnavailable, and whatever else
    `function` raises.
    """
    if thread_connection().connection is not None:  # its own, that it keeps: with SQLite, or under Django's handler
        if _resting:
            _close_idle()
        return _run(function, is_repeatable=is_repeatable)
    was_borrower = _is_borrower()
    _thread.is_borrower = thread_connection().vendor == "postgresql"
    try:
        _borrow()
        return _run(function, is_repeatable=is_repeatable)
    finally:
        rest_connection()
        _thread.is_borrower = was_borrower


def _run(function: Callable[[], _T], *, is_repeatable: bool) -> _T:
    if not is_repeatable:
        _check(getattr(_thread, "alive_at", -inf))
    was_connected = thread_connection().connection is not None
    try:
        result = function()
    except (DatabaseError, InterfaceError) as error:
        if not is_unavailable(error):
            raise
        _drop_dead_connection()
        if is_repeatable and was_connected and thread_connection().connection is None:
            return _run(function, is_repeatable=False)
        _log.error("database unavailable: %s", str(error).strip().partition("\n")[0])
        raise DatabaseUnavailable from error
    if not is_repeatable:
        _thread.alive_at = time.monotonic()
    return result


def rest_connection() -> None:
    """Call before a long wait for something else, such as a request body: others may have the connection meanwhile."""
    database = thread_connection()
    connection = database.connection
    if connection is None or not _is_borrower() or database.in_atomic_block:
        return
    database.connection = None
    # one that was opened without a look whether another rests is one too many
    if not (_thread.has_asked and connection.is_at_rest()):
        connection.close()
        return
    _thread.has_asked = False
    _resting.append((connection, time.monotonic(), getattr(_thread, "alive_at", -inf)))
    _close_idle()


def wake_connection(rested_since: float = -inf) -> None:
    """Call before a write, or whatever else needs the database, after such a wait: a connection that died meanwhile is
    replaced. rested_since: time.monotonic() when the wait began; a short one is not worth asking."""
    _check(_thread.alive_at if _borrow() else rested_since)


def close_resting() -> None:
    """Close what nobody uses (tests, before their database goes)."""
    while _resting:
        _resting.pop()[0].close()


def _is_borrower() -> bool:
    return getattr(_thread, "is_borrower", False)


def _borrow() -> bool:
    """Give a borrower that has none the connection that was used last; False when it has one, or none rests."""
    database = thread_connection()
    if database.connection is not None or not _is_borrower():
        return False
    _thread.has_asked = True
    try:
        connection, _, alive_at = _resting.pop()
    except IndexError:
        return False
    database.connection, _thread.alive_at = connection, alive_at
    # as connect() leaves them
    database.autocommit, database.run_on_commit = True, []
    database.in_atomic_block = database.needs_rollback = False
    database.savepoint_ids, database.atomic_blocks = [], []
    database.closed_in_transaction = database.errors_occurred = False
    database.health_check_done = True  # type: ignore[attr-defined]  # stubs lack it
    return True


def _close_idle() -> None:
    """Close what nobody needed for IDLE_SECONDS."""
    with suppress(IndexError):  # none rests, or another thread was first: one too many that is closed is made again
        while time.monotonic() - _resting[0][1] > IDLE_SECONDS:
            _resting.pop(0)[0].close()


def _check(alive_at: float) -> None:
    if time.monotonic() - alive_at > REST_SECONDS:
        _drop_dead_connection()
        _thread.alive_at = time.monotonic()


def is_unavailable(error: BaseException) -> bool:
    """Whether the error says that the database can't be used now, not that a statement was wrong. psycopg2 calls the
    server's death in the middle of a statement a plain DatabaseError."""
    if isinstance(error, (OperationalError, InterfaceError)):
        return True
    return isinstance(error, DatabaseError) and (
        thread_connection().connection is None or not thread_connection().is_usable()
    )


def _drop_dead_connection() -> None:
    if thread_connection().connection is not None and not thread_connection().is_usable():
        thread_connection().close()
