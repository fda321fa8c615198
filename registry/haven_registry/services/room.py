"""Room for a push: when quota refuses it, the project's trash makes way before its restore window ends."""

from collections.abc import Callable
from typing import TypeVar

from django.db.models import Exists, OuterRef, Q, Sum
from django.utils import timezone

from haven_core.errors import QuotaExceeded
from haven_core.models import ProjectQuota
from haven_core.quotas.services import record_exceeded
from haven_registry.models import Manifest, ManifestBlob, ProjectBlob, RepositoryBlob
from haven_registry.services.purge import (
    BATCH,
    purge_manifests,
    purge_project_blobs,
    purge_repository,
    purge_repository_blobs,
)

EVICTION_STEPS = 60  # every second one takes twice as much trash

_T = TypeVar("_T")


def with_room(project_id: int, write: Callable[[], _T]) -> _T:
    """Run a write (a whole transaction); when quota refuses it, evict some of the project's trash and run it again.

    Eviction happens in its own short transactions, never inside the refused one. Raises QuotaExceeded when even the
    whole trash would not do (then it is left alone).
    """
    for attempt in range(EVICTION_STEPS):
        try:
            return write()
        except QuotaExceeded as refusal:
            if not _make_room(project_id, refusal.requested, attempt):
                record_exceeded(refusal)
                raise
    return write()


def _make_room(project_id: int, requested: int, attempt: int) -> bool:
    """Free something: what is in nobody's trash any more, then the trash, oldest first, in growing bites."""
    if purge_project_blobs(project_id, purge_repository_blobs(project_id, evict=True).let_go).removed:
        return True
    quota = ProjectQuota.objects.filter(project_id=project_id).first()
    if quota is None:
        return False
    if quota.hard_bytes is None or quota.used_bytes + requested <= quota.hard_bytes:
        return True
    if quota.used_bytes - _reclaimable(project_id) + requested > quota.hard_bytes:
        return False
    if purge_manifests(project_id, evict=True, limit=min(2 ** (attempt // 2), BATCH)).removed:
        return True
    return purge_repository(project_id, evict=True) > 0


def _reclaimable(project_id: int) -> int:
    """Bytes that emptying the project's trash would give back."""
    live = ManifestBlob.objects.filter(
        repository_blob__project_blob_id=OuterRef("pk"),
        manifest__deleted_at=None,
        manifest__repository__deleted_at=None,
    )
    leased = RepositoryBlob.objects.filter(
        project_blob_id=OuterRef("pk"), hidden_at=None, keep_until__gt=timezone.now(), repository__deleted_at=None
    )
    blobs = ProjectBlob.objects.filter(~Q(Exists(live)), ~Q(Exists(leased)), project_id=project_id)
    trash = Q(deleted_at__isnull=False) | Q(repository__deleted_at__isnull=False)
    manifests = Manifest.objects.filter(trash, repository__project_id=project_id)
    return (blobs.aggregate(n=Sum("size"))["n"] or 0) + (manifests.aggregate(n=Sum("payload_size"))["n"] or 0)
