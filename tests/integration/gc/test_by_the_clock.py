"""What runs by the clock: room comes back soon after a window's end without anybody's asking, and the daily look."""

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from haven_core.db import backend
from haven_gc import clock as gc_clock
from haven_gc import collect as collector
from haven_gc import tasks
from haven_gc.errors import ClockWrong
from haven_project.celery import app as workers
from haven_project.clock import app as clock_app
from haven_registry.models import Blob, Manifest, Upload
from haven_registry.services import purge, uploads
from haven_registry.services.delete import delete_manifest
from haven_registry.storage.keys import new_key
from tests.integration.gc.conftest import Clock, RunJob, log_of
from tests.support.site import OWNER, Site

_database_now = gc_clock.database_now  # before a test moves it


@pytest.fixture(autouse=True)
def storage_of_the_site(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "driver", lambda: site.driver)


def pass_of_the_clock() -> None:
    """Each task once, as beat sends them."""
    tasks.reap_uploads()
    tasks.collect_due()
    tasks.sweep()


def test_room_comes_back_within_minutes_of_the_windows_end(site: Site, clock: Clock) -> None:
    kept = site.push(b"kept", "t")
    site.limit(10_000)
    used, keys = site.used(), site.stored_keys()
    delete_manifest(repository_id=site.repository, digest=site.push(b"gone"))
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    clock.advance(days=7, minutes=-1)
    pass_of_the_clock()
    assert Manifest.objects.count() == 2, "its window is open"
    clock.advance(minutes=2)
    pass_of_the_clock()
    assert (Manifest.objects.count(), Blob.objects.count(), site.used()) == (1, 1, used)
    assert not Upload.objects.filter(state=Upload.OPEN).exists()
    clock.advance(hours=1)  # downloads that are under way end well
    pass_of_the_clock()
    assert site.stored_keys() == keys
    assert site.is_live(kept)
    seconds = {entry["task"]: entry["schedule"] for entry in clock_app.conf.beat_schedule.values()}
    assert max(seconds["haven_gc.tasks.collect_due"], seconds["haven_gc.tasks.sweep"]) <= 60


def test_a_busy_project_keeps_no_other_waiting(site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = site.new_repository(site.second, "app")
    for repository in (site.repository, elsewhere):
        delete_manifest(repository_id=repository, digest=site.push(b"gone", repository=repository))
    clock.advance(days=8)
    seen, honest = [], collector.collect

    def collect(project_id: int, **options: Any) -> Counter[str]:
        seen.append(project_id)
        return honest(project_id, **options)

    monkeypatch.setattr(collector, "collect", collect)
    tasks.collect_due()
    assert [set(seen[:2]), set(seen[2:4])] == [{site.first, site.second}] * 2


def test_a_long_collection_is_many_short_runs(site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs wait for no more than one of them. The next comes when it is over, and one at a time: none sends for another."""
    for number in range(5):
        delete_manifest(repository_id=site.repository, digest=site.push(b"gone %d" % number))
    clock.advance(days=8)
    for task in (tasks.collect_due, tasks.sweep, tasks.reap_uploads):
        entry = next(entry for entry in clock_app.conf.beat_schedule.values() if entry["task"] == task.name)
        assert entry["schedule"] >= tasks.RUN_SECONDS
        monkeypatch.setattr(task, "apply_async", lambda **_: pytest.fail("it sends for another"))
    monkeypatch.setattr(purge, "purge_manifests", partial(purge.purge_manifests, limit=1))
    ticks = count(0, tasks.RUN_SECONDS * 0.4)  # a pass takes so long: two fit into a run
    monkeypatch.setattr(tasks, "monotonic", lambda: next(ticks))
    runs = 0
    while Manifest.objects.exists() and runs < 50:
        tasks.collect_due()
        runs += 1
    assert (runs > 2, Manifest.objects.count()) == (True, 0)


def test_the_clock_sends_what_workers_know() -> None:
    """It loads no task, so it can't ask them for their names or for when a message is worth nothing."""
    workers.loader.import_default_modules()
    for entry in clock_app.conf.beat_schedule.values():
        task = workers.tasks[entry["task"]]
        assert entry["options"] == {"expires": task.expires}
    assert clock_app.conf.task_routes == workers.conf.task_routes
    program = "import sys, haven_project.clock; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "haven_project.clock" in loaded
    assert not {"django.db", "django.apps", "haven_core.models", "haven_registry"} & set(loaded)


@pytest.mark.parametrize("days", [30, -30])
def test_a_machine_whose_clock_is_wrong_removes_nothing(
    site: Site, clock: Clock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """It would end the windows that others promised; the database knows the time."""
    delete_manifest(repository_id=site.repository, digest=site.push(b"deleted"))
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    right = timezone.now()
    monkeypatch.setattr(gc_clock, "database_now", lambda: right)
    clock.advance(days=days)
    for task in (tasks.reap_uploads, tasks.sweep):
        with pytest.raises(ClockWrong, match="off the database's"):
            task()
    tasks.collect_due()
    execution = run_job()
    assert execution.status in ("Pending", "Error")
    assert "off the database's" in log_of(execution)[-1]["message"]
    assert (Manifest.objects.count(), Blob.objects.count()) == (1, 1)
    assert Upload.objects.filter(state=Upload.OPEN).count() == 1


def test_the_databases_clock() -> None:
    assert abs(_database_now() - timezone.now()) < timedelta(minutes=1)


def test_nothing_is_due_for_ever_after(site: Site, clock: Clock) -> None:
    """Hints that came true leave none behind."""
    delete_manifest(repository_id=site.repository, digest=site.push(b"gone"))
    clock.advance(days=8)
    pass_of_the_clock()
    assert collector.find_due_projects(timezone.now()) == []


def test_the_daily_look_finds_what_no_hint_leads_to(site: Site, clock: Clock, windows: Callable[..., None]) -> None:
    site.push(b"gone")
    Manifest.objects.update(deleted_at=timezone.now(), purge_after=timezone.now())
    collector.purge.purge_manifests(site.first)
    links = backend.sql("DELETE FROM repository_blob RETURNING id")  # a crash between two levels
    assert links
    tasks.collect_due()
    assert Blob.objects.count() == 1
    tasks.scan()
    assert Blob.objects.count() == 0


def test_the_daily_look_removes_staged_files_without_a_row(site: Site, clock: Clock) -> None:
    """Of a process that was killed before the first bytes of a session were in the database. What is published stays for an
    administrator to judge."""
    site.push(b"kept", "t")
    going_on = uploads.start_upload(repository_id=site.repository, owner=OWNER).key
    published, left = new_key(), new_key()
    site.driver.put(published, b"whose?")
    for key in (going_on, left):
        writer = site.driver.append(key, None, 0)
        writer.write(b"half")
        writer.close()
    kept = sorted({*site.stored_keys()} - {left})
    clock.advance(hours=47)
    tasks.scan()
    assert left in site.stored_keys()
    clock.advance(hours=2)
    tasks.scan()
    assert site.stored_keys() == kept


def test_the_daily_look_removes_nothing_by_a_wrong_clock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the bytes of a session that is being recorded at this moment could be old."""
    key = new_key()
    writer = site.driver.append(key, None, 0)
    writer.write(b"first")
    writer.close()
    now = timezone.now
    monkeypatch.setattr(gc_clock, "database_now", now)
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(days=3))
    tasks.scan()
    assert key in site.stored_keys()


def test_the_daily_look_tells_of_broken_invariants(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.push(b"kept", "t")
    tasks.scan()
    assert "invariant" not in caplog.text
    backend.sql("UPDATE project_quota SET used_bytes = used_bytes + 7 WHERE project_id = %s", site.first)
    with caplog.at_level(logging.ERROR, logger="haven.gc"):
        tasks.scan()
    assert "invariant quota_drift is broken in 1 rows" in caplog.text
    backend.sql("UPDATE project_quota SET used_bytes = used_bytes - 7 WHERE project_id = %s", site.first)
