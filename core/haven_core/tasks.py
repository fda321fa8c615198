"""Background work of the core."""

import redis
from celery import shared_task

from haven_core.conf import config
from haven_core.robots.usage import drain


@shared_task(name="haven_core.tasks.note_robot_uses", expires=30)
def note_robot_uses() -> int:
    """Write when robots last logged in; returns for how many secrets."""
    return drain(redis.Redis.from_url(config().redis_url, socket_timeout=5))
