"""Room for a push: when quota refuses it, the project's trash makes way before its restore window ends."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from haven_core.errors import QuotaExceeded
from haven_core.models import ProjectQuota
from haven_core.quotas.services import record_exceeded
from haven_registry.models import Manifest, ManifestBlob, ProjectBlob, Repository, RepositoryBlob
from haven_registry.services.purge import (
    BATCH,
    purge_manifests,
    purge_project_blobs,
    purge_repository,
    purge_repository_blobs,
)

EVICTION_STEPS = 60  # every second one takes twice as much trash

_T = TypeVar("_T")


def with_room(write: Callable[[], _T]) -> _T:
    """Run a write (a whole transaction); when a project's quota refuses it, evict some of its trash and run it again.

    Eviction happens in its own short transactions, never inside the refused one. Raises QuotaExceeded when even the
    whole trash would not do (then it is left alone).
    """
    for attempt in range(EVICTION_STEPS):
        try:
            return write()
        except QuotaExceeded as refusal:
            if not _make_room(refusal.project_id, refusal.requested, attempt):
                record_exceeded(refusal)
                raise
    return write()


def _make_room(project_id: int, requested: int, attempt: int) -> bool:
    """Free something: what is in nobody's trash any more, then the trash, oldest first whatever it is, in growing bites.
    The number of statements does not grow with the trash."""
    if purge_project_blobs(project_id, purge_repository_blobs(project_id, evict=True).let_go).removed:
        return True
    quota = ProjectQuota.objects.filter(project_id=project_id).first()
    if quota is None:
        return False
    if quota.hard_bytes is None or quota.used_bytes + requested <= quota.hard_bytes:
        return True
    if quota.used_bytes - _reclaimable(project_id) + requested > quota.hard_bytes:
        return False
    return _evict(project_id, min(2 ** (attempt // 2), BATCH))


def _evict(project_id: int, limit: int) -> bool:
    """Remove some trash: first what nobody could restore any more, then what was deleted first, be it manifests (up to
    `limit`) or a repository (a step on it, which ends its window: the next step goes on). False when there is none.

    What is oldest is asked without a lock. The steps lock what they take and ask again, and pass by what others hold.
    """
    if purge_manifests(project_id).removed or purge_repository(project_id):
        return True
    now = timezone.now()
    manifest = _oldest(Manifest.objects.filter(repository__project_id=project_id, purge_after__gt=now))
    repository = _oldest(Repository.objects.filter(project_id=project_id, purge_after__gt=now))
    is_repository_first = repository is not None and (manifest is None or repository < manifest)
    if is_repository_first and purge_repository(project_id, evict=True, until=repository):
        return True
    if purge_manifests(project_id, evict=True, until=repository, limit=limit).removed:
        return True
    # what should have gone first is held by others: whatever there is
    return (
        purge_repository(project_id, evict=True) > 0 or purge_manifests(project_id, evict=True, limit=limit).removed > 0
    )


def _oldest(trashed: "QuerySet[Any]") -> datetime | None:
    found: datetime | None = trashed.aggregate(at=Min("deleted_at"))["at"]
    return found


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
