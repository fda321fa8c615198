"""The product's Celery application with kinds of jobs made for tests: celery -A tests.integration.jobs.programs.kinds_app."""

import os
import time
from pathlib import Path
from typing import Any

import django
from celery.signals import worker_init

from haven_project.celery import app

__all__ = ["app"]

DAWDLE_SECONDS = 7.0  # longer than a pool takes to replace a dead child


def count(run: Any) -> dict[str, int]:
    """Counts to `steps`, a step each 50 ms, and logs each."""
    run.phase("count", total=run.parameters["steps"])
    for number in range(run.parameters["steps"]):
        run.info("counted", number=number)
        run.advance()
        run.check()
        time.sleep(0.05)
    return {"counted": run.parameters["steps"], "attempt": run.attempt}


def sleep(run: Any) -> dict[str, int]:
    """One long step that never asks."""
    time.sleep(run.parameters["seconds"])
    return {"attempt": run.attempt}


def dawdle(_execution: Any) -> None:
    """A moment of a schedule that takes long to record: the worker's main process holds the database's write lock."""
    Path(os.environ["HAVEN_DATA_DIR"], "dawdling").touch()
    time.sleep(DAWDLE_SECONDS)


@worker_init.connect
def register(**_: Any) -> None:
    """In the worker, before it forks; and in the director."""
    from haven_core.jobs.kinds import Kind, register_kind

    register_kind(Kind("COUNT", count))
    register_kind(Kind("SLEEP", sleep))
    register_kind(Kind("DAWDLE", count, began=dawdle))


if __name__ == "__main__":
    django.setup()
