"""The Celery application: queues, habits of every task, and what runs by the clock.

Messages carry ids only and may be lost or doubled without harm: each task looks in the database for what is due.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")

app = Celery("haven")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="default",
    task_routes={"haven_gc.*": {"queue": "gc"}},
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 3600,
        # who sends a message answers somebody: without these it tries for six seconds when the broker is away
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    },
    beat_schedule={
        "audit": {"task": "haven_core.tasks.write_audit_log", "schedule": 5.0},
        "count-pulls": {"task": "haven_registry.tasks.drain_pulls", "schedule": 5.0},
        "collect": {"task": "haven_gc.tasks.collect_due", "schedule": 60.0},
        "explain-artifacts": {"task": "haven_registry.tasks.explain_artifacts", "schedule": 5.0},
        "forget-events": {"task": "haven_core.tasks.forget_events", "schedule": 3600.0},
        "reap-uploads": {"task": "haven_gc.tasks.reap_uploads", "schedule": 300.0},
        "note-last-uses": {"task": "haven_core.tasks.note_last_uses", "schedule": 30.0},
        "scan": {"task": "haven_gc.tasks.scan", "schedule": 24 * 3600.0},
        "sweep": {"task": "haven_gc.tasks.sweep", "schedule": 60.0},
    },
)
app.autodiscover_tasks(["haven_core", "haven_core.jobs", "haven_registry", "haven_gc"])

_pulses: list[Any] = []


@worker_ready.connect
def _start_pulse(sender: Any, **_: Any) -> None:
    """Jobs are kept going by a thread of each worker's main process, not by beat: see haven_core.jobs.ticking."""
    from haven_core.jobs.ticking import Pulse  # models: Django is ready only now

    _pulses.append(Pulse(sender.hostname, sender.controller.concurrency or 1))
    _pulses[-1].start()


@worker_shutting_down.connect
def _end_pulse(**_: Any) -> None:
    while _pulses:
        _pulses.pop().end()
