"""What is shown with each artifact of a list, of all its rows in one statement. Reads only.

Every list of artifacts asks all of this, so it is SQL text: making the same statements by querysets takes several times
what the database needs to answer them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest
from haven_core.labels.selectors import LabelView

MAX_INLINE_TAGS = 100
"""The newest tags that are shown with their artifact; the list of tags pages through all."""


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag; pulled_at None: never by this name."""

    id: int
    name: str
    manifest_id: int
    moved_at: datetime
    pulled_at: datetime | None


class Placed(Protocol):
    """A manifest: its id, and what its pulls are counted by."""

    @property
    def id(self) -> int: ...
    @property
    def repository_id(self) -> int: ...
    @property
    def digest(self) -> str: ...


def pulled_tags(rows: Sequence[Placed]) -> dict[tuple[int, str], datetime]:
    """When a manifest (its id) was last pulled by a tag ('': by digest)."""
    ids = {(row.repository_id, row.digest): row.id for row in rows}
    repositories = {repository_id for repository_id, _ in ids}
    digests = [encode_digest(digest) for _, digest in ids]
    if not ids:
        return {}
    found = backend.sql(
        "SELECT repository_id, manifest_digest, tag_name, max(last_pulled_at) FROM pull_daily "
        f"WHERE repository_id IN ({backend.placeholders(repositories)}) "
        f"AND manifest_digest IN ({backend.placeholders(digests)}) AND last_pulled_at IS NOT NULL "
        "GROUP BY repository_id, manifest_digest, tag_name",
        *repositories, *digests,
    )  # fmt: skip
    return {
        (ids[repository_id, digest], tag): backend.as_datetime(last)
        for repository_id, digest, tag, last in ((row[0], decode_digest(row[1]), *row[2:]) for row in found)
        if (repository_id, digest) in ids  # of several repositories: the digest may be another one's too
    }


def newest_tags(ids: Collection[int], pulled: Mapping[tuple[int, str], datetime]) -> dict[int, list[TagView]]:
    """The newest tags of manifests, MAX_INLINE_TAGS each, by id. pulled: see pulled_tags."""
    found: dict[int, list[TagView]] = {}
    if not ids:
        return found
    newest = backend.sql(
        "SELECT id, name, manifest_id, updated_at FROM (SELECT id, name, manifest_id, updated_at, "
        "row_number() OVER (PARTITION BY manifest_id ORDER BY updated_at DESC, id DESC) AS number FROM tag "
        f"WHERE manifest_id IN ({backend.placeholders(ids)})) numbered WHERE number <= %s "
        "ORDER BY updated_at DESC, id DESC",
        *ids, MAX_INLINE_TAGS,
    )  # fmt: skip
    for tag_id, name, manifest_id, moved in newest:
        view = TagView(tag_id, name, manifest_id, backend.as_datetime(moved), pulled.get((manifest_id, name)))
        found.setdefault(manifest_id, []).append(view)
    return found


def labels_of(ids: Collection[int]) -> dict[int, list[LabelView]]:
    """The labels of manifests by name, by the manifest's id."""
    found: dict[int, list[LabelView]] = {}
    if not ids:
        return found
    rows = backend.sql(
        "SELECT a.manifest_id, l.id, l.name, l.description, l.color, l.project_id, l.created_at, l.updated_at "
        "FROM artifact_label a JOIN label l ON l.id = a.label_id "
        f"WHERE a.manifest_id IN ({backend.placeholders(ids)}) ORDER BY l.name, a.id",
        *ids,
    )
    for manifest_id, row_id, name, description, color, project_id, created, updated in rows:
        moments = backend.as_datetime(created), backend.as_datetime(updated)
        view = LabelView(row_id, name, description, color, project_id, *moments)
        found.setdefault(manifest_id, []).append(view)
    return found


def children_of(ids: Collection[int]) -> tuple[dict[int, dict[str, int]], dict[int, int]]:
    """Ids of children by parent and digest, and the bytes of each parent's."""
    children: dict[int, dict[str, int]] = {}
    sizes: dict[int, int] = {}
    if not ids:
        return children, sizes
    rows = backend.sql(
        "SELECT c.parent_id, c.child_id, m.digest, m.payload_size + m.total_size FROM manifest_child c "
        f"JOIN manifest m ON m.id = c.child_id WHERE c.parent_id IN ({backend.placeholders(ids)})",
        *ids,
    )
    for parent, child, digest, size in rows:
        children.setdefault(parent, {})[decode_digest(digest)] = child
        sizes[parent] = sizes.get(parent, 0) + size
    return children, sizes
