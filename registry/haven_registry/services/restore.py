"""Out of the trash: artifacts and tags."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN, Origin
from haven_core.errors import ConcurrentChange
from haven_core.policies.hooks import HeldRepository
from haven_core.visibility import take_away
from haven_registry.errors import ManifestUnknown, TagsTaken, TagUnknown
from haven_registry.models import Manifest, Tag, TagHistory
from haven_registry.services.delete import descendants
from haven_registry.services.repositories import hold_repository, publish_about
from haven_registry.services.tags import Change, Target, remember, set_tags


class Taken(StrEnum):
    """What to do about a tag whose name means something else by now."""

    REFUSE = "refuse"
    KEEP = "keep"
    OVERWRITE = "overwrite"


def restore_manifest(
    *, repository_id: int, digest: str, taken: Taken = Taken.KEEP, origin: Origin = HAVEN
) -> list[str]:
    """Back to life, with all that its delete took along: descendants, accessories, and tags; returns the names of those.
    Its blobs show again by themselves. Retention leaves alone what was restored.

    taken: about tags whose names were given to others meanwhile.
    Raises RepositoryUnknown, ManifestUnknown (not in the trash, or purged), TagsTaken (REFUSE), TagImmutable
    (OVERWRITE).
    Locks: repository (KEY SHARE), manifest of the whole family (NO KEY UPDATE, by id), tag (insert, by name).
    """

    def work() -> list[str]:
        now = timezone.now()
        held = hold_repository(repository_id)
        family = revive(repository_id, digest, now)
        # asked for each one's own delete: a child may have gone before its index
        lost = TagHistory.objects.filter(
            manifest_id__in=[row_id for row_id, _ in family], reason=TagHistory.MANIFEST_DELETED
        ).filter(Q(*(Q(manifest_id=row_id, ended_at=at) for row_id, at in family), _connector=Q.OR))
        columns = ("name", "manifest_id", "digest")
        targets = {name: Target(row_id, was) for name, row_id, was in lost.order_by("id").values_list(*columns)}
        restored = _bring_back_tags(held, targets, taken, Change(TagHistory.RESTORED, origin.name, now))
        publish_about(repository_id, held, "manifest.restored", now, origin, digest=digest)
        return restored

    return run_write(work)


def restore_tag(
    *, repository_id: int, history_id: int, name: str | None = None, taken: Taken = Taken.REFUSE, origin: Origin = HAVEN
) -> str:
    """A tag that was deleted alone means its manifest again, which comes out of the trash with it if need be; returns
    the name.

    history_id: of the row that its delete wrote. name: to give it another one.
    Raises RepositoryUnknown, TagUnknown (nothing to restore, or restored before), ManifestUnknown (purged), TagsTaken
    (REFUSE), TagImmutable (OVERWRITE).
    Locks: as restore_manifest, and tag_history (NO KEY UPDATE).
    """

    def work() -> str:
        now = timezone.now()
        held = hold_repository(repository_id)
        rows = TagHistory.objects.filter(
            id=history_id, repository_id=repository_id, reason=TagHistory.DELETED, restorable_until__gt=now
        )
        found = rows.values_list("name", "digest").first()
        if found is None:
            raise TagUnknown
        target = hold_or_revive(repository_id, str(found[1]), now)
        wanted = name or found[0]
        _bring_back_tags(held, {wanted: target}, taken, Change(TagHistory.RESTORED, origin.name, now))
        if not rows.update(restorable_until=now):
            raise TagUnknown  # somebody else restored it first; what we did is undone
        publish_about(repository_id, held, "tag.moved", now, origin, tag=wanted, digest=target.digest, previous=None)
        return wanted

    return run_write(work)


def hold_or_revive(repository_id: int, digest: str, now: datetime) -> Target:
    """The manifest, held so that tags can be pointed at it; taken out of the trash if it is there. Raises
    ManifestUnknown, ConcurrentChange. Locks: manifest (SHARE; NO KEY UPDATE of its family to revive)."""
    manifests = Manifest.objects.filter(repository_id=repository_id, digest=digest)
    found = manifests.values_list("id", "deleted_at").first()
    if found is None:
        raise ManifestUnknown
    if found[1] is not None:
        revive(repository_id, digest, now)
    elif not backend.locked(manifests.filter(deleted_at=None).values_list("id"), "SHARE"):
        raise ConcurrentChange  # deleted between look and lock: start over with the stronger one
    return Target(found[0], digest)


def revive(repository_id: int, digest: str, now: datetime) -> list[tuple[int, datetime]]:
    """Take a manifest out of the trash with all that its delete took along, and all below; their ids and when each was
    deleted. The caller holds the repository. Raises ManifestUnknown (also once its window is
    over or was ended), ConcurrentChange. Locks: manifest of the whole family (NO KEY UPDATE, by id)."""
    trashed = Manifest.objects.filter(repository_id=repository_id, deleted_at__isnull=False)
    restorable = trashed.filter(digest=digest, purge_after__gt=now)
    root = restorable.values_list("id", flat=True).first()
    if root is None:
        raise ManifestUnknown
    companions = trashed.filter(deleted_with=root).order_by("id").values_list("id", flat=True)
    together = list(companions)
    family = descendants(root, *together)
    held = backend.locked(Manifest.objects.filter(id__in=family).order_by("id").values_list("id"), "NO KEY UPDATE")
    # purged, restored or pushed again between look and lock: who goes with it has to be found anew
    if len(held) != len(set(family)) or list(companions) != together or not restorable.exists():
        raise ConcurrentChange
    rows = [(row_id, at) for row_id, at in trashed.filter(id__in=family).values_list("id", "deleted_at") if at]
    trashed.filter(id__in=family).update(deleted_at=None, purge_after=None, restored_at=now)
    return rows


def _bring_back_tags(repository: HeldRepository, targets: dict[str, Target], taken: Taken, change: Change) -> list[str]:
    """Point names at held manifests again; those that could be. Raises TagsTaken, TagImmutable."""
    if not targets:
        return []
    if taken is Taken.OVERWRITE:
        set_tags(repository, targets, change, restored_at=change.at)
        return sorted(targets)
    rows = backend.insert(
        Tag, ["repository", "name", "manifest", "updated_at", "restored_at"],
        [(repository.id, name, targets[name].manifest_id, change.at, change.at) for name in sorted(targets)],
        on_conflict="(repository_id, name) DO NOTHING", returning=("name",),
    )  # fmt: skip
    take_away()  # what they meant until a moment ago
    free = sorted(name for (name,) in rows)
    if taken is Taken.REFUSE and (lost := _meaning_others(repository.id, targets, targets.keys() - set(free))):
        raise TagsTaken(lost)
    remember(repository.id, [(name, None) for name in free], targets, change)
    return free


def _meaning_others(repository_id: int, targets: dict[str, Target], names: Collection[str]) -> list[str]:
    found = Tag.objects.filter(repository_id=repository_id, name__in=names).values_list("name", "manifest_id")
    return sorted(name for name, manifest_id in found if manifest_id != targets[name].manifest_id)
