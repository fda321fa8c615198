"""Running retention: executions, their tasks (one for each repository), and the worker's part.

The database is the truth: a worker claims an execution, moves its heartbeat on while it works, and finds out at each
step when somebody stopped the execution, removed it, or took it over.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.connections import is_unavailable
from haven_core.db.transactions import run_write
from haven_core.domain.retention import Action, Decision
from haven_core.errors import HavenError, NotFound, TagImmutable
from haven_core.events.outbox import publish
from haven_core.retention.models import RetentionExecution, RetentionPolicy, RetentionTask
from haven_gc.retention import report
from haven_gc.retention.plan import Plan, Removal, SelectedRepository, plan_repository, select_repositories
from haven_registry.errors import ManifestReferenced, ManifestUnknown, RepositoryUnknown, TagsChanged, TagUnknown
from haven_registry.services.delete import delete_manifest
from haven_registry.services.tags import delete_tag

MANUAL, SCHEDULE = "MANUAL", "SCHEDULE"
EXECUTIONS_KEPT = 50  # of a policy, as Harbor
BEAT_SECONDS = 1.0
LEASE = timedelta(seconds=60)  # without a heartbeat; then another worker may take over
MAX_ATTEMPTS = 5  # without getting on; one that gets on may lose any number of workers
_OPEN = (RetentionExecution.PENDING, RetentionExecution.RUNNING)

_log = logging.getLogger("haven.gc")


class _LostError(Exception):
    """The execution is gone, or another worker's."""


class _StoppedError(Exception):
    """Somebody asked for a stop."""


def run_retention(policy_id: int, dry_run: bool, trigger: str = SCHEDULE, by: str = "") -> int:
    """Make an execution of the policy and run it to its end; its id. Raises NotFound."""
    execution_id = start_retention(policy_id, dry_run=dry_run, trigger=trigger, by=by)
    run_execution(execution_id)
    return execution_id


def start_retention(policy_id: int, *, dry_run: bool, trigger: str, by: str = "") -> int:
    """Make an execution with a task for each repository that the rules select, for a worker to run; its id.

    One without tasks has succeeded. Forgets the policy's oldest executions. Raises NotFound.
    Locks: retention_policy (KEY SHARE).
    """

    def work() -> int:
        now = timezone.now()
        policies = RetentionPolicy.objects.filter(id=policy_id, project__deleted_at=None)
        if not backend.sql(
            "SELECT id FROM retention_policy WHERE id = %s" + backend.lock("KEY SHARE", "retention_policy"), policy_id
        ):
            raise NotFound("retention policy not found")
        policy = policies.first()
        if policy is None:
            raise NotFound("retention policy not found")
        execution = RetentionExecution.objects.create(
            policy_id=policy_id, trigger=trigger, started_by=by, is_dry_run=dry_run, rules=policy.rules,
            mode=policy.mode, started_at=now,
        )  # fmt: skip
        selected = select_repositories(policy.project_id, policy.rules)
        RetentionTask.objects.bulk_create(
            RetentionTask(execution_id=execution.pk, repository_id=one.id, repository=one.name, started_at=now)
            for one in selected
        )
        if not selected:
            _end(execution, RetentionExecution.SUCCESS, policy.project_id)
        _forget_old(policy_id)
        return int(execution.pk)

    return run_write(work)


def stop_execution(policy_id: int, execution_id: int) -> None:
    """Ask for a stop; what waits is stopped at once, what runs within about BEAT_SECONDS. What has ended stays as it is.

    Raises NotFound, also for an execution of another policy.
    """
    now = timezone.now()

    def work() -> None:
        found = RetentionExecution.objects.filter(id=execution_id, policy_id=policy_id)
        if not found.exists():
            raise NotFound("retention execution not found")
        found.filter(status__in=_OPEN).update(is_stopping=True)
        if found.filter(status=RetentionExecution.PENDING).update(status=RetentionExecution.STOPPED, ended_at=now):
            _stop_tasks(execution_id)

    run_write(work)


def find_due_executions() -> list[int]:
    """Executions that wait for a worker, or whose worker has gone."""
    silent = Q(status=RetentionExecution.RUNNING, heartbeat_at__lt=timezone.now() - LEASE)
    due = RetentionExecution.objects.filter(Q(status=RetentionExecution.PENDING) | silent)
    return list(due.order_by("id").values_list("id", flat=True)[:100])


def run_execution(execution_id: int) -> bool:
    """Run an execution to its end, or from where a lost worker left it; False when there is nothing to run, because it
    has ended or another worker has it. Repeating is harmless: what has gone is found gone."""
    lease = _claim(execution_id)
    if lease is None:
        return False
    execution = RetentionExecution.objects.select_related("policy").filter(id=execution_id).first()
    if execution is None:
        return False  # its policy was deleted
    project_id = execution.policy.project_id
    status = RetentionExecution.SUCCESS
    try:
        selected = {one.id: one for one in select_repositories(project_id, execution.rules)}
        for task in RetentionTask.objects.filter(execution_id=execution_id, status__in=_OPEN).order_by("id"):
            lease.keep()
            _run_task(task, execution, project_id, selected.get(task.repository_id), lease)
            lease.got_on()
        if RetentionTask.objects.filter(execution_id=execution_id, status=RetentionExecution.ERROR).exists():
            status = RetentionExecution.ERROR
    except _StoppedError:
        status = RetentionExecution.STOPPED
    except _LostError:
        return False
    run_write(lambda: _end(execution, status, project_id))
    return True


class _Lease:
    """A worker's hold on an execution."""

    def __init__(self, execution_id: int, attempt: int) -> None:
        self._mine = RetentionExecution.objects.filter(
            id=execution_id, attempt=attempt, status=RetentionExecution.RUNNING
        )
        self._changes: dict[str, Any] = {}
        self._attempt, self._next = attempt, 0.0

    def got_on(self) -> None:
        """Something is done that no later attempt has to do again; recorded by the next keep()."""
        self._changes = {"advanced_in": self._attempt}

    def keep(self) -> None:
        """Show that we live, once in BEAT_SECONDS. Raises _StoppedError, _LostError."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + BEAT_SECONDS
        if not self._mine.update(heartbeat_at=timezone.now(), **self._changes):
            raise _LostError
        if self._mine.filter(is_stopping=True).exists():
            raise _StoppedError


def _claim(execution_id: int) -> _Lease | None:
    now = timezone.now()
    free = Q(status=RetentionExecution.PENDING) | Q(status=RetentionExecution.RUNNING, heartbeat_at__lt=now - LEASE)

    def work() -> _Lease | None:
        claimed = RetentionExecution.objects.filter(free, id=execution_id)
        if claimed.filter(attempt__gte=F("advanced_in") + MAX_ATTEMPTS).update(
            status=RetentionExecution.ERROR, ended_at=now
        ):
            _stop_tasks(execution_id)
            return None
        # one UPDATE: of two workers the second finds a fresh heartbeat
        if not claimed.update(status=RetentionExecution.RUNNING, heartbeat_at=now, attempt=F("attempt") + 1):
            return None
        attempt = RetentionExecution.objects.values_list("attempt", flat=True).get(id=execution_id)
        return _Lease(execution_id, attempt)

    return run_write(work)


def _run_task(
    task: RetentionTask,
    execution: RetentionExecution,
    project_id: int,
    repository: SelectedRepository | None,
    lease: _Lease,
) -> None:
    mine = RetentionTask.objects.filter(id=task.pk)
    now = timezone.now()
    log = report.headline(task.repository, is_dry_run=execution.is_dry_run)
    mine.update(status=RetentionExecution.RUNNING, started_at=now, log=log)
    values: dict[str, object] = {"status": RetentionExecution.SUCCESS}
    try:
        if repository is None:
            log += "The repository is gone.\n"
        else:
            plan = plan_repository(project_id, repository, execution.mode, now)
            log += f"Load {len(plan.decisions)} candidates from repository {task.repository}\n"
            try:
                if not execution.is_dry_run:
                    mine.update(log=log)
                    _remove(repository.id, plan, lease)
            finally:  # also of a run that was stopped half way it is told what it did
                gone = sum(one.action is Action.DELETE for one in plan.decisions)
                values |= {"total": len(plan.decisions), "retained": len(plan.decisions) - gone}
                log += report.table(plan.decisions)
    except _StoppedError:
        values["status"] = RetentionExecution.STOPPED
        log += "Retention job is stopped\n"
        raise
    except (_LostError, KeyboardInterrupt, SystemExit):  # somebody else has it, or goes on when this worker is gone
        values = {}
        raise
    except Exception as error:  # one repository's trouble is not the others'
        if is_unavailable(error):  # the database's is nobody's: the execution goes on from here when its lease is over
            values = {}
            raise
        _log.exception("retention of repository %s failed", task.repository_id)
        values["status"] = RetentionExecution.ERROR
        log += f"Retention failed: {type(error).__name__}\n"
    finally:
        if values:
            mine.update(log=log, ended_at=timezone.now(), **values)


def _remove(repository_id: int, plan: Plan, lease: _Lease) -> None:
    """Carry the plan out; its decisions become what happened. Each removal is a transaction of its own."""
    waiting = {number for removal in plan.removals for number in removal.decisions}
    try:
        for removal in plan.removals:
            lease.keep()
            refused = _remove_one(repository_id, removal)
            waiting.difference_update(removal.decisions)
            if refused is None:
                lease.got_on()
            else:
                _decide_anew(plan, removal.decisions, *refused)
    finally:
        _decide_anew(plan, tuple(waiting), Action.RETAIN, "the run ended before it")


def _decide_anew(plan: Plan, numbers: tuple[int, ...], action: Action, reason: str) -> None:
    for number in numbers:
        before: Decision = plan.decisions[number]
        plan.decisions[number] = replace(before, action=action, reason=reason)


def _remove_one(repository_id: int, removal: Removal) -> tuple[Action, str] | None:
    """Into the trash, an artifact with its accessories (ADR 0018); or what keeps it. None: it is gone, whoever removed it."""
    try:
        if removal.tag is None:
            delete_manifest(
                repository_id=repository_id, digest=removal.digest, only_with_tags=removal.tags, with_accessories=True
            )
        else:
            pushed_at = removal.tags[removal.tag]
            delete_tag(repository_id=repository_id, name=removal.tag, only_if_pushed_at=pushed_at)
    except (ManifestUnknown, TagUnknown, RepositoryUnknown):
        return None
    except TagImmutable as refusal:
        return Action.IMMUTABLE, str(refusal)
    except (TagsChanged, ManifestReferenced):
        return Action.RETAIN, "pushed while the run went on"
    except HavenError as error:
        return Action.ERROR, str(error)
    return None


def _end(execution: RetentionExecution, status: str, project_id: int) -> None:
    now = timezone.now()
    ended = RetentionExecution.objects.filter(id=execution.pk, attempt=execution.attempt, status__in=_OPEN)
    if not ended.update(status=status, ended_at=now):
        return
    if status == RetentionExecution.STOPPED:
        _stop_tasks(execution.pk)
    publish(
        "retention.finished", now, project=project_id, policy=execution.policy_id, execution=execution.pk,
        status=status, dry_run=execution.is_dry_run, by=execution.started_by,
    )  # fmt: skip


def _stop_tasks(execution_id: int) -> None:
    tasks = RetentionTask.objects.filter(execution_id=execution_id, status__in=_OPEN)
    tasks.update(status=RetentionExecution.STOPPED, ended_at=timezone.now())


def _forget_old(policy_id: int) -> None:
    ended = RetentionExecution.objects.filter(policy_id=policy_id).exclude(status__in=_OPEN)
    old = list(ended.order_by("-id").values_list("id", flat=True)[EXECUTIONS_KEPT : EXECUTIONS_KEPT + 500])
    RetentionTask.objects.filter(execution_id__in=old).delete()
    RetentionExecution.objects.filter(id__in=old).delete()
