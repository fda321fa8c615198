"""A small cache for one process: bounded in entries and in age."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TimedCache(Generic[K, V]):
    """Keeps at most `limit` values, each for at most `seconds`; the least recently used goes first. Thread-safe.

    What a cache answers may be `seconds` old: whoever makes one in front of a permission writes that bound down.
    """

    def __init__(self, *, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._limit, self._clock = seconds, limit, clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()
        self._clearings = 0

    def get(self, key: K) -> V | None:
        """The value put under `key`, if it is young enough."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry[0] <= self._clock():
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry[1]

    @property
    def clearings(self) -> int:
        """How often everything was forgotten."""
        return self._clearings

    def put(self, key: K, value: V, *, clearings: int | None = None) -> None:
        """Keep `value`, from now. clearings: as they were before `value` was asked for; it is not kept when everything was
        forgotten meanwhile, since it may be what was to be forgotten."""
        with self._lock:
            if clearings is not None and clearings != self._clearings:
                return
            self._entries[key] = (self._clock() + self._seconds, value)
            self._entries.move_to_end(key)
            if len(self._entries) > self._limit:
                self._entries.popitem(last=False)

    def discard(self, key: K) -> None:
        """Forget one value."""
        with self._lock:
            self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._clearings += 1

    def __len__(self) -> int:
        return len(self._entries)
