"""Starting, stopping and retrying executions. Lock order: job_schedule, job_execution, job_task."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.jobs.dispatch import wake_workers
from haven_core.jobs.errors import AlreadyRunning, ExecutionUnknown
from haven_core.jobs.kinds import find_kind, kind_names
from haven_core.jobs.models import FINAL, WAITING, Execution, LogChunk, Pause, Status, Task, Trigger

_EXCLUSIVE = (
    "job_execution.exclusive_key",
    "job_execution_exclusive_key",
)  # SQLite names the column, PostgreSQL the index


def start_execution(
    kind: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    subject_id: int = 0,
    trigger: str = Trigger.MANUAL,
    started_by: str = "",
    tasks: Sequence[Mapping[str, Any]] = ({},),
    is_held: bool = False,
) -> int:
    """Record an execution with its tasks and wake a worker; returns its id. It is durable when this returns, whatever
    becomes of the broker.

    tasks: the parameters of each, laid over the execution's. is_held: no worker is told, because the caller runs the
    task itself within seconds (after that workers take it).
    Raises NotFound for an unknown kind, AlreadyRunning. Not inside a transaction: see insert_execution().
    """
    execution_id, task_ids = run_write(
        lambda: insert_execution(
            kind, parameters, subject_id=subject_id, trigger=trigger, started_by=started_by, tasks=tasks,
            dispatched_at=timezone.now() if is_held else None,
        )
    )  # fmt: skip
    if not is_held:
        wake_workers(task_ids)
    return execution_id


def insert_execution(
    kind: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    subject_id: int = 0,
    trigger: str = Trigger.MANUAL,
    started_by: str = "",
    tasks: Sequence[Mapping[str, Any]] = ({},),
    dispatched_at: datetime | None = None,
    schedule_id: int | None = None,
    fire_at: datetime | None = None,
) -> tuple[int, list[int]]:
    """start_execution() for a caller that has its own transaction and wants the job exactly when that commits; returns
    the ids of execution and tasks. A tick wakes workers within seconds. An execution without tasks has succeeded.

    Raises NotFound, AlreadyRunning (the transaction is then broken), IntegrityError when the schedule fired for that
    moment already.
    """
    now, known = timezone.now(), find_kind(kind)
    common = dict(parameters or {})
    try:
        execution = Execution.objects.create(
            kind=kind, subject_id=subject_id, trigger=trigger, started_by=started_by, parameters=common,
            status=Status.PENDING if tasks else Status.SUCCESS, ended_at=None if tasks else now,
            exclusive_key=f"{kind}:{subject_id}" if known.is_exclusive and tasks else None,
            schedule_id=schedule_id, fire_at=fire_at, created_at=now, updated_at=now,
        )  # fmt: skip
    except IntegrityError as error:
        if any(name in str(error) for name in _EXCLUSIVE):
            raise AlreadyRunning from None
        raise
    ids = [
        Task.objects.create(
            execution=execution, kind=kind, parameters={**common, **more}, run_after=now, created_at=now,
            dispatched_at=dispatched_at,
        ).id
        for more in tasks
    ]  # fmt: skip
    if known.began is not None:
        known.began(execution)
    return execution.id, ids


def stop_execution(execution_id: int) -> None:
    """Waiting tasks end at once; running ones are told and end within two seconds. A finished execution stays as it is.

    Raises ExecutionUnknown.
    """
    run_write(lambda: _stop(execution_id, Task.objects.filter(execution_id=execution_id)))


def stop_task(task_id: int) -> None:
    """stop_execution() for one task. Raises ExecutionUnknown."""
    execution_id = Task.objects.filter(id=task_id).values_list("execution_id", flat=True).first()
    if execution_id is None:
        raise ExecutionUnknown
    run_write(lambda: _stop(execution_id, Task.objects.filter(id=task_id)))


def stop_waiting(kind: str | None = None) -> int:
    """End every task that has not begun, of one kind or of all; returns how many."""
    waiting = Task.objects.filter(status__in=WAITING)
    scope = waiting if kind is None else waiting.filter(kind=kind)
    found = list(scope.order_by("execution_id").values_list("id", "execution_id"))
    for task_id, execution_id in found:
        one = Task.objects.filter(id=task_id, status__in=WAITING)
        run_write(lambda execution_id=execution_id, one=one: _stop(execution_id, one))  # type: ignore[misc]
    return len(found)


def retry_task(task_id: int) -> None:
    """Put a task that failed or was stopped in the queue again, from its start and with all its attempts. Others stay as
    they are.

    Raises ExecutionUnknown, AlreadyRunning when another execution has taken the kind's only place.
    """

    def work() -> None:
        execution_id = Task.objects.filter(id=task_id).values_list("execution_id", flat=True).first()
        if execution_id is None:
            raise ExecutionUnknown
        hold_execution(execution_id)
        now = timezone.now()
        changed = Task.objects.filter(id=task_id, status__in=(Status.ERROR, Status.STOPPED)).update(
            status=Status.PENDING, attempt=0, checkpoint={}, error="", run_after=now, dispatched_at=None,
            stop_requested_at=None, ended_at=None,
        )  # fmt: skip
        if not changed:
            return
        execution = Execution.objects.get(id=execution_id)
        if find_kind(execution.kind).is_exclusive:
            key = f"{execution.kind}:{execution.subject_id}"
            if Execution.objects.filter(exclusive_key=key).exclude(id=execution_id).exists():
                raise AlreadyRunning
            Execution.objects.filter(id=execution_id).update(exclusive_key=key)
        settle_execution(execution_id, now)

    run_write(work)
    wake_workers([task_id])


def retry_execution(execution_id: int) -> int:
    """retry_task() for each task that failed or was stopped; returns how many. Raises AlreadyRunning."""
    found = Task.objects.filter(execution_id=execution_id, status__in=(Status.ERROR, Status.STOPPED)).order_by("id")
    ids = list(found.values_list("id", flat=True))
    for task_id in ids:
        retry_task(task_id)
    return len(ids)


def pause(kind: str) -> None:
    """Start no more tasks of that kind (Pause.SCHEDULER: fire no schedule). Running ones go on."""
    backend.insert(
        Pause, ["kind", "paused_at"], [(kind, timezone.now())], on_conflict="DO NOTHING", returning=("kind",)
    )


def resume(kind: str) -> None:
    """The opposite of pause(). What was due meanwhile starts with the next tick; a schedule fires once for all it missed."""
    Pause.objects.filter(kind=kind).delete()


def hold_execution(execution_id: int) -> None:
    """Lock the row that serialises changes of an execution's tasks. Raises ExecutionUnknown."""
    if not backend.locked(Execution.objects.filter(id=execution_id).values_list("id"), "NO KEY UPDATE"):
        raise ExecutionUnknown


def settle_execution(execution_id: int, now: datetime) -> str:
    """Compute a held execution's status and results from its tasks, as Harbor does: while one is active it is running;
    then one error makes it an error, one stop stopped. Returns the status."""
    rows = list(Task.objects.filter(execution_id=execution_id).order_by("id").values_list("status", "result", "kind"))
    found = {status for status, _, _ in rows}
    if Status.RUNNING in found or (found & set(WAITING) and found & set(FINAL)):
        status = Status.RUNNING
    elif found & set(WAITING):
        status = Status.PENDING
    elif Status.ERROR in found:
        status = Status.ERROR
    else:
        status = Status.STOPPED if Status.STOPPED in found else Status.SUCCESS
    result = merge_results([result for _, result, _ in rows])
    changes: dict[str, Any] = {"status": status, "updated_at": now, "ended_at": None, "result": result}
    if status in FINAL:
        changes |= {"ended_at": now, "exclusive_key": None}
    Execution.objects.filter(id=execution_id).update(**changes)
    _tell_kind(rows[0][2], execution_id)
    return status


def merge_results(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers of all tasks added up; of anything else the last task's."""
    total: dict[str, Any] = {}
    for result in results:
        for key, value in result.items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            total[key] = total.get(key, 0) + value if is_number else value
    return total


def forget_old_executions(kind: str, subject_id: int, keep: int) -> int:
    """Remove finished executions of a kind and subject beyond the newest `keep`, logs included; returns how many."""
    ended = Execution.objects.filter(kind=kind, subject_id=subject_id, status__in=FINAL).order_by("-id")

    def work() -> int:
        rows = backend.locked(ended.values_list("id")[keep : keep + 100], "UPDATE", skip_locked=True)
        ids = [row[0] for row in rows]
        ids = list(ended.filter(id__in=ids).values_list("id", flat=True))
        LogChunk.objects.filter(task__execution_id__in=ids).delete()
        Task.objects.filter(execution_id__in=ids).delete()
        Execution.objects.filter(id__in=ids).delete()
        return len(ids)

    return run_write(work)


def _tell_kind(kind: str, execution_id: int) -> None:
    known = find_kind(kind) if kind in kind_names() else None  # a newer worker's
    if known is not None and known.changed is not None:
        known.changed(Execution.objects.get(id=execution_id))


def _stop(execution_id: int, tasks: Any) -> None:
    hold_execution(execution_id)
    now = timezone.now()
    ended = tasks.filter(status__in=WAITING).update(status=Status.STOPPED, ended_at=now, stop_requested_at=now)
    tasks.filter(status=Status.RUNNING, stop_requested_at=None).update(stop_requested_at=now)
    if ended:
        settle_execution(execution_id, now)
