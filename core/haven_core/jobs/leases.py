"""Who works on a task: claims, heartbeats, endings, and taking away what a dead worker held.

A claim raises the task's fence; every later write names it and changes nothing under another one. So a worker that was
taken for dead, or whose clock jumped, can't undo what its successor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.jobs.errors import ExecutionUnknown, LeaseLost
from haven_core.jobs.kinds import find_kind, kind_names
from haven_core.jobs.models import WAITING, LogChunk, Pause, Status, Task, Worker
from haven_core.jobs.processes import has_ended, own_process
from haven_core.jobs.services import forget_old_executions, hold_execution, settle_execution

LEASE = timedelta(seconds=30)
"""How long a worker may be silent. With the tick's interval this bounds the time until its tasks run again: 40 s."""
REAP_BATCH = 100
_FIRST_WAIT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that this worker holds, under this fence."""

    task_id: int
    execution_id: int
    fence: int
    kind: str
    subject_id: int
    attempt: int
    parameters: Mapping[str, Any]
    checkpoint: Mapping[str, Any]


def claim(task_id: int, worker: str) -> Claim | None:
    """Take a waiting task whose time has come; None when it is gone, taken, stopped, paused or early, or the worker has no
    place for it. Of many callers one gets it. Locks: job_worker, job_execution, job_task."""

    def work() -> Claim | None:
        execution_id = Task.objects.filter(id=task_id).values_list("execution_id", flat=True).first()
        if execution_id is None:
            return None
        if not _has_place(worker):
            return None
        try:
            hold_execution(execution_id)
        except ExecutionUnknown:
            return None
        now = timezone.now()
        task = (
            Task.objects.select_related("execution").filter(id=task_id, status__in=WAITING, run_after__lte=now).first()
        )
        if task is None or Pause.objects.filter(kind=task.kind).exists():
            return None
        Task.objects.filter(id=task_id).update(
            status=Status.RUNNING, worker=worker[:255], process=own_process(), fence=F("fence") + 1, attempt=F("attempt") + 1,
            lease_until=now + LEASE, heartbeat_at=now, started_at=now, phases=[], error="",
        )  # fmt: skip
        settle_execution(execution_id, now)
        return Claim(
            task_id,
            execution_id,
            task.fence + 1,
            task.kind,
            task.execution.subject_id,
            task.attempt + 1,
            task.parameters,
            task.checkpoint,
        )

    return run_write(work)


def _has_place(worker: str) -> bool:
    """Jobs may take all day: one process of a worker that has several is never theirs, but for what the clock sends, such as
    the audit log's. Two processes ask one after the other."""
    rows = backend.locked(Worker.objects.filter(name=worker[:255]).values_list("concurrency"), "NO KEY UPDATE")
    places = max(rows[0][0] - 1, 1) if rows else inf  # a command is no worker
    return Task.objects.filter(status=Status.RUNNING, worker=worker[:255]).count() < places


def beat(
    held: Claim,
    phases: list[dict[str, Any]],
    lines: str,
    line_count: int,
    checkpoint: Mapping[str, Any] | None = None,
) -> bool:
    """Keep the task: move its lease on, record progress, append to its log; returns whether it shall stop.

    checkpoint: a new one. With it this attempt counts as the first: a long task may lose any number of workers as long as
    it gets on with each.
    Not flushed to disk (it survives a killed process; a power cut may take the last lines). Raises LeaseLost.
    """

    def work() -> bool:
        now = timezone.now()
        mine = Task.objects.filter(id=held.task_id, fence=held.fence, status=Status.RUNNING)
        got_on = {} if checkpoint is None else {"checkpoint": dict(checkpoint), "attempt": 1}
        changed = mine.update(
            lease_until=now + LEASE, heartbeat_at=now, phases=phases, log_lines=F("log_lines") + line_count, **got_on
        )
        if not changed:
            raise LeaseLost
        if lines:
            LogChunk.objects.create(task_id=held.task_id, lines=lines)
        return mine.filter(stop_requested_at__isnull=False).exists()

    return run_write(work, is_durable=False)


def end(held: Claim, status: str, result: Mapping[str, Any], error: str = "") -> None:
    """The worker is done. An error is tried again later while attempts are left. Raises LeaseLost.

    Locks: job_execution, job_task.
    """
    kind = find_kind(held.kind)

    def work() -> str:
        hold_execution(held.execution_id)
        now = timezone.now()
        changes: dict[str, Any] = {"status": status, "lease_until": None, "error": error[:4000], "result": dict(result)}
        mine = Task.objects.filter(id=held.task_id, fence=held.fence, status=Status.RUNNING)
        attempt, stop_requested_at = mine.values_list("attempt", "stop_requested_at").first() or (0, None)
        if status == Status.ERROR and attempt < kind.attempts and stop_requested_at is None:
            wait = kind.retry_after * 2 ** max(attempt - 1, 0)
            changes |= {"status": Status.SCHEDULED, "run_after": now + wait, "dispatched_at": None}
        else:
            changes["ended_at"] = now
        if not mine.update(**changes):
            raise LeaseLost
        return settle_execution(held.execution_id, now)

    run_write(work)
    forget_old_executions(held.kind, held.subject_id, kind.keep)


def give_back(held: Claim, reason: str) -> None:
    """The worker could not go on though the task did nothing wrong, such as without its database: another attempt, as if the
    worker had died, but without waiting for the end of the lease. Each time after twice the wait. reason: the task's
    error when no attempt is left. Raises LeaseLost.

    Locks: job_execution, job_task.
    """
    wait = _FIRST_WAIT * 2 ** (held.attempt - 1)
    condition = Q(fence=held.fence)
    if not _take_away(condition, held.task_id, held.execution_id, held.kind, reason=reason, wait=min(wait, LEASE)):
        raise LeaseLost


def reap() -> int:
    """Put back what silent workers held; returns how many tasks. What was to be stopped is stopped, and what used up its
    attempts has failed. Locks, one task at a time: job_execution, job_task.
    """
    now = timezone.now()
    found = Task.objects.filter(_is_abandoned(now), status=Status.RUNNING)
    rows = list(found.order_by("lease_until").values_list("id", "execution_id", "kind")[:REAP_BATCH])
    return sum(_take_away(_is_abandoned(now), *row) for row in rows)


def reap_own(worker: str) -> int:
    """Put back at once what processes of this worker held that have ended, such as one killed for want of memory; returns how
    many tasks. Other machines' are left to reap(). Locks as there."""
    found = Task.objects.filter(status=Status.RUNNING, worker=worker[:255]).order_by("lease_until")
    rows = list(found.values_list("process", "fence", "id", "execution_id", "kind")[:REAP_BATCH])
    return sum(
        _take_away(Q(fence=fence), task_id, execution_id, kind)
        for process, fence, task_id, execution_id, kind in rows
        if has_ended(process)
    )


def _is_abandoned(now: datetime) -> Q:
    # a lease that ends later than any can was given before the clock went back
    return Q(lease_until__lte=now) | Q(lease_until__gt=now + 2 * LEASE)


def _take_away(
    condition: Q, task_id: int, execution_id: int, kind: str, *, reason: str = "", wait: timedelta = timedelta()
) -> int:
    """From its worker, if it runs and the condition holds; returns how many tasks that were. reason: '' is the worker's
    death."""

    def work() -> int:
        hold_execution(execution_id)
        now = timezone.now()
        task = Task.objects.filter(condition, id=task_id, status=Status.RUNNING).first()
        if task is None:
            return 0  # it lives, or somebody was faster
        changes: dict[str, Any] = {"fence": F("fence") + 1, "lease_until": None}
        if task.stop_requested_at is not None:
            changes |= {"status": Status.STOPPED, "ended_at": now}
        elif task.attempt >= _crashes_allowed(kind):
            changes |= {"status": Status.ERROR, "ended_at": now, "error": reason or f"worker {task.worker} died"}
        else:
            changes |= {"status": Status.PENDING, "run_after": now + wait, "dispatched_at": None}
        Task.objects.filter(id=task_id).update(**changes)
        settle_execution(execution_id, now)
        return 1

    return run_write(work)


def _crashes_allowed(kind: str) -> int:
    """A crash is rarely the task's fault, but a task that kills each of its workers must end. Counted since the task last
    got on (beat)."""
    return max(find_kind(kind).attempts, 5) if kind in kind_names() else 5
