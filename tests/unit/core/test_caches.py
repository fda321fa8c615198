"""The process cache is bounded in age and size."""

from haven_core.caches import TimedCache


def test_values_age_and_the_least_used_goes_first() -> None:
    now = 0.0
    cache: TimedCache[str, int] = TimedCache(seconds=5.0, limit=2, clock=lambda: now)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (1, None, 3, 2)
    now = 4.9
    assert cache.get("a") == 1  # a look does not make it younger
    now = 5.0
    assert cache.get("a") is None
    assert len(cache) == 1
