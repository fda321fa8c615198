"""Old days of pulls are added up, and no count falls by it."""

from datetime import UTC, date, datetime, timedelta

from django.db.models import Sum

from haven_registry.models import Manifest, PullDaily
from haven_registry.services.delete import delete_manifest
from haven_registry.services.pull_days import DAYS_KEPT, add_up_gone_manifests, add_up_old_days
from tests.integration.model.conftest import Clock
from tests.support.site import Site

TODAY = date(2026, 6, 1)


def pulled(site: Site, digest: str, tag: str, days_ago: int, number: int) -> datetime:
    day = TODAY - timedelta(days=days_ago)
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    PullDaily.objects.create(
        repository_id=site.repository, manifest_digest=digest, tag_name=tag, day=day, pulls=number, last_pulled_at=at
    )
    return at


def test_times_that_are_not_kept(site: Site) -> None:
    digest = site.push(b"a", "t")
    for ago in (1, 2):
        pulled(site, digest, "t", DAYS_KEPT + ago, 3)
    latest = PullDaily.objects.latest("day")
    PullDaily.objects.exclude(id=latest.id).update(last_pulled_at=None)
    assert add_up_old_days(TODAY) == 2
    assert PullDaily.objects.values_list("pulls", "last_pulled_at").get() == (6, latest.last_pulled_at)


def rows() -> set[tuple[str, str, date, int]]:
    return set(PullDaily.objects.values_list("manifest_digest", "tag_name", "day", "pulls"))


def total() -> int:
    return int(PullDaily.objects.aggregate(n=Sum("pulls"))["n"])


def test_old_days_become_one_row(site: Site) -> None:
    digest, unknown = site.push(b"a", "t"), "sha256:" + "1" * 64
    for ago in range(DAYS_KEPT - 2, DAYS_KEPT + 4):
        last = pulled(site, digest, "t", ago, 10) if ago > DAYS_KEPT else pulled(site, digest, "t", ago, 1)
    pulled(site, unknown, "t", DAYS_KEPT + 1, 7)
    pulled(site, unknown, "u", DAYS_KEPT + 2, 8)
    assert last.date() < TODAY
    before = total()
    assert add_up_old_days(TODAY, limit=2) == 2
    while add_up_old_days(TODAY, limit=2):
        pass
    assert total() == before
    kept = {(digest, "t", TODAY - timedelta(days=ago), 1) for ago in range(DAYS_KEPT - 2, DAYS_KEPT + 1)}
    assert rows() == kept | {(digest, "t", PullDaily.EARLIER, 30), (PullDaily.GONE, "", PullDaily.EARLIER, 15)}
    newest_of_old = PullDaily.objects.get(day=PullDaily.EARLIER, manifest_digest=digest).last_pulled_at
    assert newest_of_old.date() == TODAY - timedelta(days=DAYS_KEPT + 1)
    assert add_up_old_days(TODAY) == 0


def test_sums_of_purged_manifests_become_the_repositorys(site: Site, clock: Clock) -> None:
    digest, other = site.push(b"a", "t"), site.push(b"b", "u")
    for each in (digest, other):
        pulled(site, each, "t", DAYS_KEPT + 9, 5)
        pulled(site, each, "", 1, 2)
    assert add_up_old_days(TODAY) == 2
    assert add_up_gone_manifests() == 0
    delete_manifest(repository_id=site.repository, digest=digest)
    clock.advance(days=30)
    site.collect()
    assert not Manifest.objects.filter(digest=digest).exists()
    assert add_up_gone_manifests() == 1
    assert add_up_gone_manifests() == 0
    yesterday = TODAY - timedelta(days=1)
    assert rows() == {
        (PullDaily.GONE, "", PullDaily.EARLIER, 5), (other, "t", PullDaily.EARLIER, 5), (digest, "", yesterday, 2),
        (other, "", yesterday, 2),
    }  # fmt: skip
