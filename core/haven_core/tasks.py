"""Background work of the core."""

from datetime import timedelta

import redis
from celery import shared_task
from django.utils import timezone

from haven_core.audit.consumer import consume
from haven_core.conf import config
from haven_core.events.delivery import forget_events
from haven_core.uses import PERSONAL_TOKENS, ROBOT_SECRETS

KEEP_EVENTS = timedelta(days=7)  # after every consumer has taken them: for somebody who looks what happened


@shared_task(name="haven_core.tasks.write_audit_log", expires=30)
def write_audit_log() -> int:
    """Write down what has happened since the last time; returns the number of events looked at."""
    return consume()


@shared_task(name="haven_core.tasks.forget_events", expires=3600)
def forget_old_events() -> int:
    """Delete events nobody waits for; returns how many."""
    return forget_events(timezone.now() - KEEP_EVENTS)


@shared_task(name="haven_core.tasks.note_last_uses", expires=30)
def note_last_uses() -> int:
    """Write when robots and personal tokens last logged in; returns for how many secrets."""
    queue = redis.Redis.from_url(config().redis_url, socket_timeout=5)
    return sum(uses.drain(queue) for uses in (ROBOT_SECRETS, PERSONAL_TOKENS))
