"""A registry whose garbage collection job runs on memory storage."""

from collections.abc import Callable
from typing import Any

import pytest

from haven_core.jobs import dispatch, selectors, services
from haven_core.jobs.models import Execution
from haven_core.jobs.runner import run_task
from haven_gc import job, scrub
from tests.integration.model.conftest import Clock, clock, site, windows
from tests.support.site import Site

__all__ = ["Clock", "clock", "site", "windows"]

RunJob = Callable[..., Execution]


@pytest.fixture
def run_job(site: Site, monkeypatch: pytest.MonkeyPatch) -> RunJob:
    """run_job(dry_run=True): one GARBAGE_COLLECTION from start to end; returns its execution."""
    monkeypatch.setattr(dispatch, "send", lambda *_, **__: None)
    monkeypatch.setattr(job, "driver", lambda: site.driver)

    def run(**parameters: Any) -> Execution:
        execution_id = services.start_execution(job.KIND, job.checked_parameters(parameters))
        (task_id,) = selectors.task_ids(execution_id)
        assert run_task(task_id, "test", has_keeper=False)
        return Execution.objects.get(id=execution_id)

    return run


def log_of(execution: Execution) -> list[dict[str, Any]]:
    return [line for _, lines in selectors.read_log(selectors.task_ids(execution.id)) for line in lines]


@pytest.fixture
def run_scrub(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Execution]:
    """One SCRUB from start to end."""
    monkeypatch.setattr(dispatch, "send", lambda *_, **__: None)
    monkeypatch.setattr(scrub, "driver", lambda: site.driver)

    def run() -> Execution:
        execution_id = services.start_execution(scrub.KIND, scrub.checked_parameters({}))
        (task_id,) = selectors.task_ids(execution_id)
        assert run_task(task_id, "test", has_keeper=False)
        return Execution.objects.get(id=execution_id)

    return run
