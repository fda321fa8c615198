"""Running one task in this process."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from haven_core.db.connections import is_unavailable
from haven_core.errors import HavenError, NotFound
from haven_core.jobs.errors import JobStopped, LeaseLost
from haven_core.jobs.kinds import Kind, find_kind
from haven_core.jobs.leases import LEASE, Claim, claim, end, give_back
from haven_core.jobs.models import Status, Task
from haven_core.jobs.run import BEAT_SECONDS, Run

SILENCE_SECONDS = 5.0  # after which the thread sends the heartbeat that the work does not
RETRY_SECONDS = 1.0
LOST = "Lost"
"""What _work calls the end of a task that can't go on because its database went away."""
_log = logging.getLogger("haven.jobs")


def run_task(
    task_id: int, worker: str, *, has_keeper: bool = True, echo: Callable[[dict[str, Any]], None] | None = None
) -> bool:
    """Claim a task, do its work and record how it ended; False when it was not ours to do.

    has_keeper: a thread keeps the lease while the work is inside a long step. echo: gets each line of the log, too.
    A database that goes away ends this without a result: the task is given back as soon as it is there again, or its lease
    runs out.
    """
    name = Task.objects.filter(id=task_id).values_list("kind", flat=True).first()
    try:
        kind = find_kind(name or "")
    except NotFound:
        return False  # gone, or for a newer worker
    held = claim(task_id, worker)
    if held is None:
        return False
    run = Run(held, echo=echo)
    run.info("started", worker=worker, attempt=held.attempt)
    with _keeper(run) if has_keeper else contextlib.nullcontext():
        outcome = _work(kind, run)
    if outcome is not None:
        _settle(held, run, *outcome)
    return True


def _work(kind: Kind, run: Run) -> tuple[str, dict[str, Any], str] | None:
    try:
        result = dict(kind.work(run) or {})
    except (JobStopped, KeyboardInterrupt):  # Ctrl-C at a command that runs its job itself
        run.warning("stopped")
        return Status.STOPPED, {}, ""
    except LeaseLost:
        return None
    except Exception as error:  # noqa: BLE001  # whatever a job's work raises is its result
        if is_unavailable(error):
            return LOST, {}, _first_line(error)
        is_ours = not isinstance(error, HavenError)
        _log.error("task %s (%s) failed: %s", run.task_id, kind.name, error, exc_info=error if is_ours else None)
        text = _first_line(error)
        run.error(f"failed: {text}", error=type(error).__name__)
        return Status.ERROR, {}, text
    run.info("done", **result)
    return Status.SUCCESS, result, ""


def _settle(held: Claim, run: Run, status: str, result: dict[str, Any], error: str) -> None:
    """Record how it ended. Without the database the task is given back instead: one that crashed may have lost the last of
    what was done."""
    run.close_phase()
    try:
        lost = error if status == LOST else _record(held, run, status, result, error)
        if lost:
            _log.error("task %s lost the database: %s", held.task_id, lost)
            _give_back(held, run, f"the database was lost: {lost}")
    except LeaseLost:
        _log.warning("task %s was given to another worker; what this one found is dropped", held.task_id)


def _record(held: Claim, run: Run, status: str, result: dict[str, Any], error: str) -> str:
    """How the database was lost over it, or ''. Raises LeaseLost."""
    try:
        run.flush()
        end(held, status, result, error)
    except (DatabaseError, InterfaceError) as lost:
        if not is_unavailable(lost):
            raise
        return _first_line(lost)
    return ""


def _give_back(held: Claim, run: Run, reason: str) -> None:
    """As soon as the database is there again, with the log until now; never if that is later than the lease. Raises
    LeaseLost."""
    deadline = time.monotonic() + LEASE.total_seconds()
    while time.monotonic() < deadline:
        try:
            run.flush(with_checkpoint=False)
            give_back(held, reason)
        except (DatabaseError, InterfaceError) as error:
            if not is_unavailable(error):
                raise
            connection.close()
            time.sleep(RETRY_SECONDS)
        else:
            return


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def _keeper(run: Run) -> Iterator[None]:
    is_over = threading.Event()

    def keep() -> None:
        try:
            while not is_over.wait(BEAT_SECONDS):
                try:
                    run.keep_alive(SILENCE_SECONDS)
                except Exception as error:  # noqa: BLE001  # the next beat may succeed; if none does, the lease ends
                    _log.warning("no heartbeat of task %s: %s", run.task_id, str(error).partition("\n")[0])
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=keep, name=f"keeper of task {run.task_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
