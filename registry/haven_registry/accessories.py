"""What belongs to an artifact: manifests with it as their subject, and those under Cosign's tags. Reads only."""

from collections.abc import Iterator, Mapping
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


Subjects = Mapping[tuple[int, str], int]
"""Ids of manifests by repository id and digest."""


def list_accessories_of(subjects: Subjects) -> dict[int, list[AccessoryView]]:
    """The accessories of manifests; by the subject's id, oldest first. Each once, though it be both a referrer and
    tagged. Two statements."""
    found: dict[int, dict[int, AccessoryView]] = {}
    repositories, digests = {key[0] for key in subjects}, {key[1] for key in subjects}
    columns = ("repository_id", "id", "digest", "accessory_type", "payload_size", "total_size", "pushed_at")
    referrers = Manifest.objects.filter(
        repository_id__in=repositories, subject_digest__in=digests, deleted_at=None
    ).values_list("subject_digest", *columns)
    for subject, repository_id, row_id, digest, kind, payload, total, at in referrers:
        subject_id = subjects.get((repository_id, subject))
        if subject_id is not None:
            view = AccessoryView(row_id, digest, kind, payload + total, at, subject_id, subject)
            found.setdefault(subject_id, {})[row_id] = view
    names = [f"{digest.replace(':', '-')}.{end}" for digest in digests for end in ("sig", "att", "sbom")]
    # all lie in this range, where there are few others: without it PostgreSQL reads the tags of the whole registry
    tagged = Tag.objects.filter(
        repository_id__in=repositories, name__in=names, name__gte="sha256-", name__lt="sha512.",
        manifest__kind__in=kinds.BY_COSIGN_TAG,
    )  # fmt: skip
    rows = tagged.values_list("name", *(f"manifest__{column}" for column in columns))
    for name, repository_id, row_id, digest, _, payload, total, at in rows:
        named = kinds.subject_of_tag(name)
        subject_id = None if named is None else subjects.get((repository_id, named[0]))
        if named is not None and subject_id is not None and row_id != subject_id:
            view = AccessoryView(row_id, digest, named[1], payload + total, at, subject_id, named[0])
            found.setdefault(subject_id, {}).setdefault(row_id, view)
    return {subject: [views[row_id] for row_id in sorted(views)] for subject, views in found.items()}


def accessories_below(repository_id: int, subjects: Mapping[str, int]) -> Iterator[AccessoryView]:
    """All accessories of manifests, whose ids are given by digest, and theirs, level by level: each once for every subject
    it is met under."""
    level, seen = dict(subjects), set(subjects.values())
    while level:
        found = list_accessories_of({(repository_id, digest): row_id for digest, row_id in level.items()})
        views = [view for each in found.values() for view in each]
        yield from views
        level = {view.digest: view.id for view in views if view.id not in seen}
        seen |= set(level.values())
