"""Manifest payloads in memory. A payload never changes under its row id, so the cache needs no invalidation: whether the
manifest may be seen is asked from the database on every request."""

from collections import OrderedDict
from threading import Lock

from haven_registry import selectors

CACHE_BYTES = 16 * 1024 * 1024
_MAX_CACHED_BYTES = 64 * 1024

_lock = Lock()
_payloads: OrderedDict[int, bytes] = OrderedDict()
_size = 0


def payload_of(manifest_id: int) -> bytes | None:
    """The manifest's bytes, from memory or the database; None when it was purged a moment ago."""
    cached = _payloads.get(manifest_id)
    if cached is not None:
        return cached
    payload = selectors.load_payload(manifest_id)
    if payload is not None and len(payload) <= _MAX_CACHED_BYTES:
        keep(manifest_id, payload)
    return payload


def keep(manifest_id: int, payload: bytes) -> None:
    """Take a payload that was read along with something else. Oldest out first: cheaper than tracking use, and a hot manifest
    is back after one query."""
    global _size  # the cache's own bookkeeping, under its lock
    with _lock:
        if manifest_id not in _payloads:
            _payloads[manifest_id] = payload
            _size += len(payload)
        while _size > CACHE_BYTES:
            _, dropped = _payloads.popitem(last=False)
            _size -= len(dropped)
