"""Telling workers that there is something to do. Only a hint: whoever misses it finds the task in the database.

Celery is loaded by the first message: the processes that serve /v2 send none, and start with every command.
"""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from celery import Celery

TASK_NAME = "haven_core.jobs.tasks.run"
QUEUE = "default"
_SECONDS = 1.0

_log = logging.getLogger("haven.jobs")


def wake_workers(task_ids: Sequence[int]) -> bool:
    """Send a message for each task; False when the broker does not take them. Never raises for that, never waits long."""
    from kombu.exceptions import KombuError

    try:
        for task_id in task_ids:
            send(TASK_NAME, args=[task_id], queue=QUEUE, retry=False, ignore_result=True)
    except (OSError, KombuError) as error:
        _log.warning("no worker could be told, the next tick will: %s", error)
        return False
    return True


def send(name: str, **options: Any) -> None:
    """Publish one message of Celery. Raises OSError or KombuError."""
    _producer(settings.CELERY_BROKER_URL).send_task(name, **options)


@lru_cache(maxsize=2)
def _producer(broker_url: str) -> "Celery":
    """An application that only sends. The processes that serve requests don't load the workers' one, and theirs waits for
    a broker that is away; a request must not."""
    from celery import Celery

    app = Celery("haven-producer", set_as_current=False, broker=broker_url)
    app.conf.update(
        task_serializer="json",
        task_default_queue=QUEUE,
        broker_connection_timeout=_SECONDS,
        broker_transport_options={
            "max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0,
            "socket_connect_timeout": _SECONDS, "socket_timeout": _SECONDS, "retry_on_timeout": False,
        },
    )  # fmt: skip
    return app
