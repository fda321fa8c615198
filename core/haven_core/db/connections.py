"""Connections outside Django's request cycle."""

import logging
import threading
import time
from collections.abc import Callable
from math import inf
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError

from haven_core.db.backend import thread_connection
from haven_core.errors import DatabaseUnavailable

REST_SECONDS = 0.1  # a thousand times what asking costs

_T = TypeVar("_T")
_thread = threading.local()
_log = logging.getLogger("haven.database")


def on_live_connection(function: Callable[[], _T], *, is_repeatable: bool) -> _T:
    """Run `function` on a database connection that works, so that a restarted database costs no request.

    There are no request signals in a bare WSGI callable, so nobody else looks after the connection. A repeatable function
    (a read) that fails on a dead one runs again on a new one. Another must not run twice, so its connection is checked
    before, unless this thread wrote on it a moment ago (REST_SECONDS). Raises DatabaseUnavailable, and whatever else
    `function` raises.
    """
    if not is_repeatable:
        wake_connection(getattr(_thread, "wrote_at", -inf))
    was_connected = thread_connection().connection is not None
    try:
        result = function()
    except (DatabaseError, InterfaceError) as error:
        if not is_unavailable(error):
            raise
        _drop_dead_connection()
        if is_repeatable and was_connected and thread_connection().connection is None:
            return on_live_connection(function, is_repeatable=False)
        _log.error("database unavailable: %s", str(error).strip().partition("\n")[0])
        raise DatabaseUnavailable from error
    if not is_repeatable:
        _thread.wrote_at = time.monotonic()
    return result


def wake_connection(rested_since: float) -> None:
    """Call before a write that follows a long wait for something else, such as a request body: a connection that died
    meanwhile is replaced. rested_since: time.monotonic() when the wait began; a short one is not worth asking."""
    if time.monotonic() - rested_since > REST_SECONDS:
        _drop_dead_connection()


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
