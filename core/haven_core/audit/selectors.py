"""Reading the audit log: a system administrator all of it, others that of the projects they administer."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from haven_core.audit.models import AuditLog
from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.rbac.access import projects_permitting
from haven_core.rbac.permissions import Action, Permission, Resource, evaluate

_SORTS = {
    "id": "id", "op_time": "op_time", "creation_time": "op_time", "username": "username", "operation": "operation",
    "resource": "resource", "resource_type": "resource_type",
}  # fmt: skip

LISTING = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "op_time": Column("op_time", Kind.MOMENT),
        "username": Column("username"),
        "address": Column("address"),
        "operation": Column("operation"),
        "resource": Column("resource"),
        "resource_type": Column("resource_type"),
        "operation_result": Column("is_success", Kind.BOOLEAN),
        "operation_description": Column("description"),
        "project_id": Column("project_id", Kind.NUMBER),
    },
    sorts=_SORTS,
    order=("-op_time", "-id"),
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the log."""

    id: int
    op_time: datetime
    username: str
    address: str
    operation: str
    resource_type: str
    resource: str
    description: str
    is_success: bool


def list_entries(actor: Actor, query: ListQuery, *, project_id: int | None = None) -> tuple[list[AuditEntry], int]:
    """A page of what the actor may read, and the number of all; project_id narrows it to one project. Two statements, and
    two more for who is no system administrator."""
    found = LISTING.narrow(_visible(actor), query)
    if project_id is not None:
        found = found.filter(project_id=project_id)
    rows = LISTING.page(found, query).values_list(
        "id", "op_time", "username", "address", "operation", "resource_type", "resource", "description", "is_success"
    )
    return [AuditEntry(*row) for row in rows], total(found)


def _visible(actor: Actor) -> "QuerySet[AuditLog, AuditLog]":
    if evaluate(actor, Resource.AUDIT_LOG, Action.LIST):
        return AuditLog.objects.all()
    # fetched first: the planner knows how much is in each project, but not in those that a subquery will find
    mine = projects_permitting(actor, Permission(Resource.LOG, Action.LIST))
    return AuditLog.objects.filter(project_id__in=[project_id for row in mine for project_id in row.values()])
