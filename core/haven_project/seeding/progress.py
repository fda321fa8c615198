"""How far the seed is, how quick, and for how long still."""

import time
from collections.abc import Callable

_SECONDS_BETWEEN = 1.0


class Progress:
    """Tells `show` a line at most once a second. The rate is that of all artifacts so far."""

    def __init__(self, total: int, show: Callable[[str], None]) -> None:
        self._total, self._show = total, show
        self._began = self._told = time.monotonic()
        self._done = 0

    def step(self, what: str) -> None:
        """Something begins that has no numbers."""
        self._show(f"{what} ({time.monotonic() - self._began:.0f} s since the start)")

    def add(self, artifacts: int) -> None:
        """So many more are written."""
        self._done += artifacts
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN and self._done < self._total:
            return
        self._told = now
        rate = self._done / max(now - self._began, 0.001)
        left = (self._total - self._done) / max(rate, 0.001)
        self._show(f"{self._done:,} of {self._total:,} artifacts, {rate:,.0f} a second, {left:.0f} s left")
