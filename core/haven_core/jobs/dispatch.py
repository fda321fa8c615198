"""Telling workers that there is something to do. Only a hint: whoever misses it finds the task in the database."""

import logging
from collections.abc import Sequence

from celery import current_app
from kombu.exceptions import KombuError

TASK_NAME = "haven_core.jobs.tasks.run"

_log = logging.getLogger("haven.jobs")


def wake_workers(task_ids: Sequence[int]) -> bool:
    """Send a message for each task; False when the broker does not take them. Never raises for that, never waits long."""
    try:
        for task_id in task_ids:
            current_app.send_task(TASK_NAME, args=[task_id], retry=False, ignore_result=True)
    except (OSError, KombuError) as error:
        _log.warning("no worker could be told, the next tick will: %s", error)
        return False
    return True
