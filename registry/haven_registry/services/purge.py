"""What takes things out of the trash for good, level by level. haven_gc calls it by the clock, a push by need.

Each step is one short transaction: choose and lock rows FOR UPDATE SKIP LOCKED, repeat the whole condition in a second
statement, delete, charge. Chosen rows may have changed before they were held; the second statement has a new snapshot.

No step waits for the disk, so that pushes don't wait for it behind the quota's row. A step that the machine loses with its
power is done again; bytes go after a claim that is durable, and all before it with it (haven_gc.sweep).
"""

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Case, Exists, F, Model, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import write_transaction
from haven_core.quotas.services import charge
from haven_registry.models import (
    ArtifactDetail,
    ArtifactLabel,
    Manifest,
    ManifestBlob,
    ManifestChild,
    ProjectBlob,
    PullDaily,
    Repository,
    RepositoryBlob,
    StorageObject,
    Tag,
    TagHistory,
    Upload,
)

BATCH = 200
REPOSITORIES_TRIED = 20

_BELOW: tuple[type[Model], ...] = (RepositoryBlob, Manifest, Tag, TagHistory, Upload, PullDaily)


class Purged(NamedTuple):
    """What one step did.

    looked_at: rows that were due; 0 is the end of the queue. removed: rows deleted. let_go: ids one level down that may
    have become free (a hint, never a promise).
    """

    looked_at: int = 0
    removed: int = 0
    let_go: tuple[int, ...] = ()


def purge_manifests(
    project_id: int, *, evict: bool = False, until: datetime | None = None, limit: int = BATCH
) -> Purged:
    """Remove manifests whose restore window is over, parents before children (evict: the oldest trash, window or not;
    until: only what was deleted by then).

    Locks: manifest (UPDATE, SKIP LOCKED), project_quota.
    """
    now = timezone.now()
    due = Q(deleted_at__isnull=False) if evict else Q(purge_after__lte=now)
    is_child, is_tagged = (
        ManifestChild.objects.filter(child_id=OuterRef("pk")),
        Tag.objects.filter(manifest_id=OuterRef("pk")),
    )
    free = Manifest.objects.filter(due, ~Q(Exists(is_child)), ~Q(Exists(is_tagged)))
    with write_transaction(is_durable=False):
        candidates = free.filter(repository__project_id=project_id).order_by("deleted_at", "id")
        if until is not None:
            candidates = candidates.filter(deleted_at__lte=until)
        ids = _lock(candidates.values_list("id")[:limit])
        doomed = dict(free.filter(id__in=ids).values_list("id", "payload_size"))
        if not doomed:
            return Purged(len(ids))
        TagHistory.objects.filter(manifest_id__in=doomed).update(manifest=None)
        ArtifactDetail.objects.filter(manifest_id__in=doomed).delete()
        ArtifactLabel.objects.filter(manifest_id__in=doomed).delete()
        ManifestBlob.objects.filter(manifest_id__in=doomed).delete()
        ManifestChild.objects.filter(parent_id__in=doomed).delete()
        Manifest.objects.filter(id__in=doomed).delete()
        charge(project_id, -sum(doomed.values()))
    return Purged(len(ids), len(doomed))


def purge_repository_blobs(
    project_id: int, *, evict: bool = False, until: datetime | None = None, limit: int = BATCH
) -> Purged:
    """Take from repositories what no manifest names and no lease keeps (evict: leases of hidden rows don't count; until: only
    what was due by then). Rows that stay are moved out of the way of the next look. Locks: repository_blob (UPDATE, SKIP
    LOCKED)."""
    now = timezone.now()
    due = Q(hidden_at__isnull=False) | Q(keep_until__lte=now) if evict else Q(review_at__lte=now)
    may_go = Q(hidden_at__isnull=False) | Q(keep_until__lte=now) if evict else Q(keep_until__lte=now)
    free = ~Q(Exists(ManifestBlob.objects.filter(repository_blob_id=OuterRef("pk"))))
    with write_transaction(is_durable=False):
        candidates = RepositoryBlob.objects.filter(due, repository__project_id=project_id, review_at__isnull=False)
        if evict:
            candidates = candidates.filter(free)
        if until is not None:
            candidates = candidates.filter(review_at__lte=until)
        ids = _lock(candidates.order_by("review_at").values_list("id")[:limit])
        if not ids:
            return Purged()
        doomed = dict(RepositoryBlob.objects.filter(free, may_go, id__in=ids).values_list("id", "project_blob_id"))
        RepositoryBlob.objects.filter(id__in=doomed).delete()
        kept = [row_id for row_id in ids if row_id not in doomed]
        if kept and not evict:
            _schedule_next_review(kept, now)
    return Purged(len(ids), len(doomed), tuple(doomed.values()))


def purge_project_blobs(project_id: int, candidates: tuple[int, ...] | None = None, *, limit: int = BATCH) -> Purged:
    """Uncharge blobs that no repository of the project uses. candidates: ids just let go; None looks through the
    project.

    Locks: project_blob (UPDATE, SKIP LOCKED), project_quota.
    """
    if candidates == ():
        return Purged()
    free = ProjectBlob.objects.filter(~Q(Exists(RepositoryBlob.objects.filter(project_blob_id=OuterRef("pk")))))
    scope = free.filter(project_id=project_id) if candidates is None else free.filter(id__in=candidates)
    with write_transaction(is_durable=False):
        ids = _lock(scope.values_list("id")[:limit])
        doomed = list(free.filter(id__in=ids).values_list("id", "blob_id", "size"))
        if not doomed:
            return Purged(len(ids))
        ProjectBlob.objects.filter(id__in=[row_id for row_id, _, _ in doomed]).delete()
        charge(project_id, -sum(size for _, _, size in doomed))
    return Purged(len(ids), len(doomed), tuple(blob_id for _, blob_id, _ in doomed))


def purge_repository(project_id: int, *, evict: bool = False, until: datetime | None = None) -> int:
    """One bounded step on the oldest trashed repository (evict: window or not; until: deleted by then) that can get on;
    returns the rows changed.

    The first step ends its restore window. What is below is trashed and made due, for the steps above; what hangs on the
    repository itself is deleted; the row goes when nothing points at it. A cancelled upload goes with its bytes (sweep),
    so a repository may have to wait for that.
    Locks: repository (UPDATE, SKIP LOCKED), which keeps every writer out; rows below UPDATE, SKIP LOCKED: they may be
    held by other GC steps only, which wait for nothing but the quota row.
    """
    now = timezone.now()
    due = Q(deleted_at__isnull=False) if evict else Q(purge_after__lte=now)
    trashed = Repository.objects.filter(due, project_id=project_id)
    if until is not None:
        trashed = trashed.filter(deleted_at__lte=until)
    for repository_id, deleted_at in list(
        trashed.order_by("deleted_at").values_list("id", "deleted_at")[:REPOSITORIES_TRIED]
    ):
        with write_transaction(is_durable=False):
            if not _lock(trashed.filter(id=repository_id).values_list("id")):
                continue
            if not trashed.filter(id=repository_id).exists():
                continue
            ended = Repository.objects.filter(id=repository_id, purge_after__gt=F("deleted_at"))
            changed = ended.update(purge_after=F("deleted_at")) + _empty(repository_id, deleted_at or now, now)
            if not any(model._default_manager.filter(repository_id=repository_id).exists() for model in _BELOW):
                Repository.objects.filter(id=repository_id).delete()
                changed += 1
        if changed:
            return changed
    return 0


def _empty(repository_id: int, deleted_at: datetime, now: datetime) -> int:
    """What is below is trashed as of the moment in which it went from sight, so that a run that takes what was deleted by then
    takes it, too."""
    below: dict[str, Any] = {"repository_id": repository_id}
    pinned = Q(review_at__gt=now) | Q(review_at=None) | Q(keep_until__gt=now)
    changed = RepositoryBlob.objects.filter(id__in=_some(RepositoryBlob.objects.filter(pinned, **below))).update(
        hidden_at=now, keep_until=now, review_at=deleted_at
    )
    kept = Q(purge_after=None) | Q(purge_after__gt=now)
    changed += Manifest.objects.filter(id__in=_some(Manifest.objects.filter(kept, **below))).update(
        deleted_at=Case(When(deleted_at=None, then=Value(deleted_at)), default=F("deleted_at")), purge_after=now
    )
    uploads = _some(Upload.objects.filter(state=Upload.OPEN, **below))
    objects = list(Upload.objects.filter(id__in=uploads).values_list("object_id", flat=True))
    Upload.objects.filter(id__in=uploads).update(state=Upload.CANCELLED)
    changed += StorageObject.objects.filter(id__in=objects).update(state=StorageObject.DEAD, purge_after=now)
    done: tuple[QuerySet[Any], ...] = (
        Upload.objects.filter(state=Upload.COMMITTED, **below),
        Tag.objects.filter(**below),
        TagHistory.objects.filter(manifest=None, **below),
        PullDaily.objects.filter(**below),
    )
    changed += sum(rows.model._default_manager.filter(pk__in=_some(rows)).delete()[0] for rows in done)
    return int(changed)


def _schedule_next_review(ids: list[int], now: datetime) -> None:
    named: dict[int, set[datetime | None]] = {}
    # one statement: in two, a restore in between would make the trashed ones live
    names = ManifestBlob.objects.filter(repository_blob_id__in=ids)
    for row_id, purge_after in names.values_list("repository_blob_id", "manifest__purge_after"):
        named.setdefault(row_id, set()).add(purge_after)
    live = {row_id for row_id, times in named.items() if None in times}
    RepositoryBlob.objects.filter(id__in=live).update(review_at=None)  # the delete of that manifest sets it again
    by_time: dict[datetime, list[int]] = {}
    for row_id in named.keys() - live:
        latest = max(now, *(time for time in named[row_id] if time is not None))
        by_time.setdefault(latest, []).append(row_id)
    for time, rows in sorted(by_time.items()):
        RepositoryBlob.objects.filter(id__in=rows).update(review_at=time)
    RepositoryBlob.objects.filter(id__in=set(ids) - named.keys()).update(review_at=F("keep_until"))


def _lock(candidates: "QuerySet[Any, Any]") -> list[Any]:
    return [row[0] for row in backend.locked(candidates, "UPDATE", skip_locked=True)]


def _some(queryset: "QuerySet[Any]") -> list[Any]:
    return _lock(queryset.order_by("pk").values_list("pk")[:BATCH])
