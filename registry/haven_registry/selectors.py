"""All reads of the registry. They write nothing and take no lock; each is one statement, so each sees one snapshot.

What /v2 asks on every request goes by name and resolves repository and object together. Nothing here asks who may see
what: the caller has authorised the project.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest

MAX_ROWS_PER_PAGE = 1000
SHORT_PAYLOAD_BYTES = 16 * 1024
"""Payloads up to this size are read along with what else is known of their manifest."""
_T = TypeVar("_T")

IS_NAMED_BY_LIVE_MANIFEST = (
    "EXISTS (SELECT 1 FROM manifest_blob mb JOIN manifest m ON m.id = mb.manifest_id "
    "WHERE mb.repository_blob_id = rb.id AND m.deleted_at IS NULL)"
)

# Visible: a live manifest names it, or it isn't hidden and its lease has its margin left (a client that is told 200
# needs time to push the manifest).
_SHOWN = f"((rb.hidden_at IS NULL AND rb.keep_until > %s) OR {IS_NAMED_BY_LIVE_MANIFEST})"

# Subqueries where joins would say the same: PostgreSQL plans them in half the time, and that is most of a lookup's cost.
_FIND_BLOB = f"""
SELECT b.id, b.size, (SELECT o.storage_key FROM storage_object o WHERE o.id = b.object_id), r.id, r.project_id
FROM repository r, blob b
WHERE b.digest = %s AND b.damaged_at IS NULL AND r.deleted_at IS NULL AND EXISTS (
  SELECT 1 FROM repository_blob rb WHERE rb.repository_id = r.id AND rb.project_blob_id =
    (SELECT pb.id FROM project_blob pb WHERE pb.project_id = r.project_id AND pb.blob_id = b.id) AND {_SHOWN})
"""

# Many names at once, PostgreSQL only: arrays of the same length, answered by their places.
_FIND_BLOBS = f"""
SELECT k.place, b.id, b.size, (SELECT o.storage_key FROM storage_object o WHERE o.id = b.object_id), r.id, r.project_id
FROM unnest(%s::text[], %s::bytea[]) WITH ORDINALITY AS k (full_name, digest, place)
JOIN repository r ON r.full_name = k.full_name AND r.deleted_at IS NULL
JOIN blob b ON b.digest = k.digest AND b.damaged_at IS NULL
WHERE EXISTS (
  SELECT 1 FROM repository_blob rb WHERE rb.repository_id = r.id AND rb.project_blob_id =
    (SELECT pb.id FROM project_blob pb WHERE pb.project_id = r.project_id AND pb.blob_id = b.id) AND {_SHOWN})
"""
_FIND_MANIFESTS = """
SELECT k.place, m.id, r.id, r.project_id, m.digest, m.media_type, m.payload_size
FROM unnest(%s::text[], %s::bytea[]) WITH ORDINALITY AS k (full_name, digest, place)
JOIN repository r ON r.full_name = k.full_name AND r.deleted_at IS NULL
JOIN manifest m ON m.repository_id = r.id AND m.digest = k.digest AND m.deleted_at IS NULL
"""
_FIND_TAGGED_MANIFESTS = """
SELECT k.place, m.id, r.id, r.project_id, m.digest, m.media_type, m.payload_size
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS k (full_name, tag, place)
JOIN repository r ON r.full_name = k.full_name AND r.deleted_at IS NULL
JOIN tag t ON t.repository_id = r.id AND t.name = k.tag
JOIN manifest m ON m.id = t.manifest_id AND m.deleted_at IS NULL
"""

_FIND_MANIFEST = (
    "SELECT m.id, r.id, r.project_id, m.digest, m.media_type, m.payload_size, "
    f"CASE WHEN m.payload_size <= {SHORT_PAYLOAD_BYTES} THEN m.payload END FROM repository r "
    "JOIN manifest m ON m.repository_id = r.id"
)


@lru_cache(maxsize=8)
def _shown_until(centiseconds: int, margin: timedelta) -> Any:
    """The end of lease from which a blob is still shown, as the database takes it. Made once in 10 ms: under load
    adapting a time would cost more than the look-up."""
    return backend.adapt(datetime.fromtimestamp(centiseconds / 100, UTC) + margin)


def _shown_now() -> Any:
    return _shown_until(int(timezone.now().timestamp() * 100), config().head_margin)


class FoundRepository(NamedTuple):
    """A live repository."""

    id: int
    project_id: int


class FoundBlob(NamedTuple):
    """A blob that its repository shows; size in bytes."""

    blob_id: int
    size: int
    storage_key: str
    repository_id: int
    project_id: int


class FoundManifest(NamedTuple):
    """A live manifest. payload: as it was pushed, when it is short and one was asked for; else load_payload. Ids are never
    used again, so payloads can be cached by id."""

    id: int
    repository_id: int
    project_id: int
    digest: str
    media_type: str
    payload_size: int
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Referrer:
    """A row of the referrers list; size is the manifest's own in bytes, artifact_type '' for an index without."""

    id: int
    media_type: str
    digest: str
    size: int
    artifact_type: str
    annotations: Mapping[str, str]


def find_repository(project: str, name: str) -> FoundRepository | None:
    """The live repository called `project`/`name`."""
    rows = backend.prepared(
        "SELECT id, project_id FROM repository WHERE full_name = %s AND deleted_at IS NULL", f"{project}/{name}"
    )
    return FoundRepository(*rows[0]) if rows else None


def count_repositories(project_ids: Collection[int]) -> dict[int, int]:
    """Live repositories that people see, of each project that has any."""
    if not project_ids:
        return {}
    read = backend.prepared if len(project_ids) == 1 else backend.sql
    rows = read(
        "SELECT project_id, count(*) FROM repository WHERE deleted_at IS NULL "
        f"AND appeared_at IS NOT NULL AND project_id IN ({backend.placeholders(project_ids)}) GROUP BY project_id",
        *project_ids,
    )
    return dict(rows)


def find_blob(project: str, repository: str, digest: str) -> FoundBlob | None:
    """What HEAD and GET of a blob need."""
    rows = backend.prepared(
        _FIND_BLOB + "AND r.full_name = %s", encode_digest(digest), _shown_now(), f"{project}/{repository}"
    )
    return FoundBlob(*rows[0]) if rows else None


def find_blob_in(repository_id: int, digest: str) -> FoundBlob | None:
    """Like find_blob, for a repository that is known."""
    rows = backend.sql(_FIND_BLOB + "AND r.id = %s", encode_digest(digest), _shown_now(), repository_id)
    return FoundBlob(*rows[0]) if rows else None


class StoredBlob(NamedTuple):
    """Where a blob's bytes are, how many, and whether they were found to be damaged."""

    storage_key: str
    size: int
    is_damaged: bool


def find_stored(digest: str) -> StoredBlob | None:
    """A blob's bytes, whoever uses it: for the upload that brings the same ones again."""
    rows = backend.prepared(
        "SELECT o.storage_key, b.size, b.damaged_at IS NOT NULL FROM blob b "
        "JOIN storage_object o ON o.id = b.object_id WHERE b.digest = %s",
        encode_digest(digest),
    )
    return StoredBlob(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else None


def find_mountable_repository(project_id: int, digest: str) -> FoundRepository | None:
    """A repository of the project that shows the blob (a mount without `from`)."""
    rows = backend.sql(
        "SELECT r.id, r.project_id FROM blob b "
        "JOIN project_blob pb ON pb.blob_id = b.id AND pb.project_id = %s "
        "JOIN repository_blob rb ON rb.project_blob_id = pb.id "
        f"JOIN repository r ON r.id = rb.repository_id WHERE b.digest = %s AND r.deleted_at IS NULL AND {_SHOWN} LIMIT 1",
        project_id, encode_digest(digest), _shown_now(),
    )  # fmt: skip
    return FoundRepository(*rows[0]) if rows else None


def find_manifest(
    project: str, repository: str, *, tag: str | None = None, digest: str | None = None
) -> FoundManifest | None:
    """The manifest that a tag or a digest (give one) names. A tag never names trash (an fsck invariant)."""
    name = f"{project}/{repository}"
    if tag is not None:
        rows = backend.prepared(
            f"{_FIND_MANIFEST} JOIN tag t ON t.manifest_id = m.id AND t.repository_id = r.id AND t.name = %s "
            "WHERE r.full_name = %s AND r.deleted_at IS NULL AND m.deleted_at IS NULL",
            tag, name,
        )  # fmt: skip
    else:
        rows = backend.prepared(
            f"{_FIND_MANIFEST} AND m.digest = %s "
            "WHERE r.full_name = %s AND r.deleted_at IS NULL AND m.deleted_at IS NULL",
            encode_digest(digest or ""), name,
        )  # fmt: skip
    return _found_manifest(*rows[0]) if rows else None


def find_tagged_manifests(names: Sequence[tuple[str, str, str]]) -> list[FoundManifest | None]:
    """What tags name: (project, repository, tag), answered in the same order. PostgreSQL only."""
    rows = backend.prepared(_FIND_TAGGED_MANIFESTS, _full_names(names), [tag for _, _, tag in names])
    return _placed(names, rows, _found_manifest)


def find_manifests(names: Sequence[tuple[str, str, str]]) -> list[FoundManifest | None]:
    """Manifests of digests: (project, repository, digest), answered in the same order. PostgreSQL only."""
    rows = backend.prepared(_FIND_MANIFESTS, _full_names(names), [encode_digest(digest) for _, _, digest in names])
    return _placed(names, rows, _found_manifest)


def find_blobs(names: Sequence[tuple[str, str, str]]) -> list[FoundBlob | None]:
    """What find_blob says of each: (project, repository, digest), answered in the same order. PostgreSQL only."""
    digests = [encode_digest(digest) for _, _, digest in names]
    rows = backend.prepared(_FIND_BLOBS, _full_names(names), digests, _shown_now())
    return _placed(names, rows, FoundBlob)


def _full_names(names: Sequence[tuple[str, str, str]]) -> list[str]:
    return [f"{project}/{repository}" for project, repository, _ in names]


def _placed(names: Sequence[object], rows: Sequence[backend.Row], make: Callable[..., _T]) -> list[_T | None]:
    """Rows that begin with a place, counted from 1, as one value for each name."""
    found = {place: make(*columns) for place, *columns in rows}
    return [found.get(place) for place in range(1, len(names) + 1)]


def _found_manifest(
    manifest_id: int,
    repository_id: int,
    project_id: int,
    digest: memoryview | bytes,
    media_type: str,
    size: int,
    payload: memoryview | bytes | None = None,
) -> FoundManifest:
    short = None if payload is None else bytes(payload)
    return FoundManifest(manifest_id, repository_id, project_id, decode_digest(digest), media_type, size, short)


def load_payload(manifest_id: int) -> bytes | None:
    """The manifest as it was pushed; None when it was purged meanwhile."""
    rows = backend.sql("SELECT payload FROM manifest WHERE id = %s", manifest_id)
    return bytes(rows[0][0]) if rows else None


def resolve_tag(repository_id: int, name: str) -> str | None:
    """The digest of what the tag names."""
    rows = backend.sql(
        "SELECT m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id "
        "WHERE t.repository_id = %s AND t.name = %s AND m.deleted_at IS NULL",
        repository_id, name,
    )  # fmt: skip
    return decode_digest(rows[0][0]) if rows else None


def find_referrers(
    repository_id: int,
    subject_digest: str,
    artifact_types: Sequence[str] = (),
    after: int | None = None,
    limit: int = MAX_ROWS_PER_PAGE,
) -> list[Referrer]:
    """Live manifests with that subject, tagged or not, by id; only of `artifact_types` when there are any.

    Since each is found by its own subject, those that a client listed under a fallback tag before are there too
    (distribution-spec, "Enabling the Referrers API").
    """
    text = (
        "SELECT id, media_type, digest, payload_size, artifact_type, annotations FROM manifest "
        "WHERE repository_id = %s AND subject_digest = %s AND deleted_at IS NULL"
    )
    parameters: list[Any] = [repository_id, encode_digest(subject_digest)]
    if artifact_types:
        text += f" AND artifact_type IN ({backend.placeholders(artifact_types)})"
        parameters += artifact_types
    rows = backend.sql(f"{text} AND id > %s ORDER BY id LIMIT %s", *parameters, after or 0, limit)
    return [
        Referrer(row_id, media_type, decode_digest(raw), size, artifact_type, json.loads(annotations or "{}"))
        for row_id, media_type, raw, size, artifact_type, annotations in rows
    ]


def has_manifests(repository_id: int) -> bool:
    """Whether there is anything live in the repository."""
    return bool(
        backend.sql("SELECT 1 FROM manifest WHERE repository_id = %s AND deleted_at IS NULL LIMIT 1", repository_id)
    )


def list_tags(repository_id: int, after: str | None = None, limit: int = MAX_ROWS_PER_PAGE) -> list[str]:
    """Names of tags in byte order, those behind `after`."""
    rows = backend.sql(
        "SELECT name FROM tag WHERE repository_id = %s AND name > %s ORDER BY name LIMIT %s",
        repository_id, after or "", limit,
    )  # fmt: skip
    return [name for (name,) in rows]


def list_repositories(
    project_ids: Sequence[int] | None = None, after: str | None = None, limit: int = MAX_ROWS_PER_PAGE
) -> list[str]:
    """Full names in byte order, those behind `after`, of repositories with a live manifest; None: of all projects.

    Byte order of full names isn't that of (project, name): 'a-b/c' comes before 'a/b'.
    """
    if project_ids is not None and not project_ids:
        return []
    text = (
        "SELECT r.full_name FROM repository r WHERE r.deleted_at IS NULL AND r.full_name > %s "
        "AND EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = r.id AND m.deleted_at IS NULL)"
    )
    parameters: list[Any] = [after or ""]
    if project_ids is not None:
        text += f" AND r.project_id IN ({backend.placeholders(project_ids)})"
        parameters += project_ids
    rows = backend.sql(f"{text} ORDER BY r.full_name LIMIT %s", *parameters, limit)
    return [name for (name,) in rows]
