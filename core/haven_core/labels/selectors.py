"""Reading labels. Who may see those of a project is the caller's to ask; the global ones are everybody's."""

from dataclasses import dataclass
from datetime import datetime

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_core.labels.models import Label

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


def list_labels(project_id: int | None, query: ListQuery) -> tuple[list[LabelView], int]:
    """A page of the labels of a project, or of the global ones, and the number of all. Two statements."""
    labels = Label.objects.filter(project=None) if project_id is None else Label.objects.filter(project_id=project_id)
    found = LISTING.narrow(labels, query)
    return [LabelView(*row) for row in LISTING.page(found, query).values_list(*_COLUMNS)], total(found)


def find_label(label_id: int) -> LabelView | None:
    """A label by id, unless its project is deleted."""
    row = Label.objects.filter(id=label_id, project__deleted_at=None).values_list(*_COLUMNS).first()
    return LabelView(*row) if row else None
