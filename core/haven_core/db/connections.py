"""Connections outside Django's request cycle."""

from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

_T = TypeVar("_T")


def on_live_connection(function: Callable[[], _T], *, is_repeatable: bool) -> _T:
    """Run `function` on a database connection that works, so that a restarted database costs no request.

    There are no request signals in a bare WSGI callable, so nobody else looks after the connection. A repeatable function
    (a read) that fails on a dead one runs again on a new one. Another must not run twice, so its connection is checked
    before. Raises what `function` raises.
    """
    if not is_repeatable and connection.connection is not None and not connection.is_usable():
        connection.close()
    try:
        return function()
    except (OperationalError, InterfaceError):
        if connection.connection is not None and connection.is_usable():
            raise
        connection.close()
        if not is_repeatable:
            raise
        return function()
