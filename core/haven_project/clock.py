"""What runs by the clock: `celery -A haven_project.clock beat`.

Beat sends names and runs nothing, so this loads neither Django nor the tasks, which are most of a worker's memory.
"""

from typing import Any

from celery import Celery

from haven_core.config import load_config
from haven_project.broker import configure

DAY = 24 * 3600


def _every(seconds: int, task: str, *, expires: int) -> dict[str, Any]:
    """expires: seconds after which a message nobody took is worth nothing, since the next one does its work."""
    return {"task": task, "schedule": float(seconds), "options": {"expires": expires}}


app = Celery("haven-clock", broker=load_config().broker_url, fixups=())
configure(app)
app.conf.beat_schedule = {
    "audit": _every(5, "haven_core.tasks.write_audit_log", expires=30),
    "count-pulls": _every(5, "haven_registry.tasks.drain_pulls", expires=30),
    "explain-artifacts": _every(5, "haven_registry.tasks.explain_artifacts", expires=30),
    "note-last-uses": _every(30, "haven_core.tasks.note_last_uses", expires=30),
    "collect": _every(10, "haven_gc.tasks.collect_due", expires=10),
    "sweep": _every(10, "haven_gc.tasks.sweep", expires=10),
    "reap-uploads": _every(60, "haven_gc.tasks.reap_uploads", expires=60),
    "forget-events": _every(3600, "haven_core.tasks.forget_events", expires=3600),
    "scan": _every(DAY, "haven_gc.tasks.scan", expires=3600),
}
