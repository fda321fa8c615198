"""Making and changing retention policies."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest, NotFound, ProjectUnknown
from haven_core.events.outbox import publish
from haven_core.jobs.cron import CUSTOM, checked_cron
from haven_core.jobs.errors import ScheduleUnknown
from haven_core.jobs.models import ACTIVE, Execution
from haven_core.jobs.schedules import remove_schedule, set_schedule
from haven_core.jobs.services import stop_execution
from haven_core.projects.models import Project
from haven_core.retention.models import RetentionExecution, RetentionPolicy, RetentionTask
from haven_core.retention.rules import check_rules

METADATA_KEY = "retention_id"
KIND = "RETENTION"  # of the job that does a run; its subject is the policy
SCHEDULE = "Schedule"


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy as the API shows it; rules in Harbor's JSON."""

    id: int
    project_id: int
    rules: Sequence[Mapping[str, Any]]
    trigger_kind: str
    cron: str
    mode: str


def find_policy(policy_id: int) -> PolicyView | None:
    """A policy of a project that is not deleted. One SQL statement."""
    columns = ("id", "project_id", "rules", "trigger_kind", "cron", "mode")
    found = RetentionPolicy.objects.filter(id=policy_id, project__deleted_at=None).values_list(*columns).first()
    return PolicyView(*found) if found else None


def create_policy(
    *,
    project_id: int,
    rules: Sequence[Mapping[str, Any]],
    trigger_kind: str = SCHEDULE,
    cron: str = "",
    mode: str = RetentionPolicy.ARTIFACT,
    by: str = "",
) -> int:
    """Give a project its policy, named in its metadata; returns the id. cron: six fields, or '' for by hand only.

    Raises ProjectUnknown, BadRequest (the project has one; a rule, cron or mode that can't be used), Conflict (a rule
    twice). Locks: project (NO KEY UPDATE), so of two requests at once one gets it.
    """
    values = _checked(rules, trigger_kind, cron, mode)

    def work() -> int:
        now = timezone.now()
        project = _hold_project(project_id)
        old = RetentionPolicy.objects.filter(project_id=project_id).values_list("id", flat=True).first()
        if old is not None:
            raise BadRequest(f"project {project_id} already has retention policy {old}")
        policy = RetentionPolicy.objects.create(project_id=project_id, created_at=now, updated_at=now, **values)
        Project.objects.filter(id=project_id).update(metadata={**project.metadata, METADATA_KEY: str(policy.pk)})
        publish("retention_policy.created", now, project=project_id, policy=policy.pk, by=by)
        return int(policy.pk)

    policy_id = run_write(work)
    _schedule(policy_id, values["cron"], by)
    return policy_id


def update_policy(
    *,
    policy_id: int,
    project_id: int,
    rules: Sequence[Mapping[str, Any]],
    trigger_kind: str = SCHEDULE,
    cron: str = "",
    mode: str = RetentionPolicy.ARTIFACT,
    by: str = "",
) -> None:
    """Replace all of a policy but its project. A run that goes on ends by the rules it began with.

    Raises NotFound (also when it is another project's), BadRequest, Conflict.
    """
    values = _checked(rules, trigger_kind, cron, mode)

    def work() -> None:
        now = timezone.now()
        found = RetentionPolicy.objects.filter(id=policy_id, project_id=project_id, project__deleted_at=None)
        if not found.update(updated_at=now, **values):
            raise NotFound(f"the retention policy id {policy_id} does not match")
        publish("retention_policy.updated", now, project=project_id, policy=policy_id, by=by)

    run_write(work)
    _schedule(policy_id, values["cron"], by)


def delete_policy(policy_id: int, *, by: str = "") -> None:
    """Remove a policy with its executions; one that runs is stopped. Raises NotFound.

    Locks: project (NO KEY UPDATE), then the policy and what hangs on it.
    """

    def work() -> None:
        now = timezone.now()
        project_id = RetentionPolicy.objects.filter(id=policy_id).values_list("project_id", flat=True).first()
        if project_id is None:
            raise NotFound("retention policy not found")
        project = _hold_project(project_id)
        if not backend.locked(RetentionPolicy.objects.filter(id=policy_id).values_list("id"), "UPDATE"):
            raise NotFound("retention policy not found")
        RetentionTask.objects.filter(execution__policy_id=policy_id).delete()
        RetentionExecution.objects.filter(policy_id=policy_id).delete()
        RetentionPolicy.objects.filter(id=policy_id).delete()
        metadata = {key: value for key, value in project.metadata.items() if key != METADATA_KEY}
        Project.objects.filter(id=project_id).update(metadata=metadata)
        publish("retention_policy.deleted", now, project=project_id, policy=policy_id, by=by)

    run_write(work)
    _schedule(policy_id, "", by)
    active = Execution.objects.filter(kind=KIND, subject_id=policy_id, status__in=ACTIVE)
    for job_id in list(active.values_list("id", flat=True)):
        stop_execution(job_id)


def _schedule(policy_id: int, cron: str, by: str) -> None:
    """Make the schedule what the policy says, in a transaction after its own: a crash in between leaves the old one, and
    one that is left of a deleted policy starts nothing."""
    if cron:
        set_schedule(KIND, word=CUSTOM, cron=cron, subject_id=policy_id, created_by=by)
    else:
        with suppress(ScheduleUnknown):
            remove_schedule(KIND, subject_id=policy_id)


def _hold_project(project_id: int) -> Project:
    live = Project.objects.filter(id=project_id, deleted_at=None)
    if not backend.locked(live.values_list("id"), "NO KEY UPDATE"):
        raise ProjectUnknown
    project = live.first()  # second statement: its metadata now that it is held
    if project is None:
        raise ProjectUnknown
    return project


def _checked(rules: Sequence[Mapping[str, Any]], trigger_kind: str, cron: str, mode: str) -> dict[str, Any]:
    if trigger_kind not in ("", SCHEDULE):
        raise BadRequest(f'the kind of the trigger is "{SCHEDULE}"')
    cron = checked_cron(CUSTOM, cron) if cron.strip() else ""
    if mode not in (RetentionPolicy.ARTIFACT, RetentionPolicy.TAG):
        raise BadRequest('mode is "artifact" or "tag"')
    return {"rules": check_rules(rules), "trigger_kind": trigger_kind, "cron": cron, "mode": mode}
