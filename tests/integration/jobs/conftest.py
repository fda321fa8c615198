"""Kinds of jobs for tests, and a worker that is a function call."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from haven_core.jobs import dispatch, kinds, selectors
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.models import Execution, Task
from haven_core.jobs.runner import run_task
from tests.integration.model.conftest import Clock, clock

__all__ = ["Clock", "clock"]

Work = Callable[..., Any]
MakeKind = Callable[..., str]


@pytest.fixture(autouse=True)
def messages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The broker: what would have been sent, task by task."""
    sent: list[int] = []
    monkeypatch.setattr(dispatch, "send", lambda _name, args, **_: sent.append(args[0]))
    return sent


@pytest.fixture
def kind(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """kind(work, attempts=1): register a kind named TEST; returns the name."""
    monkeypatch.setattr(kinds, "_kinds", {})

    def make(work: Work, name: str = "TEST", **options: Any) -> str:
        register_kind(Kind(name, work, **options))
        return name

    return make


def work_off(worker: str = "w1") -> int:
    """Do every task that is due, here; returns how many."""
    ids = list(Task.objects.filter(status__in=("Pending", "Scheduled")).order_by("id").values_list("id", flat=True))
    return sum(run_task(task_id, worker, has_keeper=False) for task_id in ids)


def status(execution_id: int) -> str:
    return Execution.objects.get(id=execution_id).status


def messages_of(execution_id: int) -> list[str]:
    return [line["message"] for _, lines in selectors.read_log(selectors.task_ids(execution_id)) for line in lines]
