"""Background work of the registry."""

import redis
from celery import shared_task

from haven_core.conf import config
from haven_registry.services import details
from haven_registry.services.pull_queue import drain
from haven_registry.store import driver


@shared_task(name="haven_registry.tasks.drain_pulls", expires=30)
def drain_pulls() -> int:
    """Add the batches of pull counts waiting in Valkey to the tables; returns how many."""
    return drain(redis.Redis.from_url(config().redis_url, socket_timeout=5))


@shared_task(name="haven_registry.tasks.explain_artifacts", expires=30)
def explain_artifacts() -> int:
    """Read what was pushed since the last time; returns the number of events looked at."""
    return details.consume(driver())
