"""A worker that is a function call, and a broker that takes everything."""

from collections.abc import Callable

import pytest

from haven_core.jobs import dispatch
from haven_core.jobs.models import Task
from haven_core.jobs.runner import run_task
from haven_gc import job
from haven_registry.storage import open_storage


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "send", lambda *_, **__: None)
    storage = open_storage("memory://")
    monkeypatch.setattr(job, "driver", lambda: storage)


@pytest.fixture
def work_off() -> Callable[[], int]:
    """Do every task that waits; returns how many."""

    def run() -> int:
        ids = list(Task.objects.filter(status__in=("Pending", "Scheduled")).order_by("id").values_list("id", flat=True))
        return sum(run_task(task_id, "haven@test", has_keeper=False) for task_id in ids)

    return run
