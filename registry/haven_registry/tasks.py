"""Background work of the registry."""

import redis
from celery import shared_task

from haven_core.conf import config
from haven_registry.services.pulls import drain


@shared_task(name="haven_registry.tasks.drain_pulls", expires=30)
def drain_pulls() -> int:
    """Add the batches of pull counts waiting in Valkey to the tables; returns how many."""
    return drain(redis.Redis.from_url(config().redis_url, socket_timeout=5))
