"""Schedules: rows that a tick of any worker fires. Lock order: job_schedule, job_execution, job_task."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest
from haven_core.jobs.cron import CUSTOM, WORDS, checked_cron, next_fire
from haven_core.jobs.errors import AlreadyRunning, ScheduleUnknown
from haven_core.jobs.kinds import find_kind, kind_names
from haven_core.jobs.models import Execution, Pause, Schedule, Trigger
from haven_core.jobs.services import insert_execution

CLOCK_STEP = timedelta(minutes=1)  # a clock that goes back by less is one machine's against another's
BATCH = 100

_log = logging.getLogger("haven.jobs")


def set_schedule(
    kind: str,
    *,
    word: str,
    cron: str = "",
    parameters: Mapping[str, Any] | None = None,
    subject_id: int = 0,
    created_by: str = "",
) -> int:
    """Make or replace the schedule of a kind and subject; returns its id. Raises NotFound for an unknown kind, BadRequest
    for a word or cron expression that is none."""
    find_kind(kind)
    if word not in (*WORDS, CUSTOM):
        raise BadRequest(f"unknown schedule type: {word}")
    text, now = checked_cron(word, cron), timezone.now()
    values = {
        "word": word, "cron": text, "parameters": dict(parameters or {}), "created_by": created_by,
        "next_fire_at": next_fire(text, now), "armed_at": now, "updated_at": now,
    }  # fmt: skip

    def work() -> int:
        row, _ = Schedule.objects.update_or_create(
            kind=kind, subject_id=subject_id, defaults=values, create_defaults={**values, "created_at": now}
        )
        return int(row.id)

    return run_write(work)


def remove_schedule(kind: str, *, subject_id: int = 0) -> None:
    """End a schedule; what it has started goes on. Raises ScheduleUnknown."""
    if not Schedule.objects.filter(kind=kind, subject_id=subject_id).delete()[0]:
        raise ScheduleUnknown


def fire_due() -> list[int]:
    """Start what is due; returns the ids of the tasks. Any number of callers at once start each moment once: they skip
    the rows others hold, and (schedule, moment) is unique. What was missed while nobody called is started once.

    An exclusive kind that is still running is skipped until its next moment. Locks: job_schedule (UPDATE, SKIP LOCKED).
    """
    now = timezone.now()
    _rearm(now)
    if Pause.objects.filter(kind=Pause.SCHEDULER).exists():
        return []
    due = Schedule.objects.filter(next_fire_at__lte=now, kind__in=kind_names()).order_by("next_fire_at")
    started: list[int] = []
    for schedule_id in list(due.values_list("id", flat=True)[:BATCH]):
        started += run_write(lambda schedule_id=schedule_id: _fire(schedule_id, now))  # type: ignore[misc]
    return started


def _fire(schedule_id: int, now: datetime) -> list[int]:
    mine = Schedule.objects.filter(id=schedule_id, next_fire_at__lte=now)
    if not backend.locked(mine.values_list("id"), "UPDATE", skip_locked=True):
        return []
    schedule = mine.first()  # a second statement: another tick may have moved it on before we held it
    if schedule is None:
        return []
    mine.update(next_fire_at=next_fire(schedule.cron, now), armed_at=now)
    try:
        with transaction.atomic():  # a savepoint: a refused insert must not take the move with it
            return insert_execution(
                schedule.kind, schedule.parameters, subject_id=schedule.subject_id, trigger=Trigger.SCHEDULE,
                started_by=schedule.created_by, schedule_id=schedule.id, fire_at=schedule.next_fire_at,
            )[1]  # fmt: skip
    except AlreadyRunning:
        _log.warning("%s is still running; its schedule of %s is skipped", schedule.kind, schedule.next_fire_at)
    except IntegrityError:
        if not Execution.objects.filter(schedule_id=schedule.id, fire_at=schedule.next_fire_at).exists():
            raise
    return []


def _rearm(now: datetime) -> None:
    """After the clock went back: a schedule armed in what is now the future would wait for that to come again."""
    for schedule in Schedule.objects.filter(armed_at__gt=now + CLOCK_STEP)[:BATCH]:
        Schedule.objects.filter(id=schedule.id, armed_at=schedule.armed_at).update(
            next_fire_at=next_fire(schedule.cron, now), armed_at=now
        )
