"""Retention by the clock: a job that begins a run."""

from haven_core.errors import NotFound
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.run import Run
from haven_core.retention.policies import KIND
from haven_gc.retention import dispatch
from haven_gc.retention.run import SCHEDULE, start_retention


def register() -> None:
    """At start."""
    register_kind(Kind(KIND, start_scheduled))


def start_scheduled(run: Run) -> dict[str, int]:
    """Make an execution of the policy and hand it over; nothing when the policy is gone. Done twice it starts a second
    execution, which finds nothing left to do."""
    try:
        execution_id = start_retention(run.subject_id, dry_run=False, trigger=SCHEDULE)
    except NotFound:
        return {}
    dispatch.hand_over(execution_id)
    return {"execution": execution_id}
