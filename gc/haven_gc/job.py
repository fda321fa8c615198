"""Garbage collection as a job: Harbor's GARBAGE_COLLECTION, started by somebody or by a schedule.

What continuous collection (haven_gc.tasks) does from hints this does for everything at once, and tells about it. Both
may run at the same time, beside pushes and pulls.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from haven_core.db.connections import is_unavailable
from haven_core.errors import BadRequest
from haven_core.jobs.errors import JobStopped, LeaseLost
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.run import Run
from haven_gc import collect as collector
from haven_gc.clock import require_right_clock
from haven_gc.errors import GcIncomplete
from haven_gc.pace import Pace
from haven_gc.plan import plan_removals
from haven_gc.progress import Progress
from haven_gc.sweep import sweep
from haven_gc.uploads import reap_uploads
from haven_registry.models import StorageObject
from haven_registry.services.purge import BATCH
from haven_registry.store import driver

KIND = "GARBAGE_COLLECTION"
MAX_WORKERS = 10
_log = logging.getLogger("haven.gc")
_BOOLEANS = ("delete_untagged", "dry_run", "delete_tag")


def register() -> None:
    """At app ready."""
    register_kind(Kind(KIND, run_gc, is_exclusive=True))


def checked_parameters(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A GC's parameters, as Harbor takes them. workers: 1 to 10, so many delete bytes at once; rows are the work of one, since
    the database sets that pace. delete_tag is kept and means nothing, as in Harbor. Unknown ones are dropped. Raises
    BadRequest.
    """
    wrong = next((name for name in _BOOLEANS if not isinstance(sent.get(name, False), bool)), None)
    if wrong is not None:
        raise BadRequest(f"{wrong} must be true or false")
    workers = sent.get("workers", 1)
    if type(workers) is not int or not 1 <= workers <= MAX_WORKERS:
        raise BadRequest(
            f"Error: Invalid number of workers:{str(workers)[:20]}. Workers must be greater than 0 and less than or equal "
            f"to {MAX_WORKERS}."
        )
    return {**{name: sent.get(name, False) for name in _BOOLEANS}, "workers": workers}


def run_gc(run: Run) -> dict[str, Any]:
    """One run over what is due when it comes by; returns purged_manifests, purged_blobs and freed_space (bytes), in a dry run
    those that would be.

    A project that fails does not keep the others from being collected: at the end GcIncomplete is raised.
    """
    delete_untagged = bool(run.parameters.get("delete_untagged"))
    require_right_clock()
    if run.parameters.get("dry_run"):
        return _dry_run(run, delete_untagged)
    progress = Progress(run)
    for project_id in progress.projects("collect", collector.find_projects()):
        _collect_guarded(progress, project_id, delete_untagged=delete_untagged)
    for project_id in progress.projects("scan", collector.find_projects()):
        _collect_guarded(progress, project_id, scan=True)
    progress.once("blobs", _purge_unused_blobs)
    progress.once("uploads", _reap_uploads)
    progress.once("sweep", _sweep)
    # repositories that waited for the staged bytes of their uploads
    for project_id in progress.projects("finish", collector.find_due_projects(timezone.now())):
        _collect_guarded(progress, project_id)
    progress.once("sweep", _sweep)
    if progress.failed:
        raise GcIncomplete(f"{len(progress.failed)} projects could not be collected; the log says why")
    return _totals(progress.total)


def _collect_guarded(progress: Progress, project_id: int, **options: bool) -> None:
    try:
        _collect(progress, project_id, **options)
    except (JobStopped, LeaseLost):
        raise
    except Exception as error:  # one project's trouble is not the others'
        if is_unavailable(error):
            raise
        _log.exception("collecting project %s failed", project_id)
        progress.run.error("could not be collected", project=project_id, error=type(error).__name__)
        progress.failed.add(project_id)


def _collect(progress: Progress, project_id: int, **options: bool) -> None:
    run, pace, total = progress.run, Pace(), Counter[str]()

    def after(did: Counter[str]) -> None:
        progress.add(did)
        run.advance(0, size=did["bytes"])
        run.check()
        pace.rest()

    for done, place in collector.drain(project_id, place=progress.place(project_id), after=after, **options):
        total += done
        progress.reach(project_id, place)
    did = {level: number for level, number in total.items() if number and level != "repository_blobs_seen"}
    if did:
        run.info("collected", project=project_id, **did)


def _purge_unused_blobs(progress: Progress) -> None:
    run, pace = progress.run, Pace()
    for freed in collector.purge_unused_blobs():
        progress.add({"blobs": freed.blobs, "bytes": freed.size})
        run.advance(freed.blobs, size=freed.size)
        run.check()
        pace.rest()


def _reap_uploads(progress: Progress) -> None:
    run = progress.run
    while count := reap_uploads():
        progress.add({"uploads": count})
        run.advance(count)
        run.check()


def _sweep(progress: Progress) -> None:
    run, until = progress.run, timezone.now()
    total = StorageObject.objects.filter(state=StorageObject.DEAD, purge_after__lte=until).count()
    run.expect(total)
    workers = min(int(run.parameters.get("workers", 1)), total // BATCH + 1)
    if workers == 1:
        _sweep_on(progress, until, Pace().rest)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="sweep") as pool:
        sweepers = [pool.submit(_sweep_in_thread, progress, until) for _ in range(workers)]
    for sweeper in sweepers:
        sweeper.result()


def _sweep_in_thread(progress: Progress, until: datetime) -> None:
    try:
        _sweep_on(
            progress, until, lambda: None
        )  # who wants several wants it quick; and each would be the others' company
    finally:
        connection.close()  # the thread's own


def _sweep_on(progress: Progress, until: datetime, rest: Callable[[], None]) -> None:
    """Batches until nothing is left that was due then. Any number may do it at once: a batch is claimed."""
    run = progress.run
    while True:
        run.check()
        swept = sweep(driver(), until=until)
        rest()
        progress.add({"keys": swept.removed})
        run.advance(swept.removed)
        if swept.failed:
            run.warning("the storage refused to delete; a later run tries again", keys=swept.failed)
        if not swept.removed:
            return


def _totals(total: Counter[str]) -> dict[str, Any]:
    return {
        "purged_manifests": total["manifests"],
        "purged_blobs": total["blobs"],
        "freed_space": total["bytes"],
        "trashed_untagged": total["untagged"],
        "expired_uploads": total["uploads"],
        "deleted_keys": total["keys"],
    }


def _dry_run(run: Run, delete_untagged: bool) -> dict[str, Any]:
    """Names in the log whatever would go. A charge goes with its link and is not named."""
    counts, freed = Counter[str](), 0
    run.phase("look")
    for removal in plan_removals(timezone.now(), delete_untagged=delete_untagged):
        counts[removal.level] += 1
        freed += removal.size if removal.level == "blob" else 0
        if removal.level != "charge":
            verb = "would go into the trash" if removal.level == "trash" else "would be removed"
            run.info(verb, what=removal.level, name=removal.name, reason=removal.reason, size=removal.size)
        run.advance(size=removal.size if removal.level == "blob" else 0)
        run.check()
    return {
        "purged_manifests": counts["manifest"],
        "purged_blobs": counts["blob"],
        "freed_space": freed,
        "trashed_untagged": counts["trash"],
        "expired_uploads": counts["upload"],
        "deleted_keys": counts["key"],
    }
