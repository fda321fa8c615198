"""Whose time it is. Leases and windows were written by other machines; one whose clock is ahead would end them early."""

from datetime import datetime, timedelta

from django.utils import timezone

from haven_core.db import backend
from haven_gc.errors import ClockWrong

TOLERANCE = timedelta(minutes=5)


def database_now() -> datetime:
    """The database's clock. SQLite has none: its file is used by one machine."""
    return (
        backend.as_datetime(backend.sql("SELECT clock_timestamp()")[0][0])
        if backend.is_postgresql()
        else timezone.now()
    )


def require_right_clock() -> None:
    """Before anything is removed because its time has come. Raises ClockWrong. One SQL statement at most."""
    off = timezone.now() - database_now()
    if abs(off) > TOLERANCE:
        raise ClockWrong(
            f"this machine's clock is {off.total_seconds():+.0f} s off the database's: nothing is removed until it is set"
        )
