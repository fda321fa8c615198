"""Emptying the trash by hand: what a person purges is gone for good."""

from collections.abc import Sequence

from django.db.models import F, Q
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_registry import trash
from haven_registry.errors import ManifestReferenced, ManifestUnknown, RepositoryUnknown, TagUnknown
from haven_registry.models import Manifest, ManifestBlob, ManifestChild, RepositoryBlob, TagHistory
from haven_registry.services.purge import BATCH, purge_manifests, purge_repository_blobs
from haven_registry.services.repositories import hold_repository

_STEPS = 20  # of 500 rows; what is left is garbage collection's


def purge_artifact(*, project_id: int, repository_id: int, manifest_id: int) -> None:
    """An artifact in the trash, with all that its delete took along, ends now. Its blobs are freed as after any delete,
    when their lease is over or a push needs the room.

    Raises RepositoryUnknown, ManifestUnknown (not in the trash, or restored meanwhile), ManifestReferenced (by an index
    that is in the trash too, and could not be restored without it).
    Locks: repository (KEY SHARE), repository_blob and manifest (NO KEY UPDATE), then purge's.
    """

    def work() -> None:
        hold_repository(repository_id)
        trashed = Manifest.objects.filter(repository_id=repository_id, deleted_at__isnull=False)
        if not trashed.filter(id=manifest_id).exists():
            raise ManifestUnknown
        together = list(trashed.filter(Q(id=manifest_id) | Q(deleted_with=manifest_id)).values_list("id", flat=True))
        if ManifestChild.objects.filter(child_id__in=together).exclude(parent_id__in=together).exists():
            raise ManifestReferenced("an index that is in the trash too names it: purge that, or all")
        if manifest_id not in _end_windows(together):
            raise ManifestUnknown

    run_write(work)
    _remove(project_id)


def purge_tag(*, repository_id: int, history_id: int) -> None:
    """A tag that was deleted alone can't be restored any more, and keeps its manifest no longer; its history stays.
    Raises RepositoryUnknown, TagUnknown. Locks: repository (KEY SHARE), tag_history."""

    def work() -> None:
        now = timezone.now()
        hold_repository(repository_id)
        found = TagHistory.objects.filter(repository_id=repository_id, id=history_id, reason=TagHistory.DELETED)
        if not found.filter(restorable_until__gt=now).update(restorable_until=now):
            raise TagUnknown

    run_write(work)


def purge_trashed_repository(*, project_id: int, repository_id: int) -> None:
    """A repository in the trash can't be restored any more; garbage collection removes what is in it, step by step.
    Raises RepositoryUnknown (not in the trash, or restored meanwhile). Lock: repository (NO KEY UPDATE)."""

    def work() -> None:
        found = trash.trashed_repositories(project_id, timezone.now()).filter(id=repository_id)
        if not found.update(purge_after=F("deleted_at")):
            raise RepositoryUnknown

    run_write(work)


def purge_trash(project_id: int) -> None:
    """All of a project's trash ends now, in transactions of at most 500 rows; what is deleted meanwhile may stay. Locks:
    as the others."""
    now = timezone.now()
    repositories = trash.trashed_repositories(project_id, now)
    run_write(lambda: repositories.update(purge_after=F("deleted_at")))
    run_write(lambda: trash.trashed_tags(project_id, now).update(restorable_until=now))
    trashed = Manifest.objects.filter(
        purge_after__gt=now, repository__project_id=project_id, repository__deleted_at=None
    )
    ids = list(trashed.order_by("id").values_list("id", flat=True))
    for start in range(0, len(ids), BATCH):
        chunk = ids[start : start + BATCH]
        run_write(lambda chunk=chunk: _end_windows(chunk))  # type: ignore[misc]
    _remove(project_id)


def _end_windows(manifests: Sequence[int]) -> set[int]:
    """End the restore window of those that are in the trash, and have their blobs looked at; their ids. Locks:
    repository_blob and manifest (NO KEY UPDATE)."""
    now = timezone.now()
    named = ManifestBlob.objects.filter(manifest_id__in=manifests).values("repository_blob_id")
    blobs = RepositoryBlob.objects.filter(id__in=named)
    backend.locked(blobs.order_by("project_blob_id").values_list("id"), "NO KEY UPDATE")
    wanted = Manifest.objects.filter(id__in=manifests, deleted_at__isnull=False)
    backend.locked(wanted.order_by("id").values_list("id"), "NO KEY UPDATE")
    ended = set(wanted.values_list("id", flat=True))
    wanted.filter(id__in=ended).update(purge_after=now)
    # NULL stays: a live manifest names the blob
    blobs.filter(review_at__gt=now).update(review_at=now)
    return ended


def _remove(project_id: int) -> None:
    """At once what can go at once. Garbage collection would do it some minutes later."""
    for _ in range(_STEPS):
        if not purge_manifests(project_id).removed:
            break
    purge_repository_blobs(project_id)
