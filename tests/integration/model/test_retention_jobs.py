"""Retention as a job: who does a run, how it is stopped, tried again and taken over, and what the clock starts."""

from typing import Any

import pytest

from haven_core.errors import BadRequest
from haven_core.jobs import leases, schedules, selectors, services
from haven_core.jobs import run as jobs_run
from haven_core.jobs.models import Execution, Task
from haven_core.models import OutboxEvent, RetentionExecution, RetentionPolicy, RetentionTask, Schedule
from haven_core.retention import policies
from haven_gc.retention import executions, run
from tests.integration.model.conftest import Clock
from tests.integration.model.test_retention import job_log, keep, policy, quiet_broker, work_off
from tests.support.site import Site

__all__ = ["quiet_broker"]


def test_a_run_is_a_job_that_tells_what_it_does(site: Site):
    gone, kept = site.push(b"a", "v1"), site.push(b"b", "v2")
    policy_id = policy(site, keep("always", tags="v2", untagged=False))
    execution = executions.start_retention(policy_id, dry_run=False, by="somebody")
    job = Execution.objects.get()
    assert (job.kind, job.subject_id, job.trigger, job.started_by) == ("RETENTION", policy_id, "MANUAL", "somebody")
    assert RetentionExecution.objects.get().status == "Pending"
    work_off()
    job.refresh_from_db()
    assert (job.status, job.result) == ("Success", {"total": 2, "retained": 1, "removed": 1})
    task = Task.objects.get()
    [phase] = selectors.progress_of(task)
    assert (phase.name, phase.done, phase.total, phase.is_over) == ("repositories", 1, 1, True)
    [line] = [line for line in job_log() if line["message"] == "removed"]
    assert (line["digest"], line["tags"], line["reason"]) == (gone, ["v1"], "no rule keeps it")
    found = RetentionExecution.objects.get(id=execution)
    assert (found.status, found.ended_at, found.started_by) == ("Success", job.ended_at, "somebody")
    [event] = OutboxEvent.objects.filter(topic="retention.finished")
    assert (event.payload["execution"], event.payload["status"]) == (execution, "Success")
    assert site.is_live(kept)


def test_a_stopped_execution_removes_nothing(site: Site):
    digest = site.push(b"a", "v1")
    policy_id = policy(site, keep("latestPushedK", 0))
    execution = executions.start_retention(policy_id, dry_run=False)
    executions.stop_execution(policy_id, execution)
    assert work_off() == 0
    assert (RetentionExecution.objects.get().status, RetentionTask.objects.get().status) == ("Stopped", "Stopped")
    assert site.is_live(digest)


def test_a_stop_in_the_middle_and_a_retry(site: Site, monkeypatch: pytest.MonkeyPatch):
    """Stopped as any job is: between two removals. The retry does the rest."""
    digests = [site.push(b"%d" % number, f"v{number}") for number in range(3)]
    executions.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False)
    monkeypatch.setattr(jobs_run, "BEAT_SECONDS", 0.0)
    honest = run._remove_one

    def remove_and_stop(*arguments: Any) -> Any:
        services.stop_task(Task.objects.get().pk)
        return honest(*arguments)

    monkeypatch.setattr(run, "_remove_one", remove_and_stop)
    work_off()
    assert sum(map(site.is_live, digests)) == 2
    task = RetentionTask.objects.get()
    assert (RetentionExecution.objects.get().status, task.status, task.retained) == ("Stopped", "Stopped", 2)
    assert "Retention job is stopped" in task.log
    monkeypatch.setattr(run, "_remove_one", honest)
    services.retry_task(Task.objects.get().pk)
    assert RetentionExecution.objects.get().status == "Pending"
    work_off()
    assert (RetentionExecution.objects.get().status, RetentionTask.objects.get().status) == ("Success", "Success")
    assert not any(map(site.is_live, digests))


def test_a_repository_that_fails_is_tried_again_alone(site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    other = site.new_repository(site.first, "other")
    digest = site.push(b"a", "v1")
    executions.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False)
    honest, seen = run.plan_repository, list[str]()

    def plan(project_id: int, repository: Any, *more: Any) -> Any:
        seen.append(repository.name)
        if repository.id == other and len(seen) < 3:
            raise ValueError("odd")
        return honest(project_id, repository, *more)

    monkeypatch.setattr(run, "plan_repository", plan)
    work_off()
    assert not site.is_live(digest)
    statuses = dict(RetentionTask.objects.values_list("repository", "status"))
    assert (statuses.pop("other"), set(statuses.values())) == ("Error", {"Success"})
    assert Task.objects.get().status == "Scheduled"
    clock.advance(minutes=2)
    work_off()
    assert (RetentionExecution.objects.get().status, seen.count("other"), len(seen)) == ("Success", 2, 3)


def test_the_schedule_follows_the_policy_and_starts_runs(site: Site, clock: Clock):
    digest = site.push(b"a", "v1")
    rule = keep("latestPushedK", 0)
    with pytest.raises(BadRequest):
        policies.create_policy(project_id=site.first, rules=[rule], cron="0 0 0 * *")
    assert RetentionPolicy.objects.count() == 0
    policy_id = policies.create_policy(project_id=site.first, rules=[rule], cron="0 0 0 * * *", by="owner")
    assert Schedule.objects.get().subject_id == policy_id
    clock.advance(days=1)
    assert len(schedules.fire_due()) == 1
    execution = RetentionExecution.objects.get()
    assert (execution.trigger, execution.started_by, execution.is_dry_run) == ("SCHEDULE", "owner", False)
    work_off()
    assert not site.is_live(digest)
    policies.update_policy(policy_id=policy_id, project_id=site.first, rules=[rule])
    assert Schedule.objects.count() == 0


def test_a_policy_that_is_deleted_takes_its_runs_along(site: Site, clock: Clock):
    digest = site.push(b"a", "v1")
    policy_id = policies.create_policy(project_id=site.first, rules=[keep("latestPushedK", 0)], cron="0 0 0 * * *")
    executions.start_retention(policy_id, dry_run=False)
    left = Schedule.objects.get()
    policies.delete_policy(policy_id)
    assert (Execution.objects.get().status, RetentionExecution.objects.count()) == ("Stopped", 0)
    left.save()  # a crash between the two transactions of the delete leaves the schedule
    clock.advance(days=1)
    assert len(schedules.fire_due()) == 1
    work_off()
    assert Execution.objects.latest("id").status == "Success"
    assert site.is_live(digest)


@pytest.fixture
def every_second_removal_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker removes one and is killed at the next."""
    monkeypatch.setattr(jobs_run, "BEAT_SECONDS", 0.0)
    honest, is_doomed = run._remove_one, False

    def remove_one(*arguments: Any) -> Any:
        nonlocal is_doomed
        is_doomed = not is_doomed
        if not is_doomed:
            raise SystemExit
        return honest(*arguments)

    monkeypatch.setattr(run, "_remove_one", remove_one)


def test_an_execution_that_gets_on_may_lose_any_number_of_workers(
    site: Site, clock: Clock, every_second_removal_kills: None
):
    digests = [site.push(b"%d" % number, f"v{number}") for number in range(8)]
    executions.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False)
    for left in range(7, 0, -1):
        with pytest.raises(SystemExit):
            work_off()
        assert sum(map(site.is_live, digests)) == left
        clock.advance(seconds=41)
        assert leases.reap() == 1
    work_off()
    assert RetentionExecution.objects.get().status == "Success"
    assert not any(map(site.is_live, digests))


def test_an_execution_that_kills_its_workers_ends(site: Site, clock: Clock):
    site.push(b"a", "v1")
    executions.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False)
    for _ in range(5):
        assert leases.claim(Task.objects.get().pk, "dying") is not None
        assert RetentionExecution.objects.get().status == "Running"
        clock.advance(seconds=41)
        leases.reap()
    assert (RetentionExecution.objects.get().status, RetentionTask.objects.get().status) == ("Error", "Error")
    assert site.tag("v1") is not None
