"""What belongs to an artifact: manifests with it as their subject, and those under Cosign's tags. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from haven_registry.artifacts import kinds
from haven_registry.models import Manifest, Tag


@dataclass(frozen=True, slots=True)
class AccessoryView:
    """A live accessory; size in bytes, with its blobs. kind: Harbor's name, such as signature.cosign."""

    id: int
    digest: str
    kind: str
    size: int
    created_at: datetime
    subject_id: int
    subject_digest: str


def list_accessories_of(repository_id: int, subjects: Mapping[str, int]) -> dict[int, list[AccessoryView]]:
    """The accessories of manifests, whose ids are given by digest; by the subject's id, oldest first. Each once, though
    it be both a referrer and tagged. Two statements."""
    found: dict[int, dict[int, AccessoryView]] = {}
    columns = ("id", "digest", "accessory_type", "payload_size", "total_size", "pushed_at")
    referrers = Manifest.objects.filter(repository_id=repository_id, subject_digest__in=subjects, deleted_at=None)
    for subject, row_id, digest, kind, payload, total, at in referrers.values_list("subject_digest", *columns):
        view = AccessoryView(row_id, digest, kind, payload + total, at, subjects[subject], subject)
        found.setdefault(view.subject_id, {})[row_id] = view
    names = [f"{digest.replace(':', '-')}.{end}" for digest in subjects for end in ("sig", "att", "sbom")]
    tagged = Tag.objects.filter(repository_id=repository_id, name__in=names, manifest__kind__in=kinds.BY_COSIGN_TAG)
    rows = tagged.values_list("name", *(f"manifest__{column}" for column in columns))
    for name, row_id, digest, _, payload, total, at in rows:
        named = kinds.subject_of_tag(name)
        if named is not None and row_id != subjects[named[0]]:
            subject, kind = named
            view = AccessoryView(row_id, digest, kind, payload + total, at, subjects[subject], subject)
            found.setdefault(view.subject_id, {}).setdefault(row_id, view)
    return {subject: [views[row_id] for row_id in sorted(views)] for subject, views in found.items()}
