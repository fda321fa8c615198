"""Workers that die, fall silent, or lose their database: what becomes of the tasks they held."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from haven_core.db import backend
from haven_core.errors import NotFound
from haven_core.jobs import leases, runner, selectors, services, ticking
from haven_core.jobs.errors import LeaseLost
from haven_core.jobs.models import Task
from haven_core.jobs.run import Run
from tests.integration.jobs.conftest import Clock, MakeKind, messages_of, status, work_off


def test_a_silent_worker_loses_its_task_and_changes_nothing_more(kind: MakeKind, clock: Clock) -> None:
    def work(run: Run) -> dict[str, str]:
        if run.attempt > 1:
            return {"by": "second"}
        clock.advance(seconds=31)  # the machine sleeps
        assert leases.reap() == 1
        assert work_off("w2") == 1
        run.info("back again")
        run.flush()
        with pytest.raises(LeaseLost):
            run.check()
        return {"by": "first"}

    execution_id = services.start_execution(kind(work))
    work_off("w1")
    task = selectors.find_task(selectors.task_ids(execution_id)[0])
    assert (task.worker, task.attempt, task.result, task.status) == ("w2", 2, {"by": "second"}, "Success")
    assert "back again" not in messages_of(execution_id)
    assert leases.reap() == 0


def test_what_a_dead_worker_held_is_queued_again_within_a_minute(
    kind: MakeKind, clock: Clock, messages: list[int]
) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    (task_id,) = selectors.task_ids(execution_id)
    assert leases.claim(task_id, "dead") is not None
    assert leases.claim(task_id, "other") is None
    ticking.tick()
    assert selectors.find_task(task_id).status == "Running"
    clock.advance(seconds=leases.LEASE.total_seconds() + ticking.TICK_SECONDS)
    messages.clear()
    ticking.tick()
    assert (selectors.find_task(task_id).status, messages) == ("Pending", [task_id])
    assert leases.LEASE.total_seconds() + 2 * ticking.TICK_SECONDS <= 60


def test_a_task_that_kills_its_workers_ends(kind: MakeKind, clock: Clock) -> None:
    execution_id = services.start_execution(kind(lambda run: None, attempts=2))
    (task_id,) = selectors.task_ids(execution_id)
    for _ in range(5):
        assert leases.claim(task_id, "w") is not None
        clock.advance(minutes=1)
        leases.reap()
    assert status(execution_id) == "Error"
    assert selectors.find_task(task_id).error == "worker w died"


class Killed(BaseException):
    """The worker's end by kill -9, as far as rows can tell: nothing is written any more."""


def test_a_process_that_ended_is_noticed_before_its_lease(kind: MakeKind) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    (task_id,) = selectors.task_ids(execution_id)
    held = leases.claim(task_id, "w")
    assert held is not None
    assert leases.reap_own("w") == 0, "this process lives"
    program = "from haven_core.jobs.processes import own_process; print(own_process())"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    Task.objects.filter(id=task_id).update(process=ended)
    assert leases.reap_own("other") == 0
    assert leases.reap_own("w") == 1
    assert selectors.find_task(task_id).status == "Pending"
    with pytest.raises(LeaseLost):
        leases.end(held, "Success", {})


def lose_the_database() -> None:
    """As when it is restarted: the connection of this thread is dead."""
    if backend.is_postgresql():
        backend.sql("SELECT pg_terminate_backend(pg_backend_pid())")
    raise OperationalError("the connection was closed")


def test_a_lost_database_costs_seconds(
    kind: MakeKind, clock: Clock, messages: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was saved before is kept, and what was told. What was only about to be saved is not: a database that crashed may
    have lost the work behind it."""

    def work(run: Run) -> dict[str, object]:
        if not run.saved:
            run.save(page=7)
            run.flush()
            run.save(page=8)
            run.info("turned a page")
            lose_the_database()
        return dict(run.saved)

    execution_id = services.start_execution(kind(work))
    (task_id,) = selectors.task_ids(execution_id)
    work_off("w1")
    task = selectors.find_task(task_id)
    assert (task.status, task.worker) == ("Pending", "w1")
    assert "turned a page" in messages_of(execution_id)
    messages.clear()
    clock.advance(seconds=ticking.TICK_SECONDS)
    ticking.tick()
    assert messages == [task_id]
    assert work_off("w2") == 1
    assert (status(execution_id), selectors.find_task(task_id).result) == ("Success", {"page": 7})


def test_a_database_lost_over_the_result(kind: MakeKind, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    execution_id = services.start_execution(kind(lambda run: {"by": run.attempt}))
    honest, ends = leases.end, 0

    def end(*arguments: Any) -> None:
        nonlocal ends
        ends += 1
        if ends == 1:
            lose_the_database()
        honest(*arguments)

    monkeypatch.setattr(runner, "end", end)
    work_off("w1")
    assert status(execution_id) == "Pending"
    clock.advance(seconds=2)
    work_off("w1")
    (task_id,) = selectors.task_ids(execution_id)
    assert (status(execution_id), selectors.find_task(task_id).result) == ("Success", {"by": 2})


def test_a_task_that_loses_the_database_each_time_ends(kind: MakeKind, clock: Clock) -> None:
    waits = []

    def work(run: Run) -> None:
        lose_the_database()

    execution_id = services.start_execution(kind(work))
    (task_id,) = selectors.task_ids(execution_id)
    while work_off("w") == 1:
        waits.append(round((selectors.find_task(task_id).run_after - timezone.now()).total_seconds()))
        clock.advance(minutes=1)
    assert (status(execution_id), waits[:4]) == ("Error", [2, 4, 8, 16])
    assert selectors.find_task(task_id).error.startswith("the database was lost: ")


def test_nobody_gives_back_what_another_holds(kind: MakeKind, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(run: Run) -> None:
        clock.advance(seconds=31)
        assert leases.reap() == 1
        assert leases.claim(run.task_id, "w2") is not None
        lose_the_database()

    execution_id = services.start_execution(kind(work))
    (task_id,) = selectors.task_ids(execution_id)
    work_off("w1")
    task = selectors.find_task(task_id)
    assert (task.status, task.worker) == ("Running", "w2")


def test_a_task_that_gets_on_may_lose_any_number_of_workers(
    kind: MakeKind, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haven_core.jobs.run.BEAT_SECONDS", 0)

    def work(run: Run) -> dict[str, int]:
        done = int(run.saved.get("done", 0))
        if done == 9:
            return {"done": done}
        run.save(done=done + 1)
        run.check()
        raise Killed

    execution_id = services.start_execution(kind(work, attempts=2))
    (task_id,) = selectors.task_ids(execution_id)
    for number in range(9):
        with pytest.raises(Killed):
            work_off(f"w{number}")
        clock.advance(minutes=1)
        assert leases.reap() == 1
    work_off()
    assert (status(execution_id), selectors.find_task(task_id).result) == ("Success", {"done": 9})


def test_a_task_that_stops_getting_on_ends(kind: MakeKind, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haven_core.jobs.run.BEAT_SECONDS", 0)
    seen = []

    def work(run: Run) -> None:
        seen.append(dict(run.saved))
        if not run.saved:
            run.save(page=1)
        run.check()
        raise Killed

    execution_id = services.start_execution(kind(work))
    while status(execution_id) != "Error":
        with pytest.raises(Killed):
            work_off()
        clock.advance(minutes=1)
        leases.reap()
    assert seen == [{}, *[{"page": 1}] * 4]
    services.retry_task(selectors.task_ids(execution_id)[0])
    with pytest.raises(Killed):
        work_off()
    assert seen[-1] == {}, "somebody who asks for it again gets all of it"


def test_failures_are_counted_since_the_task_got_on(
    kind: MakeKind, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haven_core.jobs.run.BEAT_SECONDS", 0)

    def work(run: Run) -> None:
        page = run.saved.get("page", 0)
        if page < 3:
            run.save(page=page + 1)
        raise NotFound("away")

    execution_id = services.start_execution(kind(work, attempts=2))
    runs = 0
    while status(execution_id) != "Error":
        runs += work_off()
        clock.advance(hours=1)
    assert runs == 4


def test_a_stopped_task_of_a_dead_worker_is_stopped(kind: MakeKind, clock: Clock) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    (task_id,) = selectors.task_ids(execution_id)
    leases.claim(task_id, "dead")
    services.stop_execution(execution_id)
    clock.advance(minutes=1)
    leases.reap()
    assert status(execution_id) == "Stopped"


def test_a_clock_that_goes_back_keeps_no_task(kind: MakeKind, clock: Clock) -> None:
    clock.advance(days=365)
    execution_id = services.start_execution(kind(lambda run: None))
    (task_id,) = selectors.task_ids(execution_id)
    leases.claim(task_id, "dead")
    clock.advance(days=-365)
    assert leases.reap() == 1
    assert selectors.find_task(task_id).run_after <= timezone.now() + timedelta(seconds=1)
    work_off()
    assert status(execution_id) == "Success"
