"""Executions and tasks: claims, endings, attempts, stops, logs, history. Workers that die: test_lost_workers.py."""

from datetime import timedelta

import pytest

from haven_core.errors import NotFound
from haven_core.jobs import leases, selectors, services, ticking
from haven_core.jobs.errors import AlreadyRunning, ExecutionUnknown, LeaseLost
from haven_core.jobs.models import Execution, LogChunk, Task
from haven_core.jobs.run import Run
from haven_core.jobs.runner import run_task
from tests.integration.jobs.conftest import Clock, MakeKind, messages_of, status, work_off


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
