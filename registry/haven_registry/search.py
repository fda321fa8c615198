"""Finding repositories by a part of their name, and adding up what there is. Reads only."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, Sum, Value

from haven_core.domain.actor import Actor
from haven_core.rbac.access import standings, visible_projects
from haven_core.rbac.permissions import Action, Permission, Resource
from haven_registry.artifacts import kinds
from haven_registry.models import Blob, Manifest, PullDaily, Repository, Tag


@dataclass(frozen=True, slots=True)
class FoundByName:
    """A live repository; artifacts: its live manifests."""

    id: int
    full_name: str
    project_id: int
    project_name: str
    is_public: bool
    artifacts: int
    pulls: int


@dataclass(frozen=True, slots=True)
class FoundArtifact:
    """A live artifact that was found by a tag, or, with tag '', by its digest. repository: its full name."""

    repository: str
    tag: str
    digest: str
    type: str


_DIGEST = re.compile(r"(?:(sha256|sha512):)?([0-9a-f]{6,128})")
_DIGITS = {"sha256": 64, "sha512": 128}
_SEEN = 4  # times as many rows as are wanted are read, since some may not be the actor's to see


def search_tags(actor: Actor, text: str, *, limit: int) -> list[FoundArtifact]:
    """The first `limit` tags, by name, that begin with `text` and that the actor may see. Two statements, by an index."""
    if not text or "\0" in text:
        return []
    tags: Any = Tag.objects.filter(
        name__gte=text, name__lt=text + "\x7f", repository__deleted_at=None, manifest__deleted_at=None,
        repository__project_id__in=visible_projects(actor).values("id"),
    )  # fmt: skip
    columns = ("repository__full_name", "name", "manifest__digest", *_types("manifest__"))
    rows = tags.order_by("name", "id").values_list(*_PROJECT, *columns)[: limit * _SEEN]
    return _readable(actor, rows, limit)


def search_artifacts(actor: Actor, text: str, *, limit: int) -> list[FoundArtifact]:
    """The first `limit` artifacts whose digest begins with `text`, at least six digits with or without `sha256:`, and that
    the actor may see. Two statements, by an index."""
    found = _DIGEST.fullmatch(text.lower())
    if found is None:
        return []
    ranges = Q(pk__in=())
    for algorithm, digits in _DIGITS.items():
        if found[1] in (None, algorithm) and len(found[2]) <= digits:
            first, last = (f"{algorithm}:{found[2].ljust(digits, fill)}" for fill in "0f")
            ranges |= Q(digest__gte=first, digest__lte=last)
    manifests: Any = Manifest.objects.filter(
        ranges, deleted_at=None, repository__deleted_at=None,
        repository__project_id__in=visible_projects(actor).values("id"),
    )  # fmt: skip
    rows = manifests.annotate(tag=Value("")).order_by("digest", "id")
    columns = ("repository__full_name", "tag", "digest", *_types(""))
    return _readable(actor, rows.values_list(*_PROJECT, *columns)[: limit * _SEEN], limit)


_PROJECT = ("repository__project_id", "repository__project__is_public")


def _types(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for name in ("media_type", "artifact_type", "config_media_type"))


def _readable(actor: Actor, found: Any, limit: int) -> list[FoundArtifact]:
    """Those of projects where the actor may read artifacts: a role of one's own making may see less than its project."""
    rows = list(found)
    held = standings(actor, {row[0]: row[1] for row in rows})
    wanted = Permission(Resource.ARTIFACT, Action.READ)
    shown = [row for row in rows if actor.is_sysadmin or wanted in held[row[0]].permissions]
    return [
        FoundArtifact(repository, tag, digest, kinds.artifact_type(*types))
        for _, _, repository, tag, digest, *types in shown[:limit]
    ]


def search_repositories(actor: Actor, text: str, *, limit: int) -> list[FoundByName]:
    """The first `limit` repositories, by name, of the projects the actor may see, whose full name contains `text` in any
    case. Three statements."""
    found = list(
        Repository.objects.filter(
            deleted_at=None, full_name__icontains=text, project_id__in=visible_projects(actor).values("id")
        )
        .order_by("full_name")
        .values_list("id", "full_name", "project_id", "project__name", "project__is_public")[:limit]
    )
    ids = [row[0] for row in found]
    artifacts, pulls = _artifacts(ids), _pulls(ids)
    return [FoundByName(*row, artifacts.get(row[0], 0), pulls.get(row[0], 0)) for row in found]


def count_by_visibility(projects: Any) -> tuple[int, int]:
    """Live repositories in the private and in the public projects of a queryset. One statement."""
    counted = Repository.objects.filter(deleted_at=None, project_id__in=projects.values("id")).aggregate(
        private=Count("id", filter=Q(project__is_public=False)), public=Count("id", filter=Q(project__is_public=True))
    )
    return counted["private"], counted["public"]


def stored_bytes() -> int:
    """Bytes of all blobs, each counted once. One statement, over the whole table."""
    return Blob.objects.aggregate(total=Sum("size"))["total"] or 0


def _artifacts(repository_ids: Collection[int]) -> dict[int, int]:
    live = Manifest.objects.filter(repository_id__in=repository_ids, deleted_at=None)
    return dict(live.values_list("repository_id").annotate(number=Count("id")).order_by())


def _pulls(repository_ids: Collection[int]) -> dict[int, int]:
    counted = PullDaily.objects.filter(repository_id__in=repository_ids)
    return dict(counted.values_list("repository_id").annotate(number=Sum("pulls")).order_by())
