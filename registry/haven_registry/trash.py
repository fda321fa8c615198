"""What is in a project's trash, as the API and the portal show it. Reads only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Sum, Value
from django.utils import timezone

from haven_core.errors import NotFound
from haven_registry.models import Manifest, Repository, TagHistory


class Item(StrEnum):
    """What was deleted: an artifact with all that went along, a tag alone, or a whole repository."""

    ARTIFACT = "artifact"
    TAG = "tag"
    REPOSITORY = "repository"


@dataclass(frozen=True, slots=True)
class TrashView:
    """Something that can be restored until restorable_until.

    id: of the manifest, the history row or the repository. digest, type: '' for a repository. tags: what comes back with
    an artifact, the name of a tag. size: bytes, with all that comes back, shared layers counted for each; 0 for a tag.
    deleted_by: '' for Haven itself.
    """

    item: Item
    id: int
    repository: str
    repository_id: int
    digest: str
    type: str
    tags: tuple[str, ...]
    size: int
    deleted_at: datetime
    deleted_by: str
    restorable_until: datetime


def trashed_artifacts(project_id: int, now: datetime) -> "QuerySet[Manifest]":
    """Manifests that a delete named, or whose companion is gone from the trash, in live repositories."""
    companion = Manifest.objects.filter(id=OuterRef("deleted_with"), deleted_at__isnull=False)
    # asked of each: a join lets SQLite go through all manifests of the project instead of those in the trash
    here = Repository.objects.filter(id=OuterRef("repository_id"), project_id=project_id, deleted_at=None)
    return Manifest.objects.filter(~Q(Exists(companion)), Exists(here), purge_after__gt=now)


def trashed_tags(project_id: int, now: datetime) -> "QuerySet[TagHistory]":
    """Tags that were deleted alone, in live repositories, and whose manifests are still there."""
    return TagHistory.objects.filter(
        reason=TagHistory.DELETED,
        restorable_until__gt=now,
        manifest__isnull=False,
        repository__project_id=project_id,
        repository__deleted_at=None,
    )


def trashed_repositories(project_id: int, now: datetime) -> "QuerySet[Repository]":
    """Those whose purge has not begun."""
    return Repository.objects.filter(project_id=project_id, purge_after__gt=now).filter(purge_after__gt=F("deleted_at"))


def list_trash(
    project_id: int, *, offset: int, limit: int, items: Collection[Item] = tuple(Item), repository: str | None = None
) -> tuple[list[TrashView], int]:
    """A page of the trash, newest first, and the number of all. repository: by its name below the project, only what was
    deleted in it. At most eight statements."""
    queues = _queues(project_id, timezone.now(), items, repository)
    if not queues:
        return [], 0
    # the three tables in one order: ids of a page first, and then what is to be said of them
    first, *rest = (
        rows.annotate(item=Value(item.value, CharField()), moment=F(moment))
        .values_list("item", "id", "moment")
        .order_by()
        for item, (rows, moment) in queues.items()
    )
    page = list((first.union(*rest, all=True) if rest else first).order_by("-moment", "-id")[offset : offset + limit])
    found = _described(page)
    return [found[key] for key in ((item, row_id) for item, row_id, _ in page) if key in found], sum(
        rows.count() for rows, _ in queues.values()
    )


def count_trash(project_id: int) -> int:
    """How many things can be restored in the project. One statement."""
    first, *rest = (
        rows.annotate(item=Value(item.value, CharField())).values_list("item", "id").order_by()
        for item, (rows, _) in _queues(project_id, timezone.now(), tuple(Item), None).items()
    )
    return int(first.union(*rest, all=True).count())


def find_trash(project_id: int, item: Item, row_id: int) -> TrashView:
    """One thing in the project's trash. Raises NotFound."""
    rows, _ = _queues(project_id, timezone.now(), (item,), None)[item]
    found = _described([(item, row_id, None)]) if rows.filter(id=row_id).exists() else {}
    if (item, row_id) not in found:
        raise NotFound(f"{item} {row_id} is not in the trash")
    return found[item, row_id]


def _queues(
    project_id: int, now: datetime, items: Collection[Item], repository: str | None
) -> "dict[Item, tuple[QuerySet[Any], str]]":
    """What may be restored, and the column that says when it was deleted."""
    within = {} if repository is None else {"repository__name": repository}
    queues: dict[Item, tuple[QuerySet[Any], str]] = {
        Item.ARTIFACT: (trashed_artifacts(project_id, now).filter(**within), "deleted_at"),
        Item.TAG: (trashed_tags(project_id, now).filter(**within), "ended_at"),
    }
    if repository is None:
        queues[Item.REPOSITORY] = (trashed_repositories(project_id, now), "deleted_at")
    return {item: queue for item, queue in queues.items() if item in items}


def _described(page: Iterable[tuple[str, int, Any]]) -> dict[tuple[str, int], TrashView]:
    ids: dict[str, list[int]] = {}
    for item, row_id, _ in page:
        ids.setdefault(item, []).append(row_id)
    views = [
        *_artifacts(ids.get(Item.ARTIFACT, ())),
        *_tags(ids.get(Item.TAG, ())),
        *_repositories(ids.get(Item.REPOSITORY, ())),
    ]
    return {(view.item, view.id): view for view in views}


def _artifacts(ids: Collection[int]) -> list[TrashView]:
    if not ids:
        return []
    together = Manifest.objects.filter(Q(id__in=ids) | Q(deleted_with__in=ids), deleted_at__isnull=False)
    leaders: dict[int, int] = {}  # each one, and whom it went with
    sizes: dict[int, int] = {}
    columns = ("id", "deleted_with", "payload_size", "total_size")
    for row_id, deleted_with, payload, total in together.values_list(*columns):
        leaders[row_id] = leader = row_id if row_id in ids else deleted_with
        sizes[leader] = sizes.get(leader, 0) + payload + total
    lost = TagHistory.objects.filter(
        manifest_id__in=leaders, reason=TagHistory.MANIFEST_DELETED, ended_at=F("manifest__deleted_at")
    )
    names: dict[int, set[str]] = {}
    for manifest_id, name in lost.values_list("manifest_id", "name"):
        names.setdefault(leaders[manifest_id], set()).add(name)
    rows = Manifest.objects.filter(id__in=ids, deleted_at__isnull=False)
    shown = (
        "id",
        "repository__full_name",
        "repository_id",
        "digest",
        "kind",
        "deleted_at",
        "deleted_by",
        "purge_after",
    )
    return [
        TrashView(
            Item.ARTIFACT, row_id, full_name, repository_id, digest, kind,
            tuple(sorted(names.get(row_id, ()))), sizes.get(row_id, 0), at, by, until,
        )
        for row_id, full_name, repository_id, digest, kind, at, by, until in rows.values_list(*shown)
    ]  # fmt: skip


def _tags(ids: Collection[int]) -> list[TrashView]:
    if not ids:
        return []
    columns = (
        "id", "repository__full_name", "repository_id", "digest", "manifest__kind", "name", "ended_at", "by",
        "restorable_until",
    )  # fmt: skip
    rows = TagHistory.objects.filter(id__in=ids, manifest__isnull=False)
    return [
        TrashView(Item.TAG, row_id, full_name, repository_id, digest, kind, (name,), 0, at, by, until)
        for row_id, full_name, repository_id, digest, kind, name, at, by, until in rows.values_list(*columns)
    ]


def _repositories(ids: Collection[int]) -> list[TrashView]:
    if not ids:
        return []
    live = Manifest.objects.filter(repository_id__in=ids, deleted_at=None)
    summed = live.values_list("repository_id").annotate(size=Sum(F("payload_size") + F("total_size"))).order_by()
    sizes = dict(summed)
    columns = ("id", "full_name", "deleted_at", "deleted_by", "purge_after")
    rows = Repository.objects.filter(id__in=ids, deleted_at__isnull=False)
    return [
        TrashView(Item.REPOSITORY, row_id, full_name, row_id, "", "", (), sizes.get(row_id, 0), at, by, until)
        for row_id, full_name, at, by, until in rows.values_list(*columns)
    ]
