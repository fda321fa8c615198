"""Slowing down guesses, without a sleeping thread: an attempt inside the delay is refused at once."""

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from haven_core.errors import TooManyRequests

FREE_FAILURES = 5  # a person may mistype this often
MAX_DELAY_SECONDS = 60.0
FORGET_SECONDS = 900.0
_LIMIT = 50_000


@dataclass(slots=True)
class _Failures:
    count: int
    until: float  # no attempt is looked at before
    last: float


class Throttle:
    """Failures by (user name, network of the client). From FREE_FAILURES on each one doubles the delay, from 1 s to
    MAX_DELAY_SECONDS; FORGET_SECONDS without a failure, or a success, clear the count.

    The network is part of the key so that a stranger can't lock a person out from elsewhere. Kept in this process: N
    replicas allow N times the guesses (Harbor does the same); a shared count belongs to the cluster's cache.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, username: str, address: str) -> None:
        """Raises TooManyRequests while the delay runs."""
        key, now = (username, _network(address)), self._clock()
        with self._lock:
            entry = self._failures.get(key)
            if entry is not None and now < entry.until:
                raise TooManyRequests(
                    "too many failed logins; try again later", retry_after_seconds=math.ceil(entry.until - now)
                )

    def failed(self, username: str, address: str) -> None:
        """Count a failure."""
        key, now = (username, _network(address)), self._clock()
        with self._lock:
            entry = self._failures.pop(key, None)
            count = 1 if entry is None or now - entry.last > FORGET_SECONDS else entry.count + 1
            over = count - FREE_FAILURES
            delay = min(2.0 ** min(over, 16), MAX_DELAY_SECONDS) if over >= 0 else 0.0
            self._failures[key] = _Failures(count, now + delay, now)
            if len(self._failures) > _LIMIT:
                self._failures.popitem(last=False)

    def succeeded(self, username: str, address: str) -> None:
        """Forget the failures."""
        with self._lock:
            self._failures.pop((username, _network(address)), None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._failures.clear()


def _network(address: str) -> str:
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
