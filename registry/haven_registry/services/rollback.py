"""A tag goes back to what it meant before."""

from django.db.models import Q
from django.utils import timezone

from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN, Origin
from haven_registry.errors import InTrash, NeverMeant
from haven_registry.models import Manifest, TagHistory
from haven_registry.services.repositories import hold_repository, publish_about
from haven_registry.services.restore import hold_or_revive
from haven_registry.services.tags import Change, require_tags, set_tags


def roll_back_tag(
    *,
    repository_id: int,
    name: str,
    digest: str,
    may_revive: bool = False,
    expected: str | None = None,
    origin: Origin = HAVEN,
) -> str | None:
    """Make the tag name an artifact that it named before; returns the digest it named until now, None if there was no such
    tag or it named that one already. Nothing new is stored, so quota is not asked.

    may_revive: take the artifact out of the trash if it is there. expected: only while the tag names this digest.
    Raises RepositoryUnknown, NeverMeant, ManifestUnknown (purged), InTrash (not may_revive), PreconditionFailed
    (expected), TagImmutable.
    Locks: repository (KEY SHARE), manifest (SHARE; NO KEY UPDATE of its family to revive it), tag.
    """

    def work() -> str | None:
        now = timezone.now()
        held = hold_repository(repository_id)
        meant = TagHistory.objects.filter(Q(digest=digest) | Q(new_digest=digest))
        if not meant.filter(repository_id=repository_id, name=name).exists():
            raise NeverMeant
        if not may_revive and _is_trashed(repository_id, digest):
            raise InTrash
        target = hold_or_revive(repository_id, digest, now)
        require_tags(repository_id, [name], if_match=expected, if_none_match=None)
        moved = set_tags(held, {name: target}, Change(TagHistory.ROLLED_BACK, origin.name, now))
        publish_about(repository_id, held, "tag.moved", now, origin, tag=name, digest=digest, previous=moved.get(name))
        return moved.get(name)

    return run_write(work)


def _is_trashed(repository_id: int, digest: str) -> bool:
    """Without a lock: what is deleted right after this look and revived is what a caller could not have known."""
    return Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at__isnull=False).exists()
