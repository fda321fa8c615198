"""The Celery application: queues, habits of every task, and what runs by the clock.

Messages carry ids only and may be lost or doubled without harm: each task looks in the database for what is due.
"""

import os

from celery import Celery

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
    broker_transport_options={"visibility_timeout": 3600},
    beat_schedule={
        "count-pulls": {"task": "haven_registry.tasks.drain_pulls", "schedule": 10.0},
        "collect": {"task": "haven_gc.tasks.collect_due", "schedule": 60.0},
        "reap-uploads": {"task": "haven_gc.tasks.reap_uploads", "schedule": 300.0},
        "note-robot-uses": {"task": "haven_core.tasks.note_robot_uses", "schedule": 30.0},
        "scan": {"task": "haven_gc.tasks.scan", "schedule": 24 * 3600.0},
        "sweep": {"task": "haven_gc.tasks.sweep", "schedule": 60.0},
    },
)
app.autodiscover_tasks(["haven_core", "haven_registry", "haven_gc"])
