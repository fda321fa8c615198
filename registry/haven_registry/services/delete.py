"""Deleting manifests: into the trash, 404 at once everywhere, restorable until the window ends or a push needs the
room."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from haven_core.conf import config
from haven_core.configuration.selectors import restore_window
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN, Origin
from haven_core.visibility import take_away
from haven_registry.accessories import accessories_below
from haven_registry.errors import ManifestReferenced, ManifestUnknown, TagsChanged
from haven_registry.models import Manifest, ManifestBlob, ManifestChild, PullDaily, RepositoryBlob, Tag, TagHistory
from haven_registry.services.repositories import hold_repository, publish_about
from haven_registry.services.tags import Change, drop_tags


def delete_manifest(
    *,
    repository_id: int,
    digest: str,
    only_untagged: bool = False,
    only_with_tags: Mapping[str, datetime] | None = None,
    with_accessories: bool = False,
    origin: Origin = HAVEN,
) -> None:
    """Into the trash, with its tags and with those descendants that have no tag and no other live parent, all in one
    transaction: a restore of the manifest brings all of it back.

    only_untagged: GC's question, asked again under the lock; then nothing happens to a manifest that something keeps.
    only_with_tags: retention's; the tags and when each was pushed, as the decision saw them. No accessory goes along
        whose tag somebody brought back from the trash.
    with_accessories: the accessories of all that goes do too, and theirs, whatever tags they have (Harbor); one that a
        live index names stays.
    Raises RepositoryUnknown, ManifestUnknown, ManifestReferenced (by a live index), TagImmutable (one of the tags),
    TagsChanged (only_with_tags).
    Locks: repository (KEY SHARE), repository_blob and manifest of the whole family (NO KEY UPDATE), tag (UPDATE, by
    name).
    """

    def work() -> None:
        now = timezone.now()
        held_repository = hold_repository(repository_id)
        manifests = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at=None)
        root = manifests.values_list("id", flat=True).first()
        if root is None:
            take_away()  # somebody else may have, a moment ago
            raise ManifestUnknown
        subjects = _subjects(repository_id, root) if with_accessories else {}
        family = descendants(root, *sorted(subjects))
        backend.locked(_blobs_of(family).order_by("project_blob_id").values_list("id"), "NO KEY UPDATE")
        backend.locked(Manifest.objects.filter(id__in=family).order_by("id").values_list("id"), "NO KEY UPDATE")
        # from here nobody can tag, name or trash them
        if not Manifest.objects.filter(id=root, deleted_at=None).exists():
            raise ManifestUnknown
        if only_untagged and not Manifest.objects.filter(is_unreferenced(now), id=root).exists():
            return
        if only_with_tags is not None:
            # held as it is, the manifest gets no tag; one that leaves it leaves less to lose
            tagged = Tag.objects.filter(manifest_id=root).values_list("name", "updated_at")
            if not dict(tagged).items() <= only_with_tags.items():
                raise TagsChanged
            # whoever brings a manifest without tags back does so after the decision, which spares restored ones
            if not only_with_tags and Manifest.objects.filter(id=root, restored_at__isnull=False).exists():
                raise TagsChanged
        doomed = _choose_doomed(root, subjects, family)
        take_away()
        held = backend.locked(
            Tag.objects.filter(manifest_id__in=doomed).order_by("name").values_list("id", "name", "manifest_id"),
            "UPDATE",
        )
        tags = [(tag_id, name, manifest_id) for tag_id, name, manifest_id in held]
        if only_with_tags is not None:
            companions = Tag.objects.filter(id__in=[row[0] for row in tags]).exclude(manifest_id=root)
            if companions.filter(restored_at__isnull=False).exists():
                raise TagsChanged
        purge_after = now + restore_window()
        Manifest.objects.filter(id__in=doomed, deleted_at=None).update(
            deleted_at=now, purge_after=purge_after, deleted_by=origin.name,
            deleted_with=Case(When(id=root, then=None), default=Value(root)),
        )  # fmt: skip
        # unconditional: a row that another live manifest names stays visible, so there is nothing to check, nothing
        # to race
        hide_blobs(_blobs_of(doomed).values("id"), now, purge_after)
        drop_tags(held_repository, tags, Change(TagHistory.MANIFEST_DELETED, origin.name, now))
        names = sorted(name for _, name, _ in tags)
        publish_about(repository_id, held_repository, "manifest.deleted", now, origin, digest=digest, tags=names)

    run_write(work)


def hide_blobs(rows: Any, now: datetime, purge_after: datetime) -> None:
    """Mark held repository_blob rows (ids, or a query of them) as deleted: the lease after the last reference begins
    now, and GC looks when that and `purge_after` are over."""
    take_away()
    lease = now + config().gc_grace
    RepositoryBlob.objects.filter(id__in=rows).update(
        hidden_at=now, keep_until=_later("keep_until", lease), review_at=_later("review_at", max(purge_after, lease))
    )


def descendants(*roots: int) -> list[int]:
    """Ids of the manifests and of all below them, roots first. References never change after the insert: no lock needed."""
    family, level = list(roots), list(roots)
    while level:
        children = set(ManifestChild.objects.filter(parent_id__in=level).values_list("child_id", flat=True))
        level = sorted(children - set(family))
        family += level
    return family


def is_unreferenced(now: datetime) -> Q:
    """A manifest that nothing keeps: no tag, no restorable tag, no live index above, no live subject, no recent pull."""
    subject = Manifest.objects.filter(
        repository_id=OuterRef("repository_id"), digest=OuterRef("subject_digest"), deleted_at=None
    )
    return (
        ~Q(Exists(Tag.objects.filter(manifest_id=OuterRef("pk"))))
        & ~Q(Exists(TagHistory.objects.filter(manifest_id=OuterRef("pk"), restorable_until__gt=now)))
        & ~Q(Exists(ManifestChild.objects.filter(child_id=OuterRef("pk"), parent__deleted_at=None)))
        & ~Q(Exists(subject))
        & ~Q(Exists(recent_pulls(now)))
    )


def recent_pulls(now: datetime) -> QuerySet[PullDaily]:
    """Of the manifest of an outer query, by tag or digest, within the age up to which untagged manifests are left alone:
    somebody pins it by its digest."""
    return PullDaily.objects.filter(
        repository_id=OuterRef("repository_id"), manifest_digest=OuterRef("digest"),
        last_pulled_at__gt=now - config().untagged_age,
    )  # fmt: skip


def _blobs_of(manifests: Iterable[int]) -> QuerySet[RepositoryBlob]:
    named = ManifestBlob.objects.filter(manifest_id__in=manifests).values("repository_blob_id")
    return RepositoryBlob.objects.filter(id__in=named)


def _subjects(repository_id: int, root: int) -> dict[int, set[int]]:
    """The accessories of the root and of all below it, and theirs: ids of their subjects by their own."""
    family = Manifest.objects.filter(id__in=descendants(root), deleted_at=None)
    found: dict[int, set[int]] = {}
    for view in accessories_below(repository_id, dict(family.values_list("digest", "id"))):
        found.setdefault(view.id, set()).add(view.subject_id)
    return found


def _choose_doomed(root: int, subjects: Mapping[int, set[int]], family: list[int]) -> set[int]:
    """What goes with the root; `subjects`: of the accessories in the family. Raises ManifestReferenced."""
    tagged = set(Tag.objects.filter(manifest_id__in=family).values_list("manifest_id", flat=True))
    parents: dict[int, set[int]] = {}
    links = ManifestChild.objects.filter(child_id__in=family, parent__deleted_at=None)
    for child, parent in links.values_list("child_id", "parent_id"):
        parents.setdefault(child, set()).add(parent)
    if parents.get(root):
        raise ManifestReferenced

    def goes(manifest_id: int) -> bool:
        above = parents.get(manifest_id, set())
        if manifest_id in subjects:  # with one of its subjects, unless an index that stays names it
            return bool(subjects[manifest_id] & doomed) and above <= doomed
        return manifest_id not in tagged and bool(above) and above <= doomed

    doomed = {root}
    for _ in family:  # to a fixed point: a grandchild may be met before its parent is doomed
        more = {manifest_id for manifest_id in family if manifest_id not in doomed and goes(manifest_id)}
        if not more:
            break
        doomed |= more
    return doomed


def _later(field: str, value: datetime) -> Case:
    return Case(When(Q(**{f"{field}__gt": value}), then=F(field)), default=Value(value))
