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


def test_an_answer_from_before_a_clear_is_not_kept() -> None:
    cache: TimedCache[str, int] = TimedCache(seconds=5.0, limit=2)
    before = cache.clearings
    cache.clear()
    cache.put("a", 1, clearings=before)
    assert cache.get("a") is None
    cache.put("a", 2, clearings=cache.clearings)
    assert cache.get("a") == 2
