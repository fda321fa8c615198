"""Handing an execution to a worker."""

import logging

_log = logging.getLogger("haven.gc")


def hand_over(execution_id: int) -> None:
    """Tell a worker, now. When the broker is away nothing is lost: beat's task finds the execution in the database."""
    # here, since Celery takes a quarter of a second to import, in a process that may never need it
    from kombu.exceptions import OperationalError

    from haven_gc.tasks import run_retention

    try:
        run_retention.apply_async((execution_id,), retry=False)
    except OperationalError as error:
        _log.warning("the broker is away, retention execution %s waits for the clock: %s", execution_id, error)
