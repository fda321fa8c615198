"""fsck --repair mends what has one right answer, and touches nothing that is well."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from haven_core.db import backend
from haven_gc import fsck, repair, scrub
from haven_gc.collect import collect
from haven_registry import selectors
from haven_registry.models import Blob, Manifest, RepositoryBlob, StorageObject, Upload
from haven_registry.services import uploads
from haven_registry.services.delete import delete_manifest
from haven_registry.storage import open_storage
from haven_registry.storage.keys import new_key
from tests.integration.gc.conftest import Clock, log_of
from tests.support.documents import digest_of
from tests.support.site import OWNER, Site


@pytest.fixture
def broken(transactional_db: None, windows: Callable[..., None], clock: Clock) -> Iterator[Site]:
    """A registry that a test breaks; at the end it must be sound."""
    site = Site(open_storage("memory://"))
    site.push(b"kept", "t")
    delete_manifest(repository_id=site.repository, digest=site.push(b"trash"))
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    assert fsck.check() == {}
    yield site
    assert fsck.check() == {}
    assert list(fsck.check_bytes(site.driver)) == []
    assert site.tag("t") is not None


def repair_all(site: Site) -> list[int]:
    return [
        repair.recount_quotas(), repair.review_unreferenced_links(), repair.forget_lost_uploads(),
        repair.let_staged_keys_die(site.driver), repair.let_live_keys_die(), repair.remove_orphans(site.driver)[0],
    ]  # fmt: skip


def test_nothing_to_mend(broken: Site, clock: Clock) -> None:
    clock.advance(days=3)
    before = broken.stored_keys()
    assert repair_all(broken) == [0, 0, 0, 0, 0, 0]
    assert broken.stored_keys() == before


def test_quota_drift(broken: Site) -> None:
    used = broken.used()
    backend.sql("UPDATE project_quota SET used_bytes = used_bytes + 7 WHERE project_id = %s", broken.first)
    assert repair_all(broken) == [1, 0, 0, 0, 0, 0]
    assert broken.used() == used


def test_links_nobody_looks_at(broken: Site) -> None:
    stuck = RepositoryBlob.objects.filter(hidden_at__isnull=False)
    assert stuck.update(review_at=None) == 1
    assert repair_all(broken) == [0, 1, 0, 0, 0, 0]
    assert stuck.get().review_at is not None


def test_uploads_and_keys_that_lost_each_other(broken: Site, clock: Clock) -> None:
    upload = Upload.objects.get(state="open")
    StorageObject.objects.filter(id=upload.object_id).delete()
    StorageObject.objects.create(storage_key=new_key(), state="staged")
    StorageObject.objects.create(storage_key=new_key(), state="live")
    assert repair_all(broken) == [0, 0, 1, 1, 1, 0]
    assert Upload.objects.filter(state="open").count() == 0
    clock.advance(hours=2)
    broken.collect()
    assert StorageObject.objects.count() == Blob.objects.count()


def test_files_without_a_row_go_when_they_are_old(broken: Site, clock: Clock) -> None:
    kept = broken.stored_keys()
    sealed, staged = new_key(), new_key()
    broken.driver.put(sealed, b"orphan")
    writer = broken.driver.append(staged, None, 0)
    writer.write(b"half")
    writer.close()
    clock.advance(hours=47)
    assert repair.remove_orphans(broken.driver) == (0, 0)
    clock.advance(hours=2)
    assert {item.key for item in repair.find_orphans(broken.driver)} == {sealed, staged}
    assert repair.remove_orphans(broken.driver) == (2, 10)
    assert broken.stored_keys() == kept


def test_a_row_that_appears_saves_its_file(broken: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    broken.driver.put(key, b"late")
    clock.advance(days=3)
    found = list(repair.find_orphans(broken.driver))
    monkeypatch.setattr(repair, "find_orphans", lambda *_, **__: iter(found))
    StorageObject.objects.create(storage_key=key, state="dead", purge_after=timezone.now() + timedelta(days=1))
    assert repair.remove_orphans(broken.driver) == (0, 0)
    assert key in broken.stored_keys()


def test_scrub_marks_damage_and_a_push_heals_it(site: Site, run_scrub: Callable[..., object]) -> None:
    site.push(b"first", "a")
    site.push(b"other", "b")
    damaged = digest_of(b"first")
    assert run_scrub().result == {"blobs": 2, "manifests": 2, "damaged": 0, "unreadable": 0}  # type: ignore[attr-defined]
    key = Blob.objects.get(digest=damaged).object.storage_key
    site.driver.delete([key])
    site.driver.put(key, b"f1rst")
    execution = run_scrub()
    assert execution.result == {"blobs": 2, "manifests": 2, "damaged": 1, "unreadable": 0}  # type: ignore[attr-defined]
    [line] = [line for line in log_of(execution) if line["level"] == "ERROR"]  # type: ignore[arg-type]
    assert (line["digest"], line["reason"]) == (damaged, scrub.DIFFERENT)
    assert not site.shows(damaged), "so that a client uploads it again"
    assert site.shows(digest_of(b"other"))
    stored = selectors.find_stored(damaged)
    assert stored is not None
    assert stored.is_damaged
    site.commit(site.start_upload(b"first"), b"first")
    assert site.shows(damaged)
    assert run_scrub().result["damaged"] == 0  # type: ignore[attr-defined]
    assert Manifest.objects.count() == 2
    assert not any(collect(site.first).values())


def test_scrub_reads_manifests_too(site: Site, run_scrub: Callable[..., object]) -> None:
    digest = site.push(b"first", "a")
    site.push(b"other", "b")
    sound = bytes(Manifest.objects.get(digest=digest).payload)
    Manifest.objects.filter(digest=digest).update(payload=sound.replace(b"layers", b"lawyer"))
    execution = run_scrub()
    assert execution.result == {"blobs": 2, "manifests": 2, "damaged": 1, "unreadable": 0}  # type: ignore[attr-defined]
    [line] = [line for line in log_of(execution) if line["level"] == "ERROR"]  # type: ignore[arg-type]
    assert (line["manifest"].endswith(f"@{digest}"), line["reason"]) == (True, scrub.DIFFERENT)
    Manifest.objects.filter(digest=digest).update(payload=sound)


def test_scrub_takes_back_what_was_wrong(site: Site, run_scrub: Callable[..., object]) -> None:
    site.push(b"first", "a")
    Blob.objects.update(damaged_at=timezone.now())
    run_scrub()
    assert Blob.objects.get().damaged_at is None


def test_the_pace() -> None:
    now, slept, checks = 0.0, [], []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    pace = scrub.Pace(100, clock=lambda: now, sleep=sleep)
    for _ in range(4):
        pace.take(50, lambda: checks.append(now))
    assert now == pytest.approx(2.0)
    assert max(slept) <= 0.5
    assert len(checks) == len(slept)
