"""What must hold at any moment, one SQL statement each, so that each sees one snapshot. A count above zero is a bug."""

from collections.abc import Iterator
from dataclasses import dataclass

from haven_core.db import backend
from haven_registry.models import Blob
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.errors import ObjectMissing, StorageTruncated

INVARIANTS = {
    # what all others take for granted: they join along the keys
    "reference_to_nothing": "SELECT count(*) FROM pragma_foreign_key_check()",
    "quota_drift": """
        SELECT count(*) FROM project_quota q WHERE used_bytes <>
          coalesce((SELECT sum(size) FROM project_blob pb WHERE pb.project_id = q.project_id), 0)
        + coalesce((SELECT sum(payload_size) FROM manifest m JOIN repository r ON r.id = m.repository_id
                    WHERE r.project_id = q.project_id), 0)""",
    "tag_names_trash": """
        SELECT count(*) FROM tag t JOIN manifest m ON m.id = t.manifest_id JOIN repository r ON r.id = t.repository_id
        WHERE r.deleted_at IS NULL AND m.deleted_at IS NOT NULL""",
    "live_index_with_trashed_child": """
        SELECT count(*) FROM manifest_child mc JOIN manifest p ON p.id = mc.parent_id
        JOIN manifest c ON c.id = mc.child_id JOIN repository r ON r.id = p.repository_id
        WHERE r.deleted_at IS NULL AND p.deleted_at IS NULL AND c.deleted_at IS NOT NULL""",
    "unreferenced_link_without_review": """
        SELECT count(*) FROM repository_blob rb JOIN repository r ON r.id = rb.repository_id
        WHERE r.deleted_at IS NULL AND rb.review_at IS NULL AND NOT EXISTS
          (SELECT 1 FROM manifest_blob mb JOIN manifest m ON m.id = mb.manifest_id
           WHERE mb.repository_blob_id = rb.id AND m.deleted_at IS NULL)""",
    "blob_key_not_live": """
        SELECT count(*) FROM blob b JOIN storage_object o ON o.id = b.object_id WHERE o.state <> 'live'""",
    "live_key_without_blob": """
        SELECT count(*) FROM storage_object o WHERE o.state = 'live'
        AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.object_id = o.id)""",
    "open_upload_without_staged_key": """
        SELECT count(*) FROM upload u WHERE u.state = 'open'
        AND NOT EXISTS (SELECT 1 FROM storage_object o WHERE o.id = u.object_id AND o.state = 'staged')""",
    "staged_key_without_open_upload": """
        SELECT count(*) FROM storage_object o WHERE o.state = 'staged'
        AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.object_id = o.id AND u.state = 'open')""",
    "project_blob_size": """
        SELECT count(*) FROM project_blob pb JOIN blob b ON b.id = pb.blob_id WHERE pb.size <> b.size""",
    "payload_size": "SELECT count(*) FROM manifest WHERE payload_size <> length(payload)",
    "manifest_in_an_unseen_repository": """
        SELECT count(*) FROM repository r WHERE r.appeared_at IS NULL
        AND EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = r.id)""",
    "repository_full_name": """
        SELECT count(*) FROM repository r JOIN project p ON p.id = r.project_id
        WHERE r.full_name <> p.name || '/' || r.name""",
    # what composite keys would say: with single ones, the one insert function of each table and this
    "link_across_projects": """
        SELECT count(*) FROM repository_blob rb JOIN repository r ON r.id = rb.repository_id
        JOIN project_blob pb ON pb.id = rb.project_blob_id WHERE pb.project_id <> r.project_id""",
    "manifest_blob_across_repositories": """
        SELECT count(*) FROM manifest_blob mb JOIN manifest m ON m.id = mb.manifest_id
        JOIN repository_blob rb ON rb.id = mb.repository_blob_id WHERE rb.repository_id <> m.repository_id""",
    "child_across_repositories": """
        SELECT count(*) FROM manifest_child mc JOIN manifest p ON p.id = mc.parent_id
        JOIN manifest c ON c.id = mc.child_id WHERE p.repository_id <> c.repository_id""",
    "tag_across_repositories": """
        SELECT count(*) FROM tag t JOIN manifest m ON m.id = t.manifest_id WHERE m.repository_id <> t.repository_id""",
}

_ON_POSTGRESQL = {
    # keys are enforced there, whoever writes; unless one was made without a look at what is there
    "reference_to_nothing": "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated",
}


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob whose bytes are not as the database says; found_bytes is None when there are none."""

    digest: str
    key: str
    size: int
    found_bytes: int | None

    def __str__(self) -> str:
        found = "missing" if self.found_bytes is None else f"{self.found_bytes} bytes"
        return f"{self.digest} at {self.key}: {self.size} bytes expected, {found}"


def check() -> dict[str, int]:
    """The broken invariants and in how many rows. Takes no lock and may run at any time, beside anything."""
    statements = {**INVARIANTS, **(_ON_POSTGRESQL if backend.is_postgresql() else {})}
    counts = {name: int(backend.sql(statement)[0][0]) for name, statement in statements.items()}
    return {name: count for name, count in counts.items() if count}


def check_bytes(driver: StorageDriver) -> Iterator[Damage]:
    """Ask the storage for the size of every blob. A blob removed meanwhile is no damage: its row is looked for again.

    Raises StorageError when the storage doesn't answer.
    """
    blobs = Blob.objects.order_by("id").values_list("id", "digest", "size", "object__storage_key")
    last = 0
    while page := list(blobs.filter(id__gt=last)[:1000]):
        last = page[-1][0]
        for blob_id, digest, size, key in page:
            found = _size(driver, key)
            if found != size and Blob.objects.filter(id=blob_id).exists():
                yield Damage(digest, key, size, found)


def _size(driver: StorageDriver, key: str) -> int | None:
    try:
        return driver.size(key)
    except (ObjectMissing, StorageTruncated):
        return None
