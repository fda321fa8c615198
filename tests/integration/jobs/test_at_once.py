"""Two of everything: ticks, workers, requests."""

from collections.abc import Callable

from haven_core.jobs import leases, schedules, selectors, services, ticking
from haven_core.jobs.errors import AlreadyRunning
from haven_core.jobs.models import Execution, Task
from tests.integration.jobs.conftest import Clock
from tests.support.races import THREADS, at_once, shared_database

__all__ = ["shared_database"]

MakeKind = Callable[..., str]


def test_doubled_ticks_fire_each_moment_once(kind: MakeKind, shared_database: None, clock: Clock) -> None:
    names = [kind(lambda run: None, name=f"KIND{number}") for number in range(5)]
    for name in names:
        schedules.set_schedule(name, word="Hourly")
    clock.advance(hours=3)
    outcomes = at_once(lambda _: schedules.fire_due())
    fired = [task_id for started in outcomes for task_id in started]  # type: ignore[attr-defined]
    assert len(fired) == len(set(fired)) == len(names)
    assert sorted(Execution.objects.values_list("kind", flat=True)) == names


def test_one_of_many_workers_gets_a_task(kind: MakeKind, shared_database: None) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    (task_id,) = selectors.task_ids(execution_id)
    outcomes = at_once(lambda number: leases.claim(task_id, f"w{number}"))
    assert len([held for held in outcomes if held is not None]) == 1
    assert (Task.objects.get().fence, Task.objects.get().attempt) == (1, 1)


def test_a_worker_keeps_a_process_for_the_clock(kind: MakeKind, shared_database: None, clock: Clock) -> None:
    ticking.Pulse("w", 3)._register()
    tasks = [selectors.task_ids(services.start_execution(kind(lambda run: None)))[0] for _ in range(THREADS)]
    outcomes = at_once(lambda number: leases.claim(tasks[number], "w"))
    held = [outcome for outcome in outcomes if isinstance(outcome, leases.Claim)]
    assert (len(held), Task.objects.filter(status="Running").count()) == (2, 2)
    left = next(task for task in tasks if task not in {claim.task_id for claim in held})
    assert leases.claim(left, "other") is not None, "another worker has places of its own"
    leases.end(held[0], "Success", {})
    assert leases.claim(next(iter(ticking.next_task())), "w") is not None


def test_a_dead_workers_task_is_put_back_once(kind: MakeKind, shared_database: None, clock: Clock) -> None:
    execution_id = services.start_execution(kind(lambda run: None))
    leases.claim(selectors.task_ids(execution_id)[0], "dead")
    clock.advance(minutes=1)
    assert sum(at_once(lambda _: leases.reap())) == 1  # type: ignore[arg-type]
    assert Task.objects.get().fence == 2


def test_ticks_tell_of_a_task_once(kind: MakeKind, shared_database: None, messages: list[int]) -> None:
    services.start_execution(kind(lambda run: None))
    messages.clear()
    at_once(lambda _: ticking.remind())
    assert len(messages) == 1


def test_one_of_many_requests_starts_an_exclusive_job(kind: MakeKind, shared_database: None) -> None:
    name = kind(lambda run: None, is_exclusive=True)
    outcomes = at_once(lambda _: services.start_execution(name))
    refused = [outcome for outcome in outcomes if isinstance(outcome, AlreadyRunning)]
    assert (len(refused), Execution.objects.count()) == (THREADS - 1, 1)
