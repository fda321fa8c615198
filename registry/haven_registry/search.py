"""Finding repositories by a part of their name, and adding up what there is. Reads only."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, Sum

from haven_core.domain.actor import Actor
from haven_core.rbac.access import projects_allowing
from haven_core.rbac.permissions import Action, Permission, Resource
from haven_registry.models import Blob, Manifest, PullDaily, Repository

_LIST = Permission(Resource.REPOSITORY, Action.LIST)


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


def search_repositories(actor: Actor, text: str, *, limit: int) -> list[FoundByName]:
    """The first `limit` repositories, by name, that the actor may list, whose full name contains `text` in any case. Three
    statements, and one more for who is somebody but no system administrator.

    Names have no capitals: text without them finds the same as a comparison that ignores case, in a third of the time.
    """
    found = list(
        Repository.objects.filter(
            deleted_at=None,
            full_name__contains=text.lower(),
            project_id__in=projects_allowing(actor, _LIST).values("id"),
        )
        .order_by("full_name")
        .values_list("id", "full_name", "project_id", "project__name", "project__is_public")[:limit]
    )
    ids = [row[0] for row in found]
    artifacts, pulls = _artifacts(ids), _pulls(ids)
    return [FoundByName(*row, artifacts.get(row[0], 0), pulls.get(row[0], 0)) for row in found]


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


def _artifacts(repository_ids: Collection[int]) -> dict[int, int]:
    live = Manifest.objects.filter(repository_id__in=repository_ids, deleted_at=None)
    return dict(live.values_list("repository_id").annotate(number=Count("id")).order_by())


def _pulls(repository_ids: Collection[int]) -> dict[int, int]:
    counted = PullDaily.objects.filter(repository_id__in=repository_ids)
    return dict(counted.values_list("repository_id").annotate(number=Sum("pulls")).order_by())
