"""Rows that wait to be written together."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from haven_core.db.bulk import load, next_ids
from haven_core.db.fields import decode_digest
from haven_core.models import AuditLog
from haven_project.seeding.images import Family, SeedBlob, SeedManifest
from haven_project.seeding.people import Owned
from haven_registry.models import (
    ArtifactDetail,
    ArtifactLabel,
    Manifest,
    ManifestBlob,
    ProjectBlob,
    PullDaily,
    Repository,
    RepositoryBlob,
    Tag,
)
from haven_registry.oci import media_types

TABLES = (
    Repository, ProjectBlob, RepositoryBlob, Manifest, ManifestBlob, ArtifactDetail, ArtifactLabel, Tag, PullDaily, AuditLog,
)  # fmt: skip
EVERY_SO_MANY = 10
"""One artifact in so many has a label, and a line in the audit log."""

_COLUMNS: Mapping[Any, tuple[str, ...]] = {
    Repository: ("id", "project", "name", "full_name", "description", "created_at", "appeared_at"),
    ProjectBlob: ("id", "project", "blob", "size"),
    RepositoryBlob: ("id", "repository", "project_blob", "keep_until"),
    Manifest: (
        "id", "repository", "digest", "media_type", "artifact_type", "config_media_type", "kind", "accessory_type",
        "payload", "payload_size", "total_size", "pushed_by", "pushed_at",
    ),
    ManifestBlob: ("id", "manifest", "position", "repository_blob", "role"),
    ArtifactDetail: (
        "id", "manifest", "platform", "created", "author", "extra", "annotations", "children", "history", "error",
    ),
    ArtifactLabel: ("id", "manifest", "label"),
    Tag: ("id", "repository", "name", "manifest", "updated_at"),
    PullDaily: ("id", "repository", "manifest_digest", "tag_name", "day", "pulls", "last_pulled_at"),
    AuditLog: (
        "id", "event_id", "op_time", "username", "address", "operation", "resource_type", "resource", "project_id",
        "description", "is_success",
    ),
}  # fmt: skip


class Home(Protocol):
    """A repository that manifests are put into."""

    @property
    def repository_id(self) -> int: ...
    @property
    def full_name(self) -> str: ...
    @property
    def owned(self) -> Owned: ...
    @property
    def family(self) -> Family: ...


class Batch:
    """Rows of all tables, with ids of their own, until write()."""

    def __init__(self) -> None:
        self._ids = {model: next_ids(model) for model in TABLES}
        self._rows: dict[Any, list[tuple[Any, ...]]] = {model: [] for model in TABLES}
        # no event of the outbox has such a number, so none that comes is taken for written down already
        self._event = -1 - AuditLog.objects.filter(event_id__lt=0).count()

    @property
    def manifests(self) -> int:
        """How many wait."""
        return len(self._rows[Manifest])

    def write(self) -> int:
        """Into the database; returns the number of manifests among them."""
        manifests = self.manifests
        for model in TABLES:
            load(model, _COLUMNS[model], self._rows[model])
            self._rows[model] = []
        return manifests

    def add(self, model: Any, *values: Any) -> int:
        """A row without its id, in the order of its columns; returns the id."""
        row_id = next(self._ids[model])
        self._rows[model].append((row_id, *values))
        return row_id

    def add_manifest(
        self, home: Home, manifest: SeedManifest, links: list[int], tags: list[str], pushed_at: datetime
    ) -> None:
        """With its references, details and tags, and now and then a label and a line in the audit log.

        links: repository_blob ids of the family's blobs, in their order.
        """
        family, owned = home.family, home.owned
        manifest_id = self.add(
            Manifest, home.repository_id, manifest.digest, media_types.OCI_MANIFEST, family.config_type,
            family.config_type, family.kind, "", manifest.payload, len(manifest.payload), family.total_size, owned.owner,
            pushed_at,
        )  # fmt: skip
        for position, link in enumerate(links):
            role = ManifestBlob.LAYER if position else ManifestBlob.CONFIG
            self.add(ManifestBlob, manifest_id, position, link, role)
        self.add(
            ArtifactDetail, manifest_id, family.platform, family.created, family.author, family.extra,
            manifest.annotations, "[]", family.history, "",
        )  # fmt: skip
        for tag in tags:
            self.add(Tag, home.repository_id, tag, manifest_id, pushed_at)
        if manifest_id % EVERY_SO_MANY == 0:
            if owned.labels:
                self.add(ArtifactLabel, manifest_id, owned.labels[manifest_id // EVERY_SO_MANY % len(owned.labels)])
            self._log_push(home, manifest, tags, pushed_at)
        if "latest" in tags:
            self.add(
                PullDaily, home.repository_id, manifest.digest, "latest", pushed_at.date().isoformat(),
                manifest_id % 997 + 1, pushed_at + timedelta(minutes=5),
            )  # fmt: skip

    def _log_push(self, home: Home, manifest: SeedManifest, tags: list[str], pushed_at: datetime) -> None:
        digest = decode_digest(manifest.digest)
        resource = f"{home.full_name}:{tags[0]}" if tags else f"{home.full_name}@{digest}"
        self.add(
            AuditLog, self._event, pushed_at, home.owned.owner, "192.0.2.7", "create", "artifact", resource,
            home.owned.project_id, f"create artifact: {resource} ({digest})", True,
        )  # fmt: skip
        self._event -= 1

    def charge(self, project_id: int, blobs: Mapping[str, tuple[int, SeedBlob]]) -> dict[str, int]:
        """The blobs (id and bytes by digest) to the project; ids of the charges by digest."""
        return {
            digest: self.add(ProjectBlob, project_id, blob_id, blob.size) for digest, (blob_id, blob) in blobs.items()
        }
