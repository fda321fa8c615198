"""Schedules: when they fire, that they fire once, and what a clock or a beat that misbehaves does to them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from haven_core.errors import BadRequest, NotFound
from haven_core.jobs import schedules, services
from haven_core.jobs.cron import checked_cron, next_fire
from haven_core.jobs.errors import ScheduleUnknown
from haven_core.jobs.models import Execution, Schedule
from tests.integration.jobs.conftest import Clock, work_off

MakeKind = Callable[..., str]


@pytest.mark.parametrize(
    ("word", "cron", "expected"),
    [
        ("Hourly", "", "2026-05-04T11:00:00"), ("Daily", "", "2026-05-05T00:00:00"),
        ("Weekly", "", "2026-05-10T00:00:00"), ("Daily", "0 30 2 * * *", "2026-05-05T02:30:00"),
        ("Custom", "*/10 * * * * *", "2026-05-04T10:20:40"), ("Custom", "0  0 0 * * ?", "2026-05-05T00:00:00"),
        ("Custom", "0 0 0 1 * 1", "2026-05-11T00:00:00"), ("Custom", "15 0 0 ? JAN MON-FRI", "2027-01-01T00:00:15"),
    ],
)  # fmt: skip
def test_when_it_fires(word: str, cron: str, expected: str) -> None:
    after = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)
    assert next_fire(checked_cron(word, cron), after) == datetime.fromisoformat(expected + "+00:00")


@pytest.mark.parametrize(
    "cron", ["", "* * * * *", "0 0 0 0 0 0 0", "60 * * * * *", "0 0 0 31 2 *", "a b c d e f", "@daily", "0 " * 200]
)
def test_what_is_no_cron(kind: MakeKind, cron: str) -> None:
    with pytest.raises(BadRequest):
        schedules.set_schedule(kind(lambda run: None), word="Custom", cron=cron)
    assert Schedule.objects.count() == 0


def test_words_and_kinds_that_are_none(kind: MakeKind) -> None:
    name = kind(lambda run: None)
    with pytest.raises(BadRequest):
        schedules.set_schedule(name, word="Monthly", cron="0 0 0 1 * *")
    with pytest.raises(NotFound):
        schedules.set_schedule("UNKNOWN", word="Daily")
    with pytest.raises(ScheduleUnknown):
        schedules.remove_schedule(name)
    assert Schedule.objects.count() == 0


def test_it_fires_and_says_why(kind: MakeKind, clock: Clock) -> None:
    name = kind(lambda run: {"got": run.parameters["x"]})
    first = schedules.set_schedule(name, word="Daily", parameters={"x": 1}, created_by="root")
    assert schedules.set_schedule(name, word="Hourly", parameters={"x": 2}, created_by="root") == first
    assert schedules.fire_due() == []
    due = Schedule.objects.get().next_fire_at
    clock.advance(hours=1)
    assert len(schedules.fire_due()) == 1
    assert schedules.fire_due() == []
    work_off()
    ran = Execution.objects.get()
    assert (ran.trigger, ran.started_by, ran.result, ran.status) == ("SCHEDULE", "root", {"got": 2}, "Success")
    assert (ran.schedule_id, ran.fire_at) == (first, due)
    schedules.remove_schedule(name)
    clock.advance(hours=2)
    assert schedules.fire_due() == []


def test_what_was_missed_fires_once(kind: MakeKind, clock: Clock) -> None:
    schedules.set_schedule(kind(lambda run: None), word="Custom", cron="0 */5 * * * *")
    clock.advance(hours=7)  # nobody ticked
    assert len(schedules.fire_due()) == 1
    assert schedules.fire_due() == []
    assert timezone.now() < Schedule.objects.get().next_fire_at <= timezone.now() + timedelta(minutes=5)


def test_a_moment_that_was_fired_is_not_fired_again(kind: MakeKind, clock: Clock) -> None:
    """Whatever becomes of next_fire_at, such as a restored row: the pair of schedule and moment is unique."""
    schedules.set_schedule(kind(lambda run: None), word="Hourly")
    before = Schedule.objects.get()
    clock.advance(hours=1)
    assert len(schedules.fire_due()) == 1
    Schedule.objects.update(next_fire_at=before.next_fire_at)
    assert schedules.fire_due() == []
    assert (Execution.objects.count(), Schedule.objects.get().next_fire_at > timezone.now()) == (1, True)


def test_a_clock_that_jumps(kind: MakeKind, clock: Clock) -> None:
    schedules.set_schedule(kind(lambda run: None), word="Hourly")
    clock.advance(days=365)
    assert len(schedules.fire_due()) == 1
    clock.advance(days=-365)
    schedules.fire_due()
    assert Schedule.objects.get().next_fire_at <= timezone.now() + timedelta(hours=1)
    clock.advance(hours=1)
    assert schedules.fire_due() == [], "that moment was the one that fired a year ahead"
    clock.advance(hours=1)
    assert len(schedules.fire_due()) == 1


def test_an_exclusive_kind_that_still_runs_is_skipped(kind: MakeKind, clock: Clock) -> None:
    name = kind(lambda run: None, is_exclusive=True)
    services.start_execution(name)
    schedules.set_schedule(name, word="Hourly")
    clock.advance(hours=1)
    assert schedules.fire_due() == []
    assert Schedule.objects.get().next_fire_at > timezone.now()
    work_off()
    clock.advance(hours=1)
    assert len(schedules.fire_due()) == 1


def test_the_scheduler_can_be_paused(kind: MakeKind, clock: Clock) -> None:
    schedules.set_schedule(kind(lambda run: None), word="Hourly")
    services.pause("SCHEDULER")
    clock.advance(hours=5)
    assert schedules.fire_due() == []
    services.resume("SCHEDULER")
    assert len(schedules.fire_due()) == 1
