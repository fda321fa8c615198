"""Executions and tasks: claims, endings, attempts, stops, logs, history, and workers that die."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from haven_core.db import backend
from haven_core.errors import NotFound
from haven_core.jobs import leases, runner, selectors, services, ticking
from haven_core.jobs.errors import AlreadyRunning, ExecutionUnknown, LeaseLost
from haven_core.jobs.models import Execution, LogChunk, Task
from haven_core.jobs.run import Run
from haven_core.jobs.runner import run_task
from tests.integration.jobs.conftest import Clock, work_off

MakeKind = Callable[..., str]


def status(execution_id: int) -> str:
    return Execution.objects.get(id=execution_id).status


def messages_of(execution_id: int) -> list[str]:
    return [line["message"] for _, lines in selectors.read_log(selectors.task_ids(execution_id)) for line in lines]


def test_a_job_from_start_to_end(kind: MakeKind, messages: list[int]) -> None:
    def work(run: Run) -> dict[str, int]:
        run.phase("look", total=3)
        for number in range(3):
            run.info("saw", number=number)
            run.advance(size=10)
            run.check()
        return {"seen": 3, "asked": run.parameters["limit"]}

    execution_id = services.start_execution(kind(work), {"limit": 7}, started_by="root")
    task_id = selectors.task_ids(execution_id)[0]
    assert (status(execution_id), messages) == ("Pending", [task_id])
    assert run_task(task_id, "w1", has_keeper=False)
    done = Execution.objects.get(id=execution_id)
    assert (done.status, done.result, done.started_by) == ("Success", {"seen": 3, "asked": 7}, "root")
    assert done.ended_at is not None
    task = selectors.find_task(task_id)
    assert (task.worker, task.attempt, task.lease_until) == ("w1", 1, None)
    (phase,) = selectors.progress_of(task)
    assert (phase.name, phase.done, phase.total, phase.bytes, phase.is_over) == ("look", 3, 3, 30, True)
    assert phase.remaining_seconds == 0
    assert messages_of(execution_id) == ["started", "saw", "saw", "saw", "done"]
    assert not run_task(task_id, "w2", has_keeper=False), "a doubled message does nothing"
    assert selectors.find_task(task_id).worker == "w1"


def test_several_tasks_and_one_that_fails(kind: MakeKind) -> None:
    def work(run: Run) -> dict[str, int]:
        if run.parameters["number"] == 1:
            raise ValueError("no such thing\nsecret detail")
        return {"count": run.parameters["number"]}

    name = kind(work, attempts=1)
    execution_id = services.start_execution(name, tasks=[{"number": n} for n in (0, 1, 2)])
    tasks = selectors.task_ids(execution_id)
    run_task(tasks[0], "w", has_keeper=False)
    assert status(execution_id) == "Running"
    work_off()
    assert status(execution_id) == "Error"
    assert Execution.objects.get(id=execution_id).result == {"count": 2}
    assert selectors.find_task(tasks[1]).error == "no such thing"
    assert "failed: no such thing" in messages_of(execution_id)
    services.retry_task(tasks[0])
    assert selectors.find_task(tasks[0]).status == "Success", "what succeeded is not done again"
    services.retry_task(tasks[1])
    assert (status(execution_id), selectors.find_task(tasks[1]).attempt) == ("Running", 0)


def test_a_failure_is_tried_again_later(kind: MakeKind, clock: Clock) -> None:
    tries: list[int] = []

    def work(run: Run) -> None:
        tries.append(run.attempt)
        if run.attempt < 3:
            raise OSError("the other side is away")

    execution_id = services.start_execution(kind(work, attempts=3, retry_after=timedelta(seconds=30)))
    (task_id,) = selectors.task_ids(execution_id)
    assert work_off() == 1
    assert selectors.find_task(task_id).status == "Scheduled"
    assert work_off() == 0, "not yet"
    clock.advance(seconds=31)
    assert work_off() == 1
    clock.advance(seconds=31)
    assert work_off() == 0, "the wait has doubled"
    clock.advance(seconds=30)
    assert work_off() == 1
    assert (status(execution_id), tries) == ("Success", [1, 2, 3])


def test_stop_before_it_begins(kind: MakeKind) -> None:
    execution_id = services.start_execution(kind(lambda run: pytest.fail("it ran")))
    services.stop_execution(execution_id)
    assert status(execution_id) == "Stopped"
    assert work_off() == 0
    services.stop_execution(execution_id)
    assert status(execution_id) == "Stopped"
    with pytest.raises(ExecutionUnknown):
        services.stop_execution(execution_id + 1)


def test_stop_and_log_while_it_runs(kind: MakeKind) -> None:
    """Everything another process does meanwhile is done from inside the work, at a moment of its choice."""
    seen: dict[str, object] = {}

    def work(run: Run) -> None:
        run.phase("work", total=10)
        run.info("half way", place="here")
        run.advance(5)
        run.flush()
        seen["log"] = messages_of(run.execution_id)
        seen["progress"] = [(p.done, p.is_over) for p in selectors.progress_of(selectors.find_task(run.task_id))]
        services.stop_task(run.task_id)
        seen["status"] = status(run.execution_id)
        run.flush()
        run.check()
        pytest.fail("went on")

    execution_id = services.start_execution(kind(work))
    work_off()
    assert seen == {"log": ["started", "half way"], "progress": [(5, False)], "status": "Running"}
    assert status(execution_id) == "Stopped"
    assert messages_of(execution_id)[-1] == "stopped"


def test_an_exclusive_kind_runs_once(kind: MakeKind) -> None:
    name = kind(lambda run: None, is_exclusive=True)
    first = services.start_execution(name)
    with pytest.raises(AlreadyRunning):
        services.start_execution(name)
    services.start_execution(name, subject_id=5)
    assert Execution.objects.count() == 2
    work_off()
    assert status(first) == "Success"
    second = services.start_execution(name)
    with pytest.raises(NotFound):
        services.start_execution("UNKNOWN")
    services.stop_execution(second)
    third = services.start_execution(name)
    with pytest.raises(AlreadyRunning):
        services.retry_task(selectors.task_ids(second)[0])
    assert (status(second), status(third)) == ("Stopped", "Pending")


def test_history_keeps_what_the_kind_keeps(kind: MakeKind) -> None:
    name = kind(lambda run: None, keep=3)
    ids = [services.start_execution(name, subject_id=n % 2) for n in range(10)]
    waiting = ids[0]
    for execution_id in ids[1:]:
        for task_id in selectors.task_ids(execution_id):
            run_task(task_id, "w", has_keeper=False)
    left = set(Execution.objects.values_list("id", flat=True))
    assert left == {waiting, *ids[4::2], *ids[5::2]}
    assert set(LogChunk.objects.values_list("task__execution_id", flat=True)) == left - {waiting}


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

    def end(*arguments: object) -> None:
        nonlocal ends
        ends += 1
        if ends == 1:
            lose_the_database()
        honest(*arguments)  # type: ignore[arg-type]

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


def test_messages_lost_are_sent_again(kind: MakeKind, clock: Clock, messages: list[int]) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    (task_id,) = selectors.task_ids(execution_id)
    messages.clear()  # the broker was flushed
    assert ticking.tick() == 1
    assert ticking.tick() == 0, "it was told just now"
    clock.advance(seconds=31)
    assert ticking.tick() == 1
    assert messages == [task_id, task_id]


def test_a_broker_that_is_away_loses_nothing(kind: MakeKind, monkeypatch: pytest.MonkeyPatch) -> None:
    from kombu.exceptions import OperationalError

    from haven_core.jobs import dispatch

    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as away:
        away.setattr(dispatch, "send", refuse)
        execution_id = services.start_execution(kind(lambda run: None))
        assert ticking.tick() == 0
    assert ticking.tick() == 1
    work_off()
    assert status(execution_id) == "Success"


def test_pause_and_resume(kind: MakeKind, messages: list[int]) -> None:
    name = kind(lambda run: None)
    services.pause(name)
    services.pause(name)
    execution_id = services.start_execution(name)
    messages.clear()
    assert (work_off(), ticking.tick(), messages) == (0, 0, [])
    (queue, scheduler) = sorted(selectors.list_queues(), key=lambda state: state.kind == "SCHEDULER")
    assert (queue.kind, queue.count, queue.is_paused) == (name, 1, True)
    assert (scheduler.kind, scheduler.is_paused) == ("SCHEDULER", False)
    services.resume(name)
    assert (ticking.tick(), work_off(), status(execution_id)) == (1, 1, "Success")


def test_stop_what_waits(kind: MakeKind) -> None:
    name, other = kind(lambda run: None), kind(lambda run: None, name="OTHER")
    ids = [services.start_execution(name), services.start_execution(name), services.start_execution(other)]
    assert services.stop_waiting(name) == 2
    assert [status(execution_id) for execution_id in ids] == ["Stopped", "Stopped", "Pending"]
    assert services.stop_waiting() == 1


def test_workers_show_while_they_live(transactional_db: None, clock: Clock) -> None:
    pulse = ticking.Pulse("haven@here", 2)
    pulse._register()
    assert [(worker.name, worker.concurrency) for worker in selectors.list_workers()] == [("haven@here", 2)]
    clock.advance(minutes=2)
    assert selectors.list_workers() == []


def test_no_task_changes_what_others_hold(kind: MakeKind) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    held = leases.claim(selectors.task_ids(execution_id)[0], "w")
    assert held is not None
    Task.objects.filter(id=held.task_id).update(fence=held.fence + 1)
    with pytest.raises(LeaseLost):
        leases.beat(held, [], "line\n", 1)
    with pytest.raises(LeaseLost):
        leases.end(held, "Success", {})
    assert (status(execution_id), LogChunk.objects.count()) == ("Running", 0)
