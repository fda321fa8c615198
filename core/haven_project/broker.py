"""What every Celery application of Haven says to the broker: queues, routes, patience.

Messages carry ids only and may be lost or doubled without harm: each task looks in the database for what is due.
"""

from celery import Celery


def configure(app: Celery) -> None:
    """Both sides of the broker: the workers' application and the clock's."""
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue="default",
        task_routes={"haven_gc.*": {"queue": "gc"}},
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 3600,
            # who sends a message answers somebody: without these it tries for six seconds when the broker is away
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        },
    )
