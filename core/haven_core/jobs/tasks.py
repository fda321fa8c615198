"""The one task of Celery that jobs need."""

from typing import Any

from celery import shared_task

from haven_core.jobs.dispatch import TASK_NAME
from haven_core.jobs.runner import run_task


@shared_task(name=TASK_NAME, bind=True, expires=3600)
def run(self: Any, task_id: int) -> bool:
    """Do a task, unless it is done, held, paused or not yet due; then the database has the word."""
    return run_task(task_id, worker=self.request.hostname or "worker")
