"""Deliberately wrong variants of the model. A stress test that doesn't catch each of them proves nothing.

They replace functions in the running process; the product has no hooks for them.
"""

import time
from collections.abc import Callable
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from haven_core.db import backend
from haven_core.db.transactions import write_transaction
from haven_core.errors import QuotaExceeded
from haven_core.models import ProjectQuota
from haven_gc import collect
from haven_registry.models import Blob, ManifestBlob, ProjectBlob, RepositoryBlob, StorageObject
from haven_registry.services import blobs, copying, manifests, purge, uploads
from tests.concurrency.world import Run


def bytes_first(run: Run) -> None:
    """GC deletes the bytes, then the row; no lock, no second look."""
    storage = run.storage()

    def purge_blobs(candidates: Any = None, *, limit: int = 500) -> collect.Freed:
        unused = Blob.objects.filter(~Q(Exists(ProjectBlob.objects.filter(blob_id=OuterRef("pk")))))
        doomed = list(unused.values_list("id", "object_id", "object__storage_key")[:limit])
        storage.delete([key for _, _, key in doomed])
        time.sleep(0.05)
        for blob_id, object_id, _ in doomed:
            with write_transaction():
                Blob.objects.filter(id=blob_id).delete()
                StorageObject.objects.filter(id=object_id).delete()
        return collect.Freed(len(doomed))

    collect.purge_blobs = purge_blobs  # type: ignore[assignment]


def no_recheck(run: Run) -> None:
    """GC deletes what a plain read found, without lock or second look: only the foreign keys stand in between."""

    def purge_repository_blobs(project_id: int, *, limit: int = 500, **_: Any) -> purge.Purged:
        free = ~Q(Exists(ManifestBlob.objects.filter(repository_blob_id=OuterRef("pk"))))
        due = RepositoryBlob.objects.filter(
            free, repository__project_id=project_id, keep_until__lte=purge.timezone.now()
        )
        doomed = list(due.values_list("id", "project_blob_id")[:limit])
        time.sleep(0.05)
        with write_transaction():
            RepositoryBlob.objects.filter(id__in=[row_id for row_id, _ in doomed]).delete()
        return purge.Purged(len(doomed), len(doomed), tuple(charge for _, charge in doomed))

    purge.purge_repository_blobs = purge_repository_blobs


def key_share_only(run: Run) -> None:
    """Manifests are locked as a foreign key locks them: a delete may mark one while it is being tagged."""
    honest = backend.locked

    def locked(queryset: Any, strength: str, **options: Any) -> list[backend.Row]:
        return honest(queryset, "KEY SHARE" if strength == "SHARE" else strength, **options)

    backend.locked = locked


def quota_early(run: Run) -> None:
    """The quota row is locked before the chain: whoever holds it may still wait for something else."""
    honest = blobs.link_blobs

    def link_blobs(repository_id: int, project_id: int, rows: Any, now: Any) -> int:
        ProjectQuota.objects.filter(project_id=project_id).update(used_bytes=F("used_bytes"))
        return honest(repository_id, project_id, rows, now)

    for module in (blobs, uploads, copying):
        module.link_blobs = link_blobs  # type: ignore[attr-defined]


def drift(run: Run) -> None:
    """Usage is read, added to in Python and written back."""

    def charge(project_id: int, delta: int) -> None:
        if not delta:
            return
        quota = ProjectQuota.objects.get(project_id=project_id)
        if delta > 0 and quota.hard_bytes is not None and quota.used_bytes + delta > quota.hard_bytes:
            raise QuotaExceeded(project_id, delta)
        ProjectQuota.objects.filter(project_id=project_id).update(used_bytes=max(0, quota.used_bytes + delta))

    for module in (blobs, uploads, copying, manifests, purge):
        module.charge = charge  # type: ignore[attr-defined]


SABOTAGES: dict[str, Callable[[Run], None]] = {
    function.__name__: function for function in (bytes_first, no_recheck, key_share_only, quota_early, drift)
}
