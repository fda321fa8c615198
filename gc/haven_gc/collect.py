"""Garbage collection: when to run the purge steps, and the last level, which belongs to no project."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone

from haven_core.conf import config
from haven_core.configuration.selectors import restore_window
from haven_core.db import backend
from haven_core.db.transactions import write_transaction
from haven_core.models import Project
from haven_gc.clock import require_right_clock
from haven_registry.errors import ManifestReferenced, ManifestUnknown, RepositoryUnknown
from haven_registry.models import Blob, Manifest, ProjectBlob, Repository, RepositoryBlob, StorageObject
from haven_registry.services import purge
from haven_registry.services.delete import delete_manifest, is_unreferenced

PAGE = 5000
FEW = 10
LEVELS = 3
"""An index lets go of an image, and that of its layers: what one level lets go of is due at the next. Deeper ones are for the
next run."""
# steps on repositories and rows only looked at are work too: a pass that did only those is not the last
_WORK = ("untagged", "repositories", "manifests", "repository_blobs_seen", "project_blobs", "blobs")


class Freed(NamedTuple):
    """Blobs removed, and how many bytes they are."""

    blobs: int = 0
    size: int = 0


class Place(NamedTuple):
    """How far a drain is: at which level, and what that level collects: what is due by `until`. has_worked: there was
    something at that level, so the next one may have something too."""

    level: int
    until: datetime
    has_worked: bool = False


AfterStep = Callable[[Counter[str]], None]
"""Called after each step of a pass, in no transaction, with what it did; what it raises ends the pass."""


class Pass(NamedTuple):
    """What one pass over a project did, by level, and the place where the next one goes on."""

    done: Counter[str]
    place: Place


def find_due_projects(now: datetime) -> list[int]:
    """Ids of projects in which something waits for the collector."""
    manifests = Manifest.objects.filter(repository__project_id=OuterRef("pk"), purge_after__lte=now)
    links = RepositoryBlob.objects.filter(repository__project_id=OuterRef("pk"), review_at__lte=now)
    repositories = Repository.objects.filter(project_id=OuterRef("pk"), purge_after__lte=now)
    due = Q(Exists(manifests)) | Q(Exists(links)) | Q(Exists(repositories))
    return list(Project.objects.filter(due).order_by("id").values_list("id", flat=True))


def find_projects() -> list[int]:
    """Ids of all projects, deleted ones too: rows may be left in them."""
    return list(Project.objects.order_by("id").values_list("id", flat=True))


def drain(
    project_id: int,
    *,
    delete_untagged: bool = False,
    scan: bool = False,
    place: Place | None = None,
    after: AfterStep = lambda _: None,
) -> Iterator[Pass]:
    """Passes over one project until nothing is left of what is due now, and of what that lets go of; yields each, in no
    transaction. What becomes due meanwhile is the next run's: clients that delete as quickly as this collects would
    keep it for ever. place: where to begin, as an earlier drain got there. As collect(); a scan costs the project's size and
    follows a drain without one."""
    levels, now = 1 if scan else LEVELS, timezone.now()
    level, until, has_worked = place or Place(0, now)
    until = min(until, now)  # the clock may have gone back since
    while level < levels:
        done = collect(project_id, delete_untagged=delete_untagged, scan=scan, until=until, after=after)
        if not was_idle(done):
            has_worked = True
        elif has_worked:
            level, until, has_worked = level + 1, timezone.now(), False
        else:  # this level lets go of nothing
            level = levels
        yield Pass(done, Place(level, until, has_worked))


def collect(
    project_id: int,
    *,
    delete_untagged: bool = False,
    scan: bool = False,
    until: datetime | None = None,
    after: AfterStep = lambda _: None,
) -> Counter[str]:
    """One pass over one project, each level at most purge.BATCH rows; returns what was done, by level.

    delete_untagged: also trash untagged manifests that nothing keeps and that are older than untagged_age; only when a
    policy or a person asks. scan: look for project_blobs that no hint led to, too (what a crash left; for blobs see
    purge_unused_blobs). until: only what was deleted, or due, by then.
    Safe at any time, beside any number of pushes and other collectors. Raises ClockWrong.
    """
    require_right_clock()
    total: Counter[str] = Counter()

    def did(**numbers: int) -> None:
        total.update(numbers)
        after(Counter(numbers))

    if delete_untagged:
        for count in trash_untagged(project_id, until=until):
            did(untagged=count)
    did(
        repositories=purge.purge_repository(project_id, until=until),
        manifests=purge.purge_manifests(project_id, until=until).removed,
    )
    links = purge.purge_repository_blobs(project_id, until=until)
    did(repository_blobs_seen=links.looked_at, repository_blobs=links.removed)
    charges = purge.purge_project_blobs(project_id, None if scan else links.let_go)
    did(project_blobs=charges.removed)
    freed = purge_blobs(charges.let_go)
    did(blobs=freed.blobs, bytes=freed.size)
    return total


def was_idle(done: Counter[str]) -> bool:
    """Whether a pass found nothing to do."""
    return not any(done[what] for what in _WORK)


def trash_untagged(project_id: int, *, until: datetime | None = None, limit: int = 100) -> Iterator[int]:
    """Trash up to `limit` manifests nothing keeps (until: which were old enough by then); yields how many, each time after a
    few, in no transaction: together they may take longer than a worker lives. delete_manifest asks again under its locks."""
    now = until or timezone.now()
    candidates = Manifest.objects.filter(
        is_unreferenced(now),
        repository__project_id=project_id,
        repository__deleted_at=None,
        deleted_at=None,
        pushed_at__lte=now - config().untagged_age,
    ).order_by("id")
    found = list(candidates.values_list("repository_id", "digest")[:limit])
    for start in range(0, len(found), FEW):
        count = 0
        for repository_id, digest in found[start : start + FEW]:
            # otherwise somebody was faster
            with suppress(ManifestUnknown, ManifestReferenced, RepositoryUnknown):
                delete_manifest(repository_id=repository_id, digest=digest, only_untagged=True)
                count += 1
        yield count


def read_grace() -> timedelta:
    """How long the bytes of a removed blob stay. Whoever sets both the restore window and the grace to 0 wants the room
    back at once, and takes it that a download which has not opened its file fails."""
    settings = config()
    is_hasty = not settings.gc_grace and not restore_window()
    return timedelta() if is_hasty else settings.read_grace


def purge_unused_blobs() -> Iterator[Freed]:
    """Look through all blobs for those that no project has and no hint led to; yields what each short step freed, between
    steps and in no transaction. Those that come meanwhile, and those let go of behind our back, are the next look's.
    Raises ClockWrong."""
    last, end = 0, Blob.objects.aggregate(end=Max("id"))["end"] or 0
    ids = Blob.objects.filter(id__lte=end).order_by("id").values_list("id", flat=True)
    free = Blob.objects.filter(~Q(Exists(ProjectBlob.objects.filter(blob_id=OuterRef("pk")))))
    while page := list(ids.filter(id__gt=last)[:PAGE]):
        require_right_clock()
        found = list(free.filter(id__gt=last, id__lte=page[-1]).values_list("id", flat=True))
        last = page[-1]
        yield Freed()
        for start in range(0, len(found), purge.BATCH):
            yield purge_blobs(tuple(found[start : start + purge.BATCH]))


def purge_blobs(candidates: tuple[int, ...]) -> Freed:
    """Remove those of the blobs (ids) that no project has.

    The same transaction makes their keys dead: this is the only place where a key goes from live to dead. The bytes stay
    for read_grace, so that downloads under way end well. Locks: blob (UPDATE, SKIP LOCKED), storage_object.
    """
    if not candidates:
        return Freed()
    now = timezone.now()
    free = Blob.objects.filter(~Q(Exists(ProjectBlob.objects.filter(blob_id=OuterRef("pk")))))
    scope = free.filter(id__in=candidates)
    with write_transaction(is_durable=False):  # as purge's steps
        ids = [row[0] for row in backend.locked(scope.values_list("id"), "UPDATE", skip_locked=True)]
        doomed = list(free.filter(id__in=ids).values_list("id", "object_id", "size"))
        if doomed:
            Blob.objects.filter(id__in=[blob_id for blob_id, _, _ in doomed]).delete()
            StorageObject.objects.filter(id__in=[object_id for _, object_id, _ in doomed]).update(
                state=StorageObject.DEAD, purge_after=now + read_grace()
            )
    return Freed(len(doomed), sum(size for _, _, size in doomed))
