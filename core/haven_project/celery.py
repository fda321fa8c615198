"""The workers' Celery application. What the clock sends is in haven_project.clock."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_before_create_process, worker_ready, worker_shutting_down

from haven_project.broker import configure

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")

app = Celery("haven")
app.config_from_object("django.conf:settings", namespace="CELERY")
configure(app)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
)
app.autodiscover_tasks(["haven_core", "haven_core.jobs", "haven_registry", "haven_gc"])

_pulses: list[Any] = []


@worker_before_create_process.connect
def _share_memory(**_: Any) -> None:
    """What is loaded by now stays, in the parent and its children: a child's collector that looked at it would copy all
    of it."""
    gc.collect()
    gc.freeze()


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
