"""Tags: one row per name, and what names meant before."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from haven_core.configuration.selectors import restore_window
from haven_core.db import backend
from haven_core.db.fields import decode_digest
from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN, Origin
from haven_core.errors import Conflict
from haven_core.policies.hooks import HeldRepository, before_delete, before_push
from haven_core.visibility import LATELY_SECONDS, take_away
from haven_registry.errors import ManifestUnknown, PreconditionFailed, TagsChanged, TagUnknown
from haven_registry.models import Manifest, Tag, TagHistory
from haven_registry.services.repositories import hold_repository, publish_about

# one statement moves the tags and RETURNs what they meant before; a new row has no previous
_MOVE = """(repository_id, name) DO UPDATE SET previous_manifest_id = tag.manifest_id,
  manifest_id = excluded.manifest_id, updated_at = excluded.updated_at, restored_at = excluded.restored_at"""


def changed_lately() -> str:
    """SQL on `tag`: its name meant something else a moment ago, which readers may remember. SQLite's never do."""
    if not backend.is_postgresql():
        return "NULL"
    return (
        f"(SELECT h.ended_at > now() - interval '{LATELY_SECONDS} seconds' FROM tag_history h "
        "WHERE h.repository_id = tag.repository_id AND h.name = tag.name ORDER BY h.id DESC LIMIT 1)"
    )


@dataclass(frozen=True, slots=True)
class Change:
    """How tags change: one of TagHistory's reasons, by whom (an actor's name), and when."""

    reason: str
    by: str
    at: datetime


class Target(NamedTuple):
    """A manifest that tags are pointed at."""

    manifest_id: int
    digest: str


def move_tag(
    *, repository_id: int, name: str, digest: str, must_be_new: bool = False, origin: Origin = HAVEN
) -> str | None:
    """Make the tag name the manifest; returns the digest it named before, None if it is new or the same.

    Raises RepositoryUnknown, ManifestUnknown, Conflict (must_be_new, and there is one), TagImmutable.
    Locks: repository (KEY SHARE), manifest (SHARE), tag.
    """

    def work() -> str | None:
        held = hold_repository(repository_id)
        manifests = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at=None)
        rows = backend.locked(manifests.values_list("id"), "SHARE")
        if not rows:
            raise ManifestUnknown
        now = timezone.now()
        try:
            change = Change(TagHistory.MOVED, origin.name, now)
            new = [name] if must_be_new else ()
            moved = set_tags(held, {name: Target(rows[0][0], digest)}, change, must_be_new=new)
        except PreconditionFailed:
            raise Conflict(f"tag {name} already exists") from None
        publish_about(repository_id, held, "tag.moved", now, origin, tag=name, digest=digest, previous=moved.get(name))
        return moved.get(name)

    return run_write(work)


def delete_tag(
    *,
    repository_id: int,
    name: str,
    manifest_id: int | None = None,
    only_if_pushed_at: datetime | None = None,
    origin: Origin = HAVEN,
) -> str:
    """Remove the tag, never its manifest; returns the digest it named.

    manifest_id: only while it names that one.
    only_if_pushed_at: what a decision about the tag was based on; a tag that was pushed since stays.
    Raises RepositoryUnknown, TagUnknown, TagImmutable, TagsChanged. Locks: repository (KEY SHARE), tag (UPDATE).
    """

    def work() -> str:
        held = hold_repository(repository_id)
        tags = Tag.objects.filter(repository_id=repository_id, name=name)
        if manifest_id is not None:
            tags = tags.filter(manifest_id=manifest_id)
        rows = backend.locked(tags.values_list("id", "manifest_id"), "UPDATE")
        if not rows:
            take_away()  # somebody else may have, a moment ago
            raise TagUnknown
        if only_if_pushed_at is not None and not tags.filter(updated_at=only_if_pushed_at).exists():
            raise TagsChanged
        now = timezone.now()
        [(tag_id, named)] = rows
        digests = drop_tags(held, [(tag_id, name, named)], Change(TagHistory.DELETED, origin.name, now))
        publish_about(repository_id, held, "tag.deleted", now, origin, tag=name, digest=digests[name])
        return digests[name]

    return run_write(work)


def set_tags(
    repository: HeldRepository,
    targets: Mapping[str, Target],
    change: Change,
    *,
    must_be_new: Container[str] = (),
    restored_at: datetime | None = None,
) -> dict[str, str]:
    """Point tags, by name, at manifests that the caller's transaction holds (SHARE at least) or inserted; the digests of
    what was replaced, by name. restored_at: the tags come back from the trash.
    Raises PreconditionFailed (must_be_new), TagImmutable. Locks: tag (upsert, by name).

    The policy is asked after the upsert, about what it found there: of two pushes of a new immutable tag the second
    waits for the first and is refused (ADR 0014).
    """
    if not targets:
        return {}
    rows = backend.insert(
        Tag, ["repository", "name", "manifest", "updated_at", "restored_at"],
        [(repository.id, name, targets[name].manifest_id, change.at, restored_at) for name in sorted(targets)],
        on_conflict=_MOVE, returning=("name", "previous_manifest_id", changed_lately()),
    )  # fmt: skip
    if any(was_changed for _, _, was_changed in rows):
        take_away()  # somebody else did, and may still be waiting for it
    rows = [(name, previous) for name, previous, _ in rows]
    if any(previous is not None and name in must_be_new for name, previous in rows):
        raise PreconditionFailed
    if existing := [name for name, previous in rows if previous is not None]:
        before_push(repository, existing)
    changed = [(name, previous) for name, previous in rows if previous != targets[name].manifest_id]
    if any(previous is not None for _, previous in changed):
        take_away()
    return remember(repository.id, changed, targets, change)


def require_tags(
    repository_id: int, names: Iterable[str], *, if_match: str | None, if_none_match: str | None
) -> frozenset[str]:
    """Refuse a conditional PUT (RFC 9110, 13.1.1 and 13.1.2; the values of the headers) unless it holds for all the tags.

    Tags that are there can't move any more. Those that are not can't be locked: their names are returned, and set_tags
    must find them new. Raises PreconditionFailed. Locks: tag (NO KEY UPDATE, by name).
    """
    wanted = sorted(set(names))
    if not wanted or (if_match is None and if_none_match is None):
        return frozenset()
    rows = backend.sql(
        "SELECT t.name, m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id "
        f"WHERE t.repository_id = %s AND t.name IN ({backend.placeholders(wanted)}) ORDER BY t.name"
        + backend.lock("NO KEY UPDATE", "t"),
        repository_id, *wanted,
    )  # fmt: skip
    current = {name: decode_digest(raw) for name, raw in rows}
    absent = frozenset(wanted) - current.keys()
    if if_match is not None and (absent or not all(_names(if_match, digest) for digest in current.values())):
        raise PreconditionFailed
    if if_none_match is not None and any(_names(if_none_match, digest) for digest in current.values()):
        raise PreconditionFailed
    return absent


def _names(header: str, digest: str) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return not tags.isdisjoint({"*", digest})


def drop_tags(repository: HeldRepository, tags: Sequence[tuple[int, str, int]], change: Change) -> dict[str, str]:
    """Delete held tag rows (id, name, manifest_id) and remember what they meant; the digests by name. Raises
    TagImmutable."""
    if not tags:
        return {}
    before_delete(repository, [name for _, name, _ in tags])
    take_away()
    Tag.objects.filter(id__in=[tag_id for tag_id, _, _ in tags]).delete()
    return remember(repository.id, [(name, manifest_id) for _, name, manifest_id in tags], {}, change)


def remember(
    repository_id: int, meanings: Sequence[tuple[str, int | None]], targets: Mapping[str, Target], change: Change
) -> dict[str, str]:
    """Write down that names, which meant the manifests of these ids (None: nothing), mean `targets` now. The digests of
    what they meant, by name. The only place where history comes from."""
    if not meanings:
        return {}
    wanted = {manifest_id for _, manifest_id in meanings if manifest_id is not None}
    digests: Mapping[int, str] = {}
    if wanted:
        digests = dict(Manifest.objects.filter(id__in=wanted).values_list("id", "digest"))
    until = change.at + restore_window()
    backend.insert(
        TagHistory,
        ["repository", "name", "manifest", "digest", "new_digest", "reason", "by", "ended_at", "restorable_until"],
        [
            (
                repository_id, name, before, None if before is None else digests[before],
                targets[name].digest if name in targets else None, change.reason, change.by, change.at, until,
            )
            for name, before in meanings
        ],
        returning=(),
    )  # fmt: skip
    return {name: digests[before] for name, before in meanings if before is not None}
