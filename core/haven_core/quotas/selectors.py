"""Reading quotas."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.quotas.models import ProjectQuota
from haven_core.rbac.permissions import Action, InProject, Resource, evaluate

LISTING = Listing(
    filters={"reference_id": Column("project_id", Kind.NUMBER), "id": Column("project_id", Kind.NUMBER)},
    sorts={
        "id": "project_id", "hard.storage": "limit", "used.storage": "used_bytes",
        "creation_time": "project__created_at", "update_time": "changed_at",
    },
    order=("project_id",),
)  # fmt: skip
_UNLIMITED = 2**62  # sorts above every limit, on both databases


class MeasuredProject(InProject, Protocol):
    """A project as projects.selectors read it for the caller."""

    @property
    def project_id(self) -> int:
        """Its id."""


@dataclass(frozen=True, slots=True)
class QuotaView:
    """What a project may use and uses, in bytes; hard_bytes None: unlimited. A quota has its project's id."""

    project_id: int
    project_name: str
    owner_name: str
    hard_bytes: int | None
    used_bytes: int
    created_at: datetime
    updated_at: datetime


def list_quotas(actor: Actor, query: ListQuery) -> tuple[list[QuotaView], int]:
    """A page of the quotas of live projects, and the number of all; nothing for who may not list them. Two
    statements."""
    found = LISTING.narrow(_visible(actor, Action.LIST), query)
    return _views(LISTING.page(found, query)), total(found)


def find_quota(actor: Actor, project_id: int) -> QuotaView | None:
    """The quota of a live project, for who may read all of them."""
    views = _views(_visible(actor, Action.READ).filter(project_id=project_id)[:1])
    return views[0] if views else None


def quota_of(project_id: int) -> tuple[int | None, int]:
    """(hard_bytes, used_bytes) of a project the caller has authorised."""
    hard, used = ProjectQuota.objects.values_list("hard_bytes", "used_bytes").get(project_id=project_id)
    return hard, used


def usage_of(actor: Actor, projects: "Collection[MeasuredProject]") -> dict[int, tuple[int | None, int]]:
    """(hard_bytes, used_bytes) by project id, for those of `projects` whose quota the actor may read there. One
    statement, or none."""
    readable = [one.project_id for one in projects if evaluate(actor, Resource.QUOTA, Action.READ, one)]
    if not readable:
        return {}
    rows = ProjectQuota.objects.filter(project_id__in=readable).values_list("project_id", "hard_bytes", "used_bytes")
    return {project_id: (hard, used) for project_id, hard, used in rows}


def _visible(actor: Actor, action: Action) -> "QuerySet[ProjectQuota, Any]":
    quotas = ProjectQuota.objects.filter(project__deleted_at=None)
    if not evaluate(actor, Resource.QUOTA, action):
        quotas = quotas.none()
    return quotas.annotate(
        limit=Coalesce("hard_bytes", _UNLIMITED), changed_at=Coalesce("limited_at", "project__created_at")
    )


def _views(quotas: "QuerySet[ProjectQuota, Any]") -> list[QuotaView]:
    columns = (
        "project_id", "project__name", F("project__owner__username"), "hard_bytes", "used_bytes",
        "project__created_at", "changed_at",
    )  # fmt: skip
    return [QuotaView(row[0], row[1], row[2] or "", *row[3:]) for row in quotas.values_list(*columns)]
