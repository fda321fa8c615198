"""Finding repositories by a part of their name, and adding up what there is. Reads only."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, Sum

from haven_core.domain.actor import Actor
from haven_core.rbac.access import projects_allowing
from haven_core.rbac.permissions import Action, Permission, Resource
from haven_registry.models import Blob, Manifest, PullDaily, Repository, Tag
from haven_registry.repository_list import contents_of

_LIST = Permission(Resource.REPOSITORY, Action.LIST)


@dataclass(frozen=True, slots=True)
class FoundByName:
    """A repository that people see; artifacts: how many its list shows."""

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
_READ = Permission(Resource.ARTIFACT, Action.READ)


def search_tags(actor: Actor, text: str, *, limit: int) -> list[FoundArtifact]:
    """The first `limit` tags, by name, that begin with `text` and that the actor may see. Two statements at most."""
    if not text or "\0" in text:
        return []
    tags: Any = Tag.objects.filter(
        name__gte=text, name__lt=text + "\x7f", repository__deleted_at=None, manifest__deleted_at=None,
        repository__project_id__in=projects_allowing(actor, _READ).values("id"),
    )  # fmt: skip
    columns = ("repository__full_name", "name", "manifest__digest", "manifest__kind")
    return [FoundArtifact(*row) for row in tags.order_by("name", "id").values_list(*columns)[:limit]]


def search_artifacts(actor: Actor, text: str, *, limit: int) -> list[FoundArtifact]:
    """The first `limit` artifacts whose digest begins with `text`, at least six digits with or without `sha256:`, and that
    the actor may see. Two statements at most, by an index."""
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
        repository__project_id__in=projects_allowing(actor, _READ).values("id"),
    )  # fmt: skip
    rows = manifests.order_by("digest", "id").values_list("repository__full_name", "digest", "kind")[:limit]
    return [FoundArtifact(repository, "", digest, kind) for repository, digest, kind in rows]


def search_repositories(actor: Actor, text: str, *, limit: int) -> list[FoundByName]:
    """The first `limit` repositories, by name, that the actor may list, whose full name contains `text` in any case. Three
    statements, and one more for who is somebody but no system administrator.

    Names have no capitals: text without them finds the same as a comparison that ignores case, in a third of the time.
    """
    found = list(
        Repository.objects.filter(
            deleted_at=None,
            appeared_at__isnull=False,
            full_name__contains=text.lower(),
            project_id__in=projects_allowing(actor, _LIST).values("id"),
        )
        .order_by("full_name")
        .values_list("id", "full_name", "project_id", "project__name", "project__is_public")[:limit]
    )
    ids = [row[0] for row in found]
    contents, pulls = contents_of(ids), _pulls(ids)
    counted = {row_id: each.artifacts for row_id, each in contents.items()}
    return [FoundByName(*row, counted.get(row[0], 0), pulls.get(row[0], 0)) for row in found]


def count_by_visibility(projects: Any) -> tuple[int, int]:
    """Live repositories in the private and in the public projects of a queryset. One statement."""
    counted = Repository.objects.filter(
        deleted_at=None, appeared_at__isnull=False, project_id__in=projects.values("id")
    ).aggregate(
        private=Count("id", filter=Q(project__is_public=False)), public=Count("id", filter=Q(project__is_public=True))
    )
    return counted["private"], counted["public"]


def stored_bytes() -> int:
    """Bytes of all blobs, each counted once. One statement, over the whole table."""
    return Blob.objects.aggregate(total=Sum("size"))["total"] or 0


def _pulls(repository_ids: Collection[int]) -> dict[int, int]:
    counted = PullDaily.objects.filter(repository_id__in=repository_ids)
    return dict(counted.values_list("repository_id").annotate(number=Sum("pulls")).order_by())
