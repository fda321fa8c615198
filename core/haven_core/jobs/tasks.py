"""The one task of Celery that jobs need."""

from typing import Any

from celery import shared_task

from haven_core.jobs.dispatch import TASK_NAME, wake_workers
from haven_core.jobs.runner import run_task
from haven_core.jobs.ticking import next_task


@shared_task(name=TASK_NAME, bind=True, expires=3600)
def run(self: Any, task_id: int) -> bool:
    """Do a task, unless it is done, held, paused or not yet due, or this worker does as many as it may; then the database has
    the word. Its place is the next one's."""
    was_done = run_task(task_id, worker=self.request.hostname or "worker")
    if was_done:
        wake_workers(next_task())
    return was_done
