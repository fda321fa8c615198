"""The garbage collection job: what it frees, tells, and leaves alone."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from haven_core.errors import BadRequest
from haven_core.jobs import leases, selectors, services
from haven_core.jobs.errors import AlreadyRunning
from haven_core.jobs.models import FINAL, Execution
from haven_core.jobs.runner import run_task
from haven_gc import job, plan, tasks
from haven_gc.progress import Progress
from haven_registry.models import Blob, Manifest, Repository, StorageObject, Upload
from haven_registry.services import purge, repositories, uploads
from haven_registry.services.delete import delete_manifest
from haven_registry.services.pulls import PullCount, apply_pull_batch
from tests.integration.gc.conftest import Clock, RunJob, log_of
from tests.support.races import shared_database
from tests.support.site import OWNER, Site

__all__ = ["shared_database"]


def test_zero_windows_free_what_was_deleted_at_once(site: Site, windows: Callable[..., None], run_job: RunJob) -> None:
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    site.push(b"kept", "t")
    delete_manifest(repository_id=site.repository, digest=site.push(b"gone"))
    site.limit(10_000)
    used, keys = site.used(), len(site.stored_keys())
    execution = run_job()
    assert execution.status == "Success"
    assert {name: execution.result[name] for name in ("purged_manifests", "purged_blobs", "freed_space")} == {
        "purged_manifests": 1, "purged_blobs": 1, "freed_space": 4,
    }  # fmt: skip
    assert site.used() < used
    assert len(site.stored_keys()) == keys - 1, "the bytes are gone, too"
    assert site.tag("t") is not None


def test_a_repository_with_an_upload_goes_in_one_run(site: Site, windows: Callable[..., None], run_job: RunJob) -> None:
    windows(restore_window=0, gc_grace=0)
    other = site.new_repository(site.first, "other")
    site.push(b"leased", repository=other)
    uploads.start_upload(repository_id=other, owner=OWNER)
    repositories.delete_repository(repository_id=other)
    run_job()
    assert Upload.objects.filter(repository_id=other).count() == 0
    assert not Blob.objects.exists(), "a lease ends with its repository"
    assert site.stored_keys() == []


def test_many_deleted_repositories_go_in_one_run(
    site: Site, windows: Callable[..., None], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    monkeypatch.setattr(purge, "REPOSITORIES_TRIED", 2)
    gone = [site.new_repository(site.first, f"app{number}") for number in range(15)]
    for number, repository in enumerate(gone):
        site.push(b"%04d" % number, repository=repository)
        repositories.delete_repository(repository_id=repository)
    execution = run_job()
    assert (execution.status, execution.result["purged_manifests"]) == ("Success", 15)
    assert not Repository.objects.filter(id__in=gone).exists()
    assert site.stored_keys() == []


@pytest.mark.parametrize("odd", ["first", "second"])
def test_a_run_with_a_project_that_always_fails_ends(
    site: Site, clock: Clock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    honest = job.collector.collect

    def collect(project_id: int, **options: bool) -> object:
        if project_id == getattr(site, odd):
            raise ValueError("odd")
        return honest(project_id, **options)

    monkeypatch.setattr(job.collector, "collect", collect)
    execution_id = services.start_execution(job.KIND, job.checked_parameters({}))
    (task_id,) = selectors.task_ids(execution_id)
    runs = 0
    while Execution.objects.get(id=execution_id).status not in FINAL:
        runs += run_task(task_id, "test", has_keeper=False)
        assert runs <= 3
        clock.advance(minutes=10)
    assert Execution.objects.get(id=execution_id).status == "Error"


def test_windows_and_leases_are_kept(site: Site, run_job: RunJob) -> None:
    digest = site.push(b"deleted")
    delete_manifest(repository_id=site.repository, digest=digest)
    site.upload(b"in flight")
    result = run_job(delete_untagged=True).result
    assert not any(result.values())
    assert (Manifest.objects.count(), Blob.objects.count()) == (1, 2)


def test_untagged_only_when_asked(site: Site, clock: Clock, run_job: RunJob) -> None:
    digest = site.push(b"untagged")
    clock.advance(hours=25)
    assert run_job().result["trashed_untagged"] == 0
    assert site.is_live(digest)
    assert run_job(delete_untagged=True).result["trashed_untagged"] == 1
    assert not site.is_live(digest)
    assert Manifest.objects.count() == 1, "it can be restored"


def test_an_untagged_manifest_that_is_pulled_by_its_digest_stays(site: Site, clock: Clock, run_job: RunJob) -> None:
    pulled, other = site.push(b"pulled"), site.push(b"other")
    clock.advance(hours=25)
    now = timezone.now()
    apply_pull_batch(uuid4(), [PullCount(site.repository, pulled, "", now.date(), 1, now)])
    clock.advance(hours=23)
    for dry_run in (True, False):
        assert run_job(delete_untagged=True, dry_run=dry_run).result["trashed_untagged"] == 1
    assert (site.is_live(pulled), site.is_live(other)) == (True, False)
    clock.advance(hours=2)
    run_job(delete_untagged=True)
    assert not site.is_live(pulled)


def test_the_dry_run_names_everything_and_why(site: Site, clock: Clock, run_job: RunJob) -> None:
    digest = site.push(b"deleted")
    delete_manifest(repository_id=site.repository, digest=digest)
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    clock.advance(days=8)
    execution = run_job(dry_run=True)
    named = [(line["what"], line["reason"]) for line in log_of(execution) if "what" in line]
    assert named == [
        ("manifest", plan.ENDED), ("link", plan.NOT_NAMED), ("blob", plan.NOT_CHARGED), ("upload", plan.ABANDONED)
    ]  # fmt: skip
    assert (execution.result["purged_blobs"], execution.result["freed_space"]) == (1, 7)
    assert (Manifest.objects.count(), Blob.objects.count(), Upload.objects.filter(state="open").count()) == (1, 1, 1)
    assert StorageObject.objects.filter(state="dead").count() == 0


def test_stop(site: Site, clock: Clock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch) -> None:
    delete_manifest(repository_id=site.repository, digest=site.push(b"deleted"))
    clock.advance(days=8)
    honest = job.collector.collect

    def stop_first(project_id: int, **options: bool) -> object:
        execution_id = services.Execution.objects.get().id
        services.stop_execution(execution_id)
        monkeypatch.setattr("haven_core.jobs.run.BEAT_SECONDS", 0)
        return honest(project_id, **options)

    monkeypatch.setattr(job.collector, "collect", stop_first)
    assert run_job().status == "Stopped"


class Killed(BaseException):
    """A worker's end by kill -9, as far as rows can tell: nothing is written any more."""


def test_a_run_ends_well_whose_workers_are_killed_whenever_they_removed_something(
    site: Site, windows: Callable[..., None], clock: Clock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    for number in range(8):  # of deleted repositories one is emptied at a time
        repository = site.new_repository(site.first, f"app{number}")
        site.push(b"%04d" % number, repository=repository)
        repositories.delete_repository(repository_id=repository)
    honest, kills, is_doomed = job.collector.collect, 0, False

    def collect(project_id: int, **options: bool) -> object:
        nonlocal kills, is_doomed
        if is_doomed:
            kills, is_doomed = kills + 1, False
            raise Killed
        done = honest(project_id, **options)
        is_doomed = not job.collector.was_idle(done)
        return done

    monkeypatch.setattr("haven_core.jobs.run.BEAT_SECONDS", 0)
    monkeypatch.setattr(job.collector, "collect", collect)
    execution_id = services.start_execution(job.KIND, job.checked_parameters({}))
    (task_id,) = selectors.task_ids(execution_id)
    while (execution := Execution.objects.get(id=execution_id)).status not in FINAL:
        with suppress(Killed):
            assert run_task(task_id, "test", has_keeper=False)
        clock.advance(minutes=1)
        leases.reap()
    assert (execution.status, kills > 5) == ("Success", True)
    assert (execution.result["purged_manifests"], execution.result["purged_blobs"]) == (8, 8)
    assert site.stored_keys() == []


def test_what_is_finished_is_not_done_again_for_a_killed_worker(
    site: Site, windows: Callable[..., None], clock: Clock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the end of each piece of work, a run does each once more at most: it gets on with every worker."""
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    delete_manifest(repository_id=site.repository, digest=site.push(b"gone"))
    done: list[object] = []

    def killed_at_its_end(name: str) -> None:
        honest = getattr(job, name)

        def work(progress: Progress, *rest: object, **options: object) -> None:
            honest(progress, *rest, **options)
            progress.run.flush()
            done.append((name, *rest, *options))
            if done.count(done[-1]) == 1 and name != "_sweep":
                raise Killed

        monkeypatch.setattr(job, name, work)

    for name in ("_collect_guarded", "_purge_unused_blobs", "_reap_uploads", "_sweep"):
        killed_at_its_end(name)
    execution_id = services.start_execution(job.KIND, job.checked_parameters({}))
    (task_id,) = selectors.task_ids(execution_id)
    while (execution := Execution.objects.get(id=execution_id)).status not in FINAL:
        with suppress(Killed):
            assert run_task(task_id, "test", has_keeper=False)
        clock.advance(minutes=1)
        leases.reap()
    assert execution.status == "Success", log_of(execution)
    assert done == [
        *[("_collect_guarded", project, "delete_untagged") for project in (site.first, site.second) for _ in range(2)],
        *[("_collect_guarded", project, "scan") for project in (site.first, site.second) for _ in range(2)],
        *[("_purge_unused_blobs",)] * 2, *[("_reap_uploads",)] * 2, *[("_sweep",)] * 2,
    ]  # fmt: skip


def test_clients_that_delete_meanwhile_do_not_keep_a_killed_run(
    site: Site, windows: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after each pass over a project, while more is deleted before each: the run has its own work, and an end."""
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    kills, honest_reach, honest_collect = 0, Progress.reach, job.collector.collect

    def collect(project_id: int, **options: Any) -> Counter[str]:
        clock.advance(seconds=1)
        delete_manifest(repository_id=site.repository, digest=site.push(b"gone %d" % kills))
        return honest_collect(project_id, **options)

    def reach(progress: Progress, *place: Any) -> None:
        nonlocal kills
        honest_reach(progress, *place)
        progress.run.flush()
        kills += 1
        raise Killed

    monkeypatch.setattr(job.collector, "collect", collect)
    monkeypatch.setattr(Progress, "reach", reach)
    execution_id = services.start_execution(job.KIND, job.checked_parameters({}))
    (task_id,) = selectors.task_ids(execution_id)
    while (execution := Execution.objects.get(id=execution_id)).status not in FINAL:
        with suppress(Killed):
            assert run_task(task_id, "test", has_keeper=False)
        assert kills < 100, "it has no end"
        clock.advance(minutes=1)
        leases.reap()
    assert execution.status == "Success", log_of(execution)
    assert execution.result["purged_manifests"] > 3


def test_a_project_that_fails_keeps_no_other_from_being_collected(
    site: Site, windows: Callable[..., None], clock: Clock, run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    other = site.new_repository(site.second, "app")
    for repository in (site.repository, other):
        delete_manifest(repository_id=repository, digest=site.push(b"gone %d" % repository, repository=repository))
    honest, is_odd = job.collector.collect, True

    def collect(project_id: int, **options: bool) -> object:
        if project_id == site.first and is_odd:
            raise ValueError("odd")
        return honest(project_id, **options)

    monkeypatch.setattr(job.collector, "collect", collect)
    execution = run_job()
    assert execution.status == "Pending", "it is tried again"
    [line] = [line for line in log_of(execution) if line["message"] == "could not be collected"]
    assert (line["project"], line["error"]) == (site.first, "ValueError")
    assert set(Manifest.objects.values_list("repository_id", flat=True)) == {site.repository}
    tasks.collect_due()
    is_odd = False
    clock.advance(minutes=1)
    (task_id,) = selectors.task_ids(execution.id)
    assert run_task(task_id, "test", has_keeper=False)
    execution.refresh_from_db()
    assert (execution.status, Manifest.objects.count()) == ("Success", 0)


def test_several_workers_delete_the_bytes(
    shared_database: None, site: Site, windows: Callable[..., None], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is one worker's; together they take everything, and the total is right."""
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    for number in range(12):
        delete_manifest(repository_id=site.repository, digest=site.push(b"%04d" % number))
    honest, threads = job.sweep, set[str]()

    def sweep_a_little(driver: object, **options: object) -> object:
        threads.add(threading.current_thread().name)
        time.sleep(0.02)
        return honest(driver, limit=2, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "sweep", sweep_a_little)
    monkeypatch.setattr(job, "BATCH", 2)
    assert run_job(workers=3).result["deleted_keys"] == 12
    assert {f"sweep_{number}" for number in range(3)} <= threads
    assert site.stored_keys() == []


def test_a_run_ends_though_others_delete_as_quickly_as_it_collects(
    site: Site, windows: Callable[..., None], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows(restore_window=0, gc_grace=0, upload_lease=0, head_margin=0)
    deleted: list[str] = []

    def delete_one() -> None:
        assert len(deleted) < 200, "it finds no end"
        digest = site.push(b"%04d" % len(deleted))
        deleted.append(digest)
        delete_manifest(repository_id=site.repository, digest=digest)

    delete_one()
    monkeypatch.setattr(job.Pace, "rest", lambda self: delete_one())
    execution = run_job(delete_untagged=True)
    assert execution.status == "Success", log_of(execution)
    assert execution.result["purged_manifests"] >= 1
    assert not Manifest.objects.filter(digest=deleted[0]).exists(), "what was there is gone"


def test_one_at_a_time(site: Site, run_job: RunJob) -> None:
    services.start_execution(job.KIND, {})
    with pytest.raises(AlreadyRunning):
        run_job()


@pytest.mark.parametrize(
    "sent", [{"workers": 0}, {"workers": 11}, {"workers": "2"}, {"workers": True}, {"dry_run": "yes"}]
)
def test_parameters_that_are_none(sent: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        job.checked_parameters(sent)
