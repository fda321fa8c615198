"""What belongs to an artifact: manifests with it as their subject, and those under Cosign's tags. Reads only."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.errors import BadRequest
from haven_registry.artifacts import kinds


@dataclass(frozen=True, slots=True)
class AccessoryView:
    """A live accessory; size in bytes, with its blobs. kind: Harbor's name, such as signature.cosign. artifact_kind: its
    `type` as an artifact."""

    id: int
    digest: str
    kind: str
    size: int
    created_at: datetime
    artifact_kind: str
    subject_id: int
    subject_digest: str


_FACTS: Mapping[str, Callable[[AccessoryView], str | int | datetime]] = {
    "id": lambda view: view.id, "artifact_id": lambda view: view.id, "type": lambda view: view.kind,
    "digest": lambda view: view.digest, "size": lambda view: view.size, "creation_time": lambda view: view.created_at,
}  # fmt: skip


def page_of(views: Sequence[AccessoryView], query: ListQuery) -> tuple[list[AccessoryView], int]:
    """Those of an artifact that are asked for, by type and digest, and the number of all such; oldest first unless sorted
    otherwise. All in memory: an artifact has few. Raises BadRequest."""
    found = [view for view in views if all(_meets(view, each) for each in query.conditions)]
    for key in reversed(query.order):
        if (fact := _FACTS.get(key.removeprefix("-"))) is not None:
            found.sort(key=fact, reverse=key[:1] == "-")
    end = None if query.limit is None else query.offset + query.limit
    return found[query.offset : end], len(found)


def _meets(view: AccessoryView, condition: Condition) -> bool:
    """Harbor takes conditions on its other columns too; nobody knows an accessory by them."""
    if condition.key not in ("type", "digest"):
        return True
    fact = str(_FACTS[condition.key](view))
    if condition.is_fuzzy:
        return condition.value.lower() in fact.lower()
    if condition.match in (Match.EXACT, Match.ANY):
        return fact in condition.values
    raise BadRequest(f"{condition.key} takes a text or a list of them")


Subjects = Mapping[tuple[int, str], int]
"""Ids of manifests by repository id and digest."""


_COLUMNS = "m.repository_id, m.id, m.digest, m.accessory_type, m.payload_size + m.total_size, m.pushed_at, m.kind"


def list_accessories_of(subjects: Subjects) -> dict[int, list[AccessoryView]]:
    """The accessories of manifests; by the subject's id, oldest first. Each once, though it be both a referrer and
    tagged. One statement, or none: SQL text, as every list of artifacts asks it."""
    if not subjects:
        return {}
    found: dict[int, dict[int, AccessoryView]] = {}
    tagged: list[tuple[str, _Accessory]] = []
    for subject, name, accessory in _rows({key[0] for key in subjects}, {key[1] for key in subjects}):
        if subject:
            _collect(found, subjects, subject, accessory)
        elif (named := kinds.subject_of_tag(name)) is not None:
            tagged.append((named[0], accessory._replace(kind=named[1])))
    for subject, accessory in tagged:  # what names its subject itself says better what it is
        _collect(found, subjects, subject, accessory)
    return {subject: [views[row_id] for row_id in sorted(views)] for subject, views in found.items()}


def list_signatures_above(manifest_ids: Collection[int]) -> dict[int, list[AccessoryView]]:
    """The signatures of live indexes that name manifests, by the manifest's id: who signs an index signs all below it. Two
    statements, or one."""
    if not manifest_ids:
        return {}
    rows = backend.sql(
        "SELECT c.child_id, p.id, p.repository_id, p.digest FROM manifest_child c JOIN manifest p ON p.id = c.parent_id "
        f"WHERE c.child_id IN ({backend.placeholders(manifest_ids)}) AND p.deleted_at IS NULL ORDER BY p.id",
        *manifest_ids,
    )
    above = list_accessories_of({(row[2], decode_digest(row[3])): row[1] for row in rows})
    found: dict[int, dict[int, AccessoryView]] = {}
    for child_id, parent_id, _, _ in rows:
        for view in above.get(parent_id, ()):
            if view.kind in (kinds.COSIGN, kinds.NOTATION):
                found.setdefault(child_id, {})[view.id] = view
    return {child_id: list(views.values()) for child_id, views in found.items()}


class _Accessory(NamedTuple):
    repository_id: int
    id: int
    digest: str
    kind: str
    size: int
    created_at: datetime
    artifact_kind: str


def _collect(
    found: dict[int, dict[int, AccessoryView]], subjects: Subjects, subject: str, accessory: _Accessory
) -> None:
    subject_id = subjects.get((accessory.repository_id, subject))
    if subject_id is not None and subject_id != accessory.id:
        view = AccessoryView(*accessory[1:], subject_id=subject_id, subject_digest=subject)
        found.setdefault(subject_id, {}).setdefault(accessory.id, view)


def _rows(repositories: Collection[int], digests: Collection[str]) -> Iterator[tuple[str, str, _Accessory]]:
    """The subject's digest or '', the name of the tag in Cosign's scheme or '', and the accessory."""
    names = [f"{digest.replace(':', '-')}.{end}" for digest in digests for end in ("sig", "att", "sbom")]
    # all tags lie in this range, where there are few others: without it PostgreSQL reads the tags of the whole registry
    rows = backend.sql(
        f"SELECT m.subject_digest, '' AS name, {_COLUMNS} FROM manifest m WHERE m.deleted_at IS NULL "
        f"AND m.repository_id IN ({backend.placeholders(repositories)}) "
        f"AND m.subject_digest IN ({backend.placeholders(digests)}) "
        f"UNION ALL SELECT NULL, t.name, {_COLUMNS} FROM tag t JOIN manifest m ON m.id = t.manifest_id "
        f"WHERE t.repository_id IN ({backend.placeholders(repositories)}) AND t.name >= 'sha256-' AND t.name < 'sha512.' "
        f"AND t.name IN ({backend.placeholders(names)}) AND m.kind IN ({backend.placeholders(kinds.BY_COSIGN_TAG)})",
        *repositories, *map(encode_digest, digests), *repositories, *names, *kinds.BY_COSIGN_TAG,
    )  # fmt: skip
    return (("" if row[0] is None else decode_digest(row[0]), row[1], _accessory(row[2:])) for row in rows)


def _accessory(row: backend.Row) -> _Accessory:
    repository_id, row_id, digest, kind, size, at, artifact_kind = row
    return _Accessory(repository_id, row_id, decode_digest(digest), kind, size, backend.as_datetime(at), artifact_kind)


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
