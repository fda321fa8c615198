"""Changing labels."""

from django.db import IntegrityError
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest, Conflict, NotFound, ProjectUnknown
from haven_core.labels.models import Label
from haven_core.projects.models import Project

MAX_NAME, MAX_DESCRIPTION, MAX_COLOR = 128, 2048, 16


def create_label(*, project_id: int | None, name: str, description: str = "", color: str = "") -> int:
    """Make a label of a live project, or a global one; returns its id. Raises BadRequest, ProjectUnknown, Conflict when the
    name is taken there: decided by the unique constraint. Lock: the project (KEY SHARE)."""
    _check(name, description, color)

    def write() -> int:
        now = timezone.now()
        if project_id is not None:
            live = Project.objects.filter(id=project_id, deleted_at=None)
            if not backend.locked(live.values_list("id"), "KEY SHARE"):
                raise ProjectUnknown
        rows = backend.insert(
            Label, ["project", "name", "description", "color", "created_at", "updated_at"],
            [(project_id, name, description, color, now, now)], on_conflict="DO NOTHING",
        )  # fmt: skip
        if not rows:
            raise Conflict(f"label {name} already exists")
        return int(rows[0][0])

    return run_write(write)


def update_label(*, label_id: int, name: str, description: str, color: str) -> None:
    """Replace what a label says; where it belongs never changes. Raises BadRequest, NotFound, Conflict."""
    _check(name, description, color)

    def write() -> None:
        changed = Label.objects.filter(id=label_id).update(
            name=name, description=description, color=color, updated_at=timezone.now()
        )
        if not changed:
            raise NotFound(f"label {label_id} not found")

    try:
        run_write(write)
    except IntegrityError:  # the one constraint that this can break is the name's
        raise Conflict(f"label {name} already exists") from None


def delete_label(*, label_id: int) -> None:
    """Remove a label. Raises NotFound."""

    def write() -> None:
        if not Label.objects.filter(id=label_id).delete()[0]:
            raise NotFound(f"label {label_id} not found")

    run_write(write)


def _check(name: str, description: str, color: str) -> None:
    for what, text, longest in (
        ("name", name, MAX_NAME), ("description", description, MAX_DESCRIPTION), ("color", color, MAX_COLOR),
    ):  # fmt: skip
        if len(text) > longest:
            raise BadRequest(f"the {what} of a label has at most {longest} characters")
    if not name.strip():
        raise BadRequest("a label needs a name")
