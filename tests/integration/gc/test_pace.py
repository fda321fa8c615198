"""How collection makes room for clients."""

import time
from collections.abc import Callable

import pytest

from haven_core.db import backend
from haven_gc import collect, pace, repair
from haven_gc.pace import Pace
from haven_registry.models import Blob, ProjectBlob, RepositoryBlob
from tests.support.site import Site


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each rest, none of which is taken."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """So many other sessions are busy."""

    def set_to(number: int) -> None:
        monkeypatch.setattr(backend, "busy_sessions", lambda within_seconds: number)

    monkeypatch.setattr(pace, "LOOK_SECONDS", -1.0)
    return set_to


def work(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.parametrize(("others", "is_alone"), [(0, True), (1, True), (2, False), (20, False)])
def test_it_rests_for_others_only(
    rests: list[float], company: Callable[[int], None], others: int, is_alone: bool
) -> None:
    company(others)
    one = Pace()
    for _ in range(3):
        work(0.01)
        one.rest()
    if is_alone:
        assert rests == []
    else:
        assert len(rests) == 3
        assert all(0.01 * pace.REST_RATIO <= rest <= pace.MAX_REST_SECONDS for rest in rests)


def test_a_long_step_is_not_followed_by_an_endless_rest(rests: list[float], company: Callable[[int], None]) -> None:
    company(2)
    one = Pace()
    work(0.2)
    one.rest()
    assert rests == [pace.MAX_REST_SECONDS]


def test_a_pass_rests_between_its_steps(site: Site) -> None:
    count = 0

    def rest(_: object) -> None:
        nonlocal count
        count += 1
        assert not backend.thread_connection().in_atomic_block or backend.thread_connection().savepoint_ids == []

    collect.collect(site.first, after=rest)
    assert count == 4


@pytest.mark.parametrize("page", [1, 2, 5000])
def test_blobs_that_no_hint_led_to_are_found_page_by_page(
    site: Site, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(collect, "PAGE", page)
    site.push(b"kept", "t")
    lost = [site.upload(data) for data in (b"a", b"bb", b"ccc")]
    RepositoryBlob.objects.filter(project_blob__blob__digest__in=lost).delete()
    ProjectBlob.objects.filter(blob__digest__in=lost).delete()
    repair.recount_quotas()
    kept = Blob.objects.count() - 3
    freed = [step for step in collect.purge_unused_blobs() if step.blobs]
    assert (sum(step.blobs for step in freed), sum(step.size for step in freed)) == (3, 6)
    assert Blob.objects.count() == kept
    assert not any(step.blobs for step in collect.purge_unused_blobs())


def test_a_look_through_all_blobs_ends_while_others_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "PAGE", 1)
    site.push(b"first", "t")
    steps = 0
    for _ in collect.purge_unused_blobs():
        steps += 1
        site.upload(b"more %d" % steps)
        assert steps < 10
    assert steps == 1
