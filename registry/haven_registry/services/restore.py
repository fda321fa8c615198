"""Out of the trash."""

from django.db.models import F
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN, Origin
from haven_registry.errors import ManifestUnknown
from haven_registry.models import Manifest, Tag, TagHistory
from haven_registry.services.delete import descendants
from haven_registry.services.repositories import hold_repository, publish_about


def restore_manifest(*, repository_id: int, digest: str, origin: Origin = HAVEN) -> None:
    """Back to life, with its descendants, and with the tags its delete took where their names are free. Its blobs
    show again by themselves.

    Raises RepositoryUnknown, ManifestUnknown (not in the trash, or purged).
    Locks: repository (KEY SHARE), manifest of the whole family (NO KEY UPDATE, by id), tag (insert, by name).
    """

    def work() -> None:
        now = timezone.now()
        held_repository = hold_repository(repository_id)
        trashed = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at__isnull=False)
        root = trashed.values_list("id", flat=True).first()
        if root is None:
            raise ManifestUnknown
        family = descendants(root)
        held = backend.locked(Manifest.objects.filter(id__in=family).order_by("id").values_list("id"), "NO KEY UPDATE")
        if len(held) != len(family):
            raise ManifestUnknown  # purge was first
        history = TagHistory.objects.filter(
            manifest_id__in=family, reason=TagHistory.MANIFEST_DELETED, ended_at=F("manifest__deleted_at")
        )
        tags = list(history.values_list("name", "manifest_id").order_by("name"))
        Manifest.objects.filter(id__in=family).update(deleted_at=None, purge_after=None)
        if tags:
            backend.insert(
                Tag, ["repository", "name", "manifest", "updated_at"],
                [(repository_id, name, manifest_id, now) for name, manifest_id in tags],
                on_conflict="(repository_id, name) DO NOTHING",
            )  # fmt: skip
        publish_about(repository_id, held_repository, "manifest.restored", now, origin, digest=digest)

    run_write(work)
