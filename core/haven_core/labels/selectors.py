"""Reading labels, those of a project for who may list them; the global ones are everybody's."""

from dataclasses import dataclass
from datetime import datetime

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.labels.models import Label
from haven_core.rbac.access import projects_allowing
from haven_core.rbac.permissions import Action, Permission, Resource

LISTING = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "name": Column("name"),
        "description": Column("description"),
        "color": Column("color"),
        "creation_time": Column("created_at", Kind.MOMENT),
        "update_time": Column("updated_at", Kind.MOMENT),
    },
    sorts={"id": "id", "name": "name", "creation_time": "created_at", "update_time": "updated_at"},
    order=("name", "id"),
)
_COLUMNS = ("id", "name", "description", "color", "project_id", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class LabelView:
    """A label; project_id None: a global one."""

    id: int
    name: str
    description: str
    color: str
    project_id: int | None
    created_at: datetime
    updated_at: datetime


def list_labels(actor: Actor, project_id: int | None, query: ListQuery) -> tuple[list[LabelView], int]:
    """A page of the labels of a project, or of the global ones, and the number of all; none of a project where the actor
    may not list them. Two statements, and one more for who is somebody but no system administrator."""
    if project_id is None:
        labels = Label.objects.filter(project=None)
    else:
        allowing = projects_allowing(actor, Permission(Resource.LABEL, Action.LIST))
        labels = Label.objects.filter(project_id=project_id, project__in=allowing)
    found = LISTING.narrow(labels, query)
    return [LabelView(*row) for row in LISTING.page(found, query).values_list(*_COLUMNS)], total(found)


def find_label(label_id: int) -> LabelView | None:
    """A label by id, unless its project is deleted. Who may see it is the caller's to ask."""
    row = Label.objects.filter(id=label_id, project__deleted_at=None).values_list(*_COLUMNS).first()
    return LabelView(*row) if row else None
