"""Repositories as people compare them. Reads only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from haven_core.db.lists import Column, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_registry.artifact_list import ROW_COLUMNS, ManifestRow, has_digest
from haven_registry.errors import ManifestUnknown, RepositoryUnknown
from haven_registry.models import Manifest, PullDaily, Repository, RepositoryBlob, Tag
from haven_registry.pull_series import daily_pulls
from haven_registry.repository_list import contents_of, seen_repositories

PULL_DAYS = 30
"""Days of pulls that are counted, today's included."""


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A live repository by its own columns. name: below its project."""

    id: int
    project_id: int
    name: str
    full_name: str
    description: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RepositorySummary:
    """A live repository with what a person compares it by.

    type: of the artifact pushed last, '' without any; newest_tag: of the tagged one pushed last. size, unique: bytes that
    are stored for it, what is in the trash included, and of them those of no other repository of the project. pulls: of
    each of PULL_DAYS, the newest last.
    """

    row: RepositoryRow
    pushed_at: datetime
    artifacts: int
    type: str
    newest_tag: str
    size: int
    unique: int
    pulls: tuple[int, ...]


SUMMARY_SORTS = ("name", "pushed", "size", "pulls")
SUMMARIES = Listing(
    filters={"name": Column("name")},
    sorts={"name": "name", "pushed": "pushed", "creation_time": "created_at"},
    order=("-id",),
)
_ROW = ("id", "project_id", "name", "full_name", "description", "created_at")


def find_repository_row(project_id: int, name: str) -> RepositoryRow:
    """A live repository by its name below the project, nothing counted. One statement. Raises RepositoryUnknown."""
    found = seen_repositories().filter(project_id=project_id, name=name).values_list(*_ROW).first()
    if found is None:
        raise RepositoryUnknown
    return RepositoryRow(*found)


def find_named_artifact(project_id: int, name: str, reference: str) -> tuple[RepositoryRow, ManifestRow]:
    """A live artifact, by a tag or its digest, and the live repository of that name. One statement. Raises
    RepositoryUnknown, ManifestUnknown."""
    where: dict[str, Any] = {
        "repository__project_id": project_id, "repository__name": name, "repository__deleted_at": None
    }  # fmt: skip
    rows: Any
    if ":" in reference:
        path, rows = "", Manifest.objects.filter(has_digest(reference), deleted_at=None, **where)
    else:
        path, rows = "manifest__", Tag.objects.filter(name=reference, manifest__deleted_at=None, **where)
    columns = [*(f"repository__{each}" for each in _ROW), *(f"{path}{each}" for each in ROW_COLUMNS)]
    found = rows.order_by().values_list(*columns).first()
    if found is None:
        find_repository_row(project_id, name)
        raise ManifestUnknown(f"artifact {reference[:200]} not found")
    return RepositoryRow(*found[: len(_ROW)]), ManifestRow(*found[len(_ROW) :])


def list_names(project_id: int, *, limit: int) -> list[str]:
    """Names below the project of the first `limit` live repositories. One statement."""
    live = seen_repositories().filter(project_id=project_id)
    return list(live.order_by("name").values_list("name", flat=True)[:limit])


def summarise_repositories(project_id: int, query: ListQuery) -> tuple[list[RepositorySummary], int]:
    """A page of a project's repositories, and the number of all. Six statements. Raises BadRequest.

    The first key of the order is one of SUMMARY_SORTS."""
    live: Any = seen_repositories().filter(project_id=project_id)
    found = SUMMARIES.narrow(live, query)
    key = query.order[0].removeprefix("-") if query.order else ""
    if key in ("size", "pulls"):
        ids, number = _page_by_total(project_id, found, query, key)
    else:
        page = SUMMARIES.page(_with_push(found), query)
        ids, number = list(page.values_list("id", flat=True)), total(found)
    known = _described(ids)
    sizes = _sizes(ids)
    pulls = pulls_by_day(ids)
    artifacts = {row_id: each.artifacts for row_id, each in contents_of(ids).items()}
    return [
        RepositorySummary(row, pushed, artifacts.get(row_id, 0), kind, tag, *sizes.get(row_id, (0, 0)), pulls[row_id])
        for row_id, (row, pushed, kind, tag) in ((each, known[each]) for each in ids if each in known)
    ], number  # fmt: skip


def artifact_pulls(repository_id: int, digest: str) -> tuple[int, ...]:
    """Pulls of an artifact, by all its names, of each of PULL_DAYS, the newest last. One statement."""
    found = daily_pulls([repository_id], days=PULL_DAYS, today=timezone.now().date(), digest=digest)
    return tuple(found[repository_id])


def pulls_by_day(repository_ids: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Pulls of each of PULL_DAYS, the newest last, of each repository. One statement, or none."""
    if not repository_ids:
        return {}
    found = daily_pulls(repository_ids, days=PULL_DAYS, today=timezone.now().date())
    return {repository_id: tuple(days) for repository_id, days in found.items()}


def _with_push(found: Any) -> Any:
    """With the moment of the newest push, that of its making where there is none."""
    newest = Manifest.objects.filter(repository_id=OuterRef("pk"), deleted_at=None, subject_digest=None)
    pushed = Subquery(newest.order_by("-pushed_at", "-id").values("pushed_at")[:1], output_field=DateTimeField())
    return found.annotate(pushed=Coalesce(pushed, F("created_at")))


def _page_by_total(project_id: int, found: Any, query: ListQuery, key: str) -> tuple[list[int], int]:
    """Ids of a page in the order of their stored bytes or recent pulls, and the number of all. The sums of all are made
    at once, and not for each: PostgreSQL takes some ten times longer for that."""
    if key == "size":
        rows, column = RepositoryBlob.objects.filter(repository__project_id=project_id), "project_blob__size"
    else:
        recent: Any = PullDaily.objects.filter(repository__project_id=project_id, day__gte=_first_day())
        rows, column = recent, "pulls"
    totals = dict(rows.values_list("repository_id").annotate(total=Sum(column)).order_by())
    ids = list(found.order_by("-id").values_list("id", flat=True))
    ids.sort(key=lambda row_id: totals.get(row_id, 0), reverse=query.order[0].startswith("-"))
    end = None if query.limit is None else query.offset + query.limit
    return ids[query.offset : end], len(ids)


def _described(ids: Collection[int]) -> dict[int, tuple[RepositoryRow, datetime, str, str]]:
    """By id: the repository, its newest push, the type of what was pushed then, and the newest tag."""
    if not ids:
        return {}
    live = Manifest.objects.filter(repository_id=OuterRef("pk"), deleted_at=None, subject_digest=None)
    is_tagged = Exists(Tag.objects.filter(manifest_id=OuterRef("pk")))
    order = ("-pushed_at", "-id")
    tagged: Any = live.filter(is_tagged).order_by(*order)
    tag = Tag.objects.filter(manifest_id=OuterRef("pk")).order_by("-updated_at", "-id").values("name")[:1]
    kind = Subquery(live.order_by(*order).values("kind")[:1])
    rows: Any = _with_push(Repository.objects.filter(id__in=ids, deleted_at=None).order_by())
    newest_tag = Subquery(tagged.annotate(tag=Subquery(tag)).values("tag")[:1])
    columns = (*_ROW, "pushed", "kind", "newest_tag")
    found = {}
    for values in rows.annotate(kind=kind, newest_tag=newest_tag).values_list(*columns):
        pushed, kind_name, tag_name = values[len(_ROW) :]
        found[values[0]] = (RepositoryRow(*values[: len(_ROW)]), pushed, kind_name or "", tag_name or "")
    return found


def _sizes(ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Bytes stored for each repository, and of them those of no other in the project."""
    if not ids:
        return {}
    others = RepositoryBlob.objects.filter(project_blob_id=OuterRef("project_blob_id")).exclude(
        repository_id=OuterRef("repository_id")
    )
    rows: Any = RepositoryBlob.objects.filter(repository_id__in=ids).annotate(is_shared=Exists(others))
    size, unique = Sum("project_blob__size"), Sum("project_blob__size", filter=Q(is_shared=False))
    summed = rows.values_list("repository_id").annotate(size=size, unique_size=unique).order_by()
    return {repository_id: (size or 0, unique or 0) for repository_id, size, unique in summed}


def _first_day() -> Any:
    return timezone.now().date() - timedelta(days=PULL_DAYS - 1)
