"""Slowing down guesses, without a sleeping thread: an attempt inside the delay is refused at once.

Wrong passwords are counted by (user name, network of the client), in the database, so for all processes and replicas
together. From FREE_FAILURES on each one doubles the delay, from 1 s to MAX_DELAY_SECONDS; FORGET_SECONDS without one, or
a right password, clear the count. The network is part of the key so that a stranger can't lock a person out from
elsewhere.
"""

import hashlib
import ipaddress
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.utils import timezone

from haven_core.accounts.models import FailedLogins
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import HavenError, TooManyRequests

FREE_FAILURES = 5  # a person may mistype this often
MAX_DELAY_SECONDS = 60.0
FORGET_SECONDS = 900.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A guess that may be looked at. failures: counted before it; is_counted: as a failure, in advance."""

    key: bytes
    failures: int
    is_counted: bool


def begin(username: str, address: str) -> Attempt:
    """Ask to look at a password. Raises TooManyRequests while the delay runs.

    One SQL statement, two beyond FREE_FAILURES: then the attempt is counted before its password is looked at, by
    compare-and-set, so that guesses that arrive together, at whatever replicas, are one guess and refusals.
    """
    key, now = key_of(username, address), timezone.now()
    rows = backend.sql("SELECT count, last_at FROM failed_logins WHERE key = %s", key)
    failures, last = (rows[0][0], backend.as_datetime(rows[0][1])) if rows else (0, now)
    if now - last > timedelta(seconds=FORGET_SECONDS):
        failures = 0
    if failures < FREE_FAILURES:
        return Attempt(key, failures, is_counted=False)
    wait = (last + timedelta(seconds=delay_after(failures)) - now).total_seconds()
    if wait > 0:
        raise _refusal(wait)
    _reserve(key, failures, now)
    return Attempt(key, failures, is_counted=True)


def failed(attempt: Attempt) -> None:
    """The password was wrong."""
    if attempt.is_counted:
        return
    now = timezone.now()
    old = now - timedelta(seconds=FORGET_SECONDS)

    def write() -> None:
        if not attempt.failures:
            FailedLogins.objects.filter(last_at__lt=old).delete()
        backend.sql(
            "INSERT INTO failed_logins (key, count, last_at) VALUES (%s, 1, %s) ON CONFLICT (key) DO UPDATE "
            "SET count = failed_logins.count + 1, last_at = excluded.last_at",
            attempt.key, now,
        )  # fmt: skip

    _write(write)


def succeeded(attempt: Attempt) -> None:
    """The password was right. No statement unless something was counted."""
    if attempt.failures:
        _write(lambda: FailedLogins.objects.filter(pk=attempt.key).delete())


def delay_after(failures: int) -> float:
    """Seconds before the next attempt is looked at."""
    over = failures - FREE_FAILURES
    return min(2.0 ** min(over, 16), MAX_DELAY_SECONDS) if over >= 0 else 0.0


def key_of(username: str, address: str) -> bytes:
    """What names one count: 32 bytes."""
    return hashlib.sha256(f"{network_of(address)}\0{username}".encode("utf-8", "surrogatepass")).digest()


def network_of(address: str) -> str:
    """IPv4 as it is; the /64 of an IPv6 address, which one client owns whole; other texts (a socket) as they are."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def _reserve(key: bytes, failures: int, now: datetime) -> None:
    mine = FailedLogins.objects.filter(pk=key, count=failures)
    if not run_write(lambda: mine.update(count=failures + 1, last_at=now)):
        raise _refusal(delay_after(failures + 1))  # another attempt was counted since we read


def _write(write: Callable[[], object]) -> None:
    """Count, as well as the database lets us: a full disk must not turn a wrong password into an error of the server.
    Guessing is then slowed by the hash alone."""
    try:
        run_write(write)
    except (DatabaseError, HavenError) as error:
        _log.error("a failed login could not be counted: %s", str(error).strip().partition("\n")[0])


def _refusal(seconds: float) -> TooManyRequests:
    return TooManyRequests("too many failed logins; try again later", retry_after_seconds=max(1, math.ceil(seconds)))
