"""What the worker runs by the clock. Each task looks in the database for what is due: lost or doubled messages do no harm.

Every run is bounded, so that a job never waits long for a place; what is left is there for the next one, which comes as soon as
this one is over. Runs that sent for the next one themselves would be more with each message of the clock.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, islice
from random import shuffle
from time import monotonic

from celery import shared_task
from django.utils import timezone

from haven_core.db.connections import is_unavailable
from haven_gc import collect as collector
from haven_gc import fsck, uploads
from haven_gc import sweep as sweeper
from haven_gc.clock import require_right_clock
from haven_gc.pace import Pace
from haven_gc.repair import remove_orphans
from haven_registry.services.history import forget_old_history
from haven_registry.services.pull_days import add_up_gone_manifests, add_up_old_days
from haven_registry.services.pulls import forget_pull_batches
from haven_registry.store import driver

RUN_SECONDS = 10.0
PULL_BATCHES_KEPT = timedelta(days=7)

_log = logging.getLogger("haven.gc")


@shared_task(name="haven_gc.tasks.collect_due", expires=10)
def collect_due() -> dict[str, int]:
    """Collect every project in which something is due; returns what was done, by level. A pass in each in turn, so that a busy
    one keeps no other waiting, and in no order, so that not always the same ones are left."""
    end, total, pace = monotonic() + RUN_SECONDS, Counter[str](), Pace()
    due = collector.find_due_projects(timezone.now())
    shuffle(due)
    waiting = deque((project_id, collector.drain(project_id, after=lambda _: pace.rest())) for project_id in due)
    while waiting and monotonic() < end:
        project_id, passes = waiting.popleft()
        with _guarded(project_id):
            for one in islice(passes, 1):
                total += one.done
                waiting.append((project_id, passes))
    return _report("collected", total)


@shared_task(name="haven_gc.tasks.scan", expires=3600)
def scan() -> dict[str, int]:
    """Look through every project, and all blobs, for what no hint leads to (left by a crash, or by a row that was locked), and
    removes what is staged for no upload. Adds up pulls of purged manifests, forgets old history of tags, and checks the
    invariants."""
    total, pace = Counter[str](), Pace()
    for project_id in collector.find_projects():
        with _guarded(project_id):
            for one in chain(
                collector.drain(project_id, after=lambda _: pace.rest()),
                collector.drain(project_id, scan=True, after=lambda _: pace.rest()),
            ):
                total += one.done
    with _guarded("blobs of no project"):
        for freed in collector.purge_unused_blobs():
            total += Counter({"blobs": freed.blobs, "bytes": freed.size})
            pace.rest()
    for _ in range(100):
        if not add_up_gone_manifests():
            break
    total["tag_history"] = forget_old_history()
    with _guarded("files of uploads that no row knows"):
        total["orphans"] = _remove_leftovers()
    for name, number in fsck.check().items():
        _log.error("invariant %s is broken in %s rows: see haven fsck", name, number)
    return _report("scanned", total)


@shared_task(name="haven_gc.tasks.reap_uploads", expires=60)
def reap_uploads() -> int:
    """Close abandoned upload sessions; returns how many. Forgets the ids of old batches of pull counts and adds
    up old days of them, too."""
    end, total = monotonic() + RUN_SECONDS, 0
    while monotonic() < end and (count := uploads.reap_uploads()):
        total += count
    forget_pull_batches(timezone.now() - PULL_BATCHES_KEPT)
    while monotonic() < end and add_up_old_days():
        pass
    return total


@shared_task(name="haven_gc.tasks.sweep", expires=10)
def sweep() -> int:
    """Delete the bytes of dead keys; returns how many."""
    end, total = monotonic() + RUN_SECONDS, 0
    while monotonic() < end:
        swept = sweeper.sweep(driver())
        total += swept.removed
        if not swept.removed:  # nothing due, or the storage refuses everything: the next run tries again
            break
    return total


def _remove_leftovers() -> int:
    """Files of short bodies whose process was killed before their row was there (ADR 0026); returns how many."""
    if not driver().sees_staged:
        return 0
    require_right_clock()
    return remove_orphans(driver(), only_staged=True)[0]


@contextmanager
def _guarded(what: int | str) -> Iterator[None]:
    """What goes wrong in one project, by id, or in another part, keeps no other from being collected."""
    try:
        yield
    except Exception as error:  # whatever it is, it is logged, and the next run meets it again
        if is_unavailable(error):
            raise
        _log.exception("collecting project %s failed" if isinstance(what, int) else "collecting %s failed", what)


def _report(what: str, total: Counter[str]) -> dict[str, int]:
    done = {level: number for level, number in total.items() if number}
    if done:
        _log.info("%s %s", what, done)
    return done
