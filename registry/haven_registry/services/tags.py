"""Tags: one row per name, and what names meant before."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import decode_digest
from haven_core.db.transactions import run_write
from haven_core.events.outbox import publish
from haven_registry.errors import ManifestUnknown, PreconditionFailed, TagUnknown
from haven_registry.models import Manifest, Tag, TagHistory
from haven_registry.services.repositories import hold_repository

# one statement moves the tags and RETURNs what they meant before; a new row has no previous
_MOVE = """(repository_id, name) DO UPDATE SET previous_manifest_id = tag.manifest_id,
  manifest_id = excluded.manifest_id, updated_at = excluded.updated_at"""


def move_tag(*, repository_id: int, name: str, digest: str) -> str | None:
    """Make the tag name the manifest; returns the digest it named before, None if it is new or the same.

    Raises RepositoryUnknown, ManifestUnknown. Locks: repository (KEY SHARE), manifest (SHARE), tag.
    """

    def work() -> str | None:
        hold_repository(repository_id)
        manifests = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at=None)
        rows = backend.locked(manifests.values_list("id"), "SHARE")
        if not rows:
            raise ManifestUnknown
        now = timezone.now()
        moved = set_tags(repository_id, [name], rows[0][0], now)
        publish("tag.moved", now, repository=repository_id, tag=name, digest=digest, previous=moved.get(name))
        return moved.get(name)

    return run_write(work)


def delete_tag(*, repository_id: int, name: str) -> str:
    """Remove the tag, never its manifest; returns the digest it named.

    Raises RepositoryUnknown, TagUnknown. Locks: repository (KEY SHARE), tag (UPDATE).
    """

    def work() -> str:
        hold_repository(repository_id)
        rows = backend.locked(
            Tag.objects.filter(repository_id=repository_id, name=name).values_list("id", "manifest_id"), "UPDATE"
        )
        if not rows:
            raise TagUnknown
        now = timezone.now()
        [(tag_id, manifest_id)] = rows
        digests = drop_tags(repository_id, [(tag_id, name, manifest_id)], TagHistory.DELETED, now)
        publish("tag.deleted", now, repository=repository_id, tag=name, digest=digests[name])
        return digests[name]

    return run_write(work)


def set_tags(
    repository_id: int, names: Iterable[str], manifest_id: int, now: datetime, *, must_be_new: bool = False
) -> dict[str, str]:
    """Point tags at a manifest that the caller's transaction holds (SHARE at least) or inserted; the digests of what
    was replaced, by name. Raises PreconditionFailed (must_be_new). Locks: tag (upsert, by name)."""
    ordered = sorted(set(names))
    if not ordered:
        return {}
    rows = backend.insert(
        Tag, ["repository", "name", "manifest", "updated_at"],
        [(repository_id, name, manifest_id, now) for name in ordered],
        on_conflict=_MOVE, returning=("name", "previous_manifest_id"),
    )  # fmt: skip
    if must_be_new and any(previous is not None for _, previous in rows):
        raise PreconditionFailed
    replaced = [(name, previous) for name, previous in rows if previous not in (None, manifest_id)]
    return _remember(repository_id, replaced, TagHistory.MOVED, now)


def require_tags(repository_id: int, names: Iterable[str], digest: str) -> None:
    """Refuse a conditional PUT unless all the tags are there and name `digest` ('*': anything); they can't move any
    more.

    Raises PreconditionFailed. Locks: tag (NO KEY UPDATE, by name).
    """
    wanted = sorted(set(names))
    rows = backend.sql(
        "SELECT t.name, m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id "
        f"WHERE t.repository_id = %s AND t.name IN ({backend.placeholders(wanted)}) ORDER BY t.name"
        + backend.lock("NO KEY UPDATE", "t"),
        repository_id, *wanted,
    )  # fmt: skip
    current = {name: decode_digest(raw) for name, raw in rows}
    if current.keys() != set(wanted) or (digest != "*" and set(current.values()) - {digest}):
        raise PreconditionFailed


def drop_tags(repository_id: int, tags: Sequence[tuple[int, str, int]], reason: str, now: datetime) -> dict[str, str]:
    """Delete held tag rows (id, name, manifest_id) and remember what they meant; the digests by name."""
    if not tags:
        return {}
    Tag.objects.filter(id__in=[tag_id for tag_id, _, _ in tags]).delete()
    return _remember(repository_id, [(name, manifest_id) for _, name, manifest_id in tags], reason, now)


def _remember(repository_id: int, meanings: Sequence[tuple[str, int]], reason: str, now: datetime) -> dict[str, str]:
    if not meanings:
        return {}
    wanted = {manifest_id for _, manifest_id in meanings}
    digests: Mapping[int, str] = dict(Manifest.objects.filter(id__in=wanted).values_list("id", "digest"))
    until = now + config().restore_window
    backend.insert(
        TagHistory, ["repository", "name", "manifest", "digest", "reason", "ended_at", "restorable_until"],
        [(repository_id, name, m, digests[m], reason, now, until) for name, m in meanings],
    )  # fmt: skip
    return {name: digests[manifest_id] for name, manifest_id in meanings}
