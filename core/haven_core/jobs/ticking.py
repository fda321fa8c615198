"""What keeps jobs going, every few seconds in every worker. All of it may run anywhere and at once."""

import logging
import os
import socket
import threading
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.jobs.dispatch import wake_workers
from haven_core.jobs.leases import reap, reap_own
from haven_core.jobs.models import WAITING, Pause, Task, Worker
from haven_core.jobs.schedules import fire_due

TICK_SECONDS = 5.0
REMIND_AFTER = timedelta(seconds=30)  # a message for a task that still waits may be lost; a second one does no harm
WORKER_SILENCE = timedelta(minutes=1)
BATCH = 200

_log = logging.getLogger("haven.jobs")

# A fork waits until the pulse is at rest. A child born while it writes would inherit SQLite's table of the process's locks,
# where a connection that the child does not have holds the write lock, and wait for it for ever.
_busy = threading.Lock()
os.register_at_fork(before=_busy.acquire, after_in_parent=_busy.release, after_in_child=_busy.release)


def tick() -> int:
    """Fire schedules, put back what dead workers held, and tell workers what is due; returns how many were told.

    Losing every message of the broker costs REMIND_AFTER.
    """
    fire_due()
    reap()
    return remind()


def remind() -> int:
    """Send messages for due tasks of which no worker was told lately; returns how many. Locks: job_task (SKIP LOCKED)."""
    now = timezone.now()
    untold = Q(dispatched_at=None) | Q(dispatched_at__lte=now - REMIND_AFTER) | Q(dispatched_at__gt=now + REMIND_AFTER)
    due = _due(now).filter(untold)
    if not due.exists():
        return 0  # a look, no write transaction: this runs every few seconds

    def work() -> list[int]:
        rows = backend.locked(due.values_list("id")[:BATCH], "NO KEY UPDATE", skip_locked=True)
        ids = [row[0] for row in rows]
        Task.objects.filter(id__in=ids).update(dispatched_at=now)
        return ids

    ids = run_write(work)
    if not wake_workers(ids):
        Task.objects.filter(id__in=ids, dispatched_at=now).update(dispatched_at=None)  # the next tick tries again
        return 0
    return len(ids)


def next_task() -> list[int]:
    """The id of the task that has waited longest, if there is one, whoever was told of it."""
    return list(_due(timezone.now()).values_list("id", flat=True)[:1])


def _due(now: datetime) -> QuerySet[Task]:
    paused = Pause.objects.values("kind")
    return Task.objects.filter(status__in=WAITING, run_after__lte=now).exclude(kind__in=paused).order_by("run_after")


class Pulse(threading.Thread):
    """The thread of a worker's main process that ticks and shows that the worker is alive. It does so while all of the
    worker's children are busy, and needs no broker: a task can't starve the schedules."""

    def __init__(self, name: str, concurrency: int) -> None:
        super().__init__(name="pulse", daemon=True)
        self._worker, self._concurrency, self._started_at = name[:255], concurrency, timezone.now()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            with _busy:
                self._beat()
            self._over.wait(TICK_SECONDS)
        with _busy:
            self._sign_off()

    def end(self) -> None:
        """Stop, and remove the worker's row."""
        self._over.set()
        self.join(timeout=5)

    def _beat(self) -> None:
        try:
            self._register()
            reap_own(self._worker)
            tick()
        except Exception as error:  # noqa: BLE001  # the thread outlives a database that is away
            _log.error("tick failed: %s", error, exc_info=not isinstance(error, OSError))
        finally:
            connection.close()  # the main process forks children, which must not inherit it

    def _sign_off(self) -> None:
        try:
            Worker.objects.filter(name=self._worker).delete()
        except Exception as error:  # noqa: BLE001  # its row goes by the clock, then
            _log.warning("could not sign off: %s", error)
        finally:
            connection.close()

    def _register(self) -> None:
        now = timezone.now()
        values: dict[str, Any] = {
            "host": socket.gethostname()[:255], "pid": os.getpid(), "concurrency": self._concurrency,
            "started_at": self._started_at, "heartbeat_at": now,
        }  # fmt: skip
        Worker.objects.update_or_create(name=self._worker, defaults=values)
        Worker.objects.filter(heartbeat_at__lte=now - 60 * WORKER_SILENCE).delete()
