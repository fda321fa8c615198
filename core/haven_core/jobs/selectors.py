"""Reading executions, logs, schedules and workers. Every list has a constant number of queries."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, Min, When
from django.utils import timezone

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_core.jobs.errors import ExecutionUnknown
from haven_core.jobs.kinds import kind_names
from haven_core.jobs.models import ACTIVE, WAITING, Execution, LogChunk, Pause, Schedule, Status, Task, Worker
from haven_core.jobs.ticking import WORKER_SILENCE

LISTING = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "job_status": Column("status"),
        "status": Column("status"),
        "trigger": Column("trigger"),
        "job_kind": Column("trigger"),
        "creation_time": Column("created_at", Kind.MOMENT),
        "update_time": Column("updated_at", Kind.MOMENT),
    },
    sorts={
        "id": "id", "job_status": "status", "status": "status", "creation_time": "created_at", "update_time": "updated_at",
    },
    order=("-id",),
)  # fmt: skip
ALL = replace(
    LISTING, filters={**LISTING.filters, "kind": Column("kind"), "started_by": Column("started_by")}
)  # fmt: skip
TASKS_SHOWN = 100
CHUNKS_READ = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """A phase of a task. rate: things a second, byte_rate: bytes; remaining_seconds: None while total or rate is unknown."""

    name: str
    done: int
    total: int | None
    bytes: int
    rate: float
    byte_rate: float
    remaining_seconds: float | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class QueueState:
    """A kind's waiting tasks. latency_seconds: how long the oldest waits."""

    kind: str
    count: int
    latency_seconds: int
    is_paused: bool


def list_executions(kind: str, query: ListQuery, *, subject_id: int = 0) -> tuple[list[Execution], int]:
    """A page of a kind's history, and how many there are. Raises BadRequest. Two SQL statements."""
    found = LISTING.narrow(Execution.objects.filter(kind=kind, subject_id=subject_id), query)
    return list(LISTING.page(found, query)), total(found)


def find_execution(kind: str, execution_id: int, *, subject_id: int = 0) -> Execution:
    """Raises ExecutionUnknown, also for one of another kind or subject."""
    found = Execution.objects.filter(id=execution_id, kind=kind, subject_id=subject_id).first()
    if found is None:
        raise ExecutionUnknown
    return found


def list_all_executions(query: ListQuery) -> tuple[list[Execution], int]:
    """A page of the history of all kinds, and how many there are. Raises BadRequest. Two SQL statements."""
    found = ALL.narrow(Execution.objects.all(), query)
    return list(ALL.page(found, query)), total(found)


def find_any_execution(execution_id: int) -> Execution:
    """Of whatever kind. Raises ExecutionUnknown."""
    found = Execution.objects.filter(id=execution_id).first()
    if found is None:
        raise ExecutionUnknown
    return found


def list_tasks(execution_id: int) -> tuple[list[Task], int]:
    """The execution's tasks, TASKS_SHOWN at most, those that run first; and how many there are. Two SQL statements."""
    found = Task.objects.filter(execution_id=execution_id)
    is_running = Case(When(status=Status.RUNNING, then=0), default=1)
    return list(found.order_by(is_running, "id")[:TASKS_SHOWN]), found.count()


def task_ids(execution_id: int) -> list[int]:
    """The execution's tasks, oldest first."""
    return list(Task.objects.filter(execution_id=execution_id).order_by("id").values_list("id", flat=True))


def find_task(task_id: int) -> Task:
    """Raises ExecutionUnknown."""
    task = Task.objects.filter(id=task_id).first()
    if task is None:
        raise ExecutionUnknown
    return task


def read_log(task_ids: list[int], *, after: int = 0) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The log of tasks, as far as it is written: pairs of a place and lines. `after`: the last place somebody has read,
    to follow a log that grows."""
    for task_id in task_ids:
        place = after
        chunks = LogChunk.objects.filter(task_id=task_id).order_by("id").values_list("id", "lines")
        while page := list(chunks.filter(id__gt=place)[:CHUNKS_READ]):
            for place, lines in page:
                yield place, [json.loads(line) for line in lines.splitlines()]


def read_on(execution_id: int, task_id: int, *, after: int) -> tuple[list[dict[str, Any]], int]:
    """Lines that one of an execution's tasks wrote after a place, CHUNKS_READ chunks at most; and the place to go on from.
    Nothing is missed: one worker at a time writes a task's log. Raises ExecutionUnknown."""
    if not Task.objects.filter(id=task_id, execution_id=execution_id).exists():
        raise ExecutionUnknown
    chunks = LogChunk.objects.filter(task_id=task_id, id__gt=after).order_by("id")
    entries, place = [], after
    for place, lines in chunks.values_list("id", "lines")[:CHUNKS_READ]:  # noqa: B007  # the last one counts
        entries += [json.loads(line) for line in lines.splitlines()]
    return entries, place


def as_text(entry: Mapping[str, Any]) -> str:
    """A line of the log as Harbor shows one: `time [LEVEL]: message`, then the fields."""
    fields = " ".join(f"{key}={value}" for key, value in entry.items() if key not in ("at", "level", "message"))
    return f"{entry['at']} [{entry['level']}]: {entry['message']}{' ' + fields if fields else ''}\n"


def progress_of(task: Task, now: datetime | None = None) -> list[Progress]:
    """The task's phases, with what can be computed from them."""
    return [_progress(phase, now or timezone.now()) for phase in task.phases]


def find_schedule(kind: str, *, subject_id: int = 0) -> Schedule | None:
    """The schedule of a kind and subject."""
    return Schedule.objects.filter(kind=kind, subject_id=subject_id).first()


def list_schedules(*, offset: int, limit: int) -> tuple[list[Schedule], int]:
    """A page of all schedules, and how many there are."""
    return list(Schedule.objects.order_by("id")[offset : offset + limit]), Schedule.objects.count()


def is_paused(kind: str) -> bool:
    """Whether a kind's tasks wait, or (Pause.SCHEDULER) no schedule fires."""
    return Pause.objects.filter(kind=kind).exists()


def list_queues() -> list[QueueState]:
    """Every kind, and the schedules as SCHEDULER, with what waits."""
    now = timezone.now()
    waiting = (
        Task.objects.filter(status__in=WAITING).values("kind").annotate(number=Count("id"), first=Min("created_at"))
    )
    counts = {row["kind"]: (row["number"], row["first"]) for row in waiting}
    paused = set(Pause.objects.values_list("kind", flat=True))
    names = sorted({*kind_names(), *counts, Pause.SCHEDULER})
    states = []
    for name in names:
        number, first = counts.get(name, (0, now))
        states.append(QueueState(name, number, max(0, int((now - first).total_seconds())), name in paused))
    return states


def list_active(task_id: int | None = None) -> list[int]:
    """Ids of tasks that are not over; with an id, that one if it exists at all. Raises ExecutionUnknown."""
    if task_id is not None:
        return [find_task(task_id).id]
    return list(Task.objects.filter(status__in=ACTIVE).order_by("id").values_list("id", flat=True))


def list_workers(pool: str | None = None) -> list[Worker]:
    """The workers that are alive, or one of them; empty when it is not."""
    alive = Worker.objects.filter(heartbeat_at__gt=timezone.now() - WORKER_SILENCE).order_by("name")
    return list(alive if pool is None else alive.filter(name=pool))


def running_tasks(workers: list[str]) -> list[Task]:
    """What these workers do now."""
    return list(Task.objects.filter(worker__in=workers, status=Status.RUNNING).order_by("id"))


def _progress(phase: Mapping[str, Any], now: datetime) -> Progress:
    ended = phase["ended_at"]
    end = datetime.fromisoformat(ended) if ended else now
    elapsed = max(end - datetime.fromisoformat(phase["started_at"]), timedelta(milliseconds=1)).total_seconds()
    rate, whole = phase["done"] / elapsed, phase["total"]
    left = None if whole is None or not rate else max(0.0, (whole - phase["done"]) / rate)
    return Progress(
        phase["name"], phase["done"], whole, phase["bytes"], rate, phase["bytes"] / elapsed,
        0.0 if ended else left, bool(ended),
    )  # fmt: skip
