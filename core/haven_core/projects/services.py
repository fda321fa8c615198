"""Changing projects."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from haven_core.accounts.selectors import first_sysadmin_id
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.names import is_project_name
from haven_core.domain.roles import Role
from haven_core.errors import BadRequest, Conflict, ProjectInUse, ProjectUnknown
from haven_core.events.outbox import publish
from haven_core.projects.contents import end_unseen, repository_counts
from haven_core.projects.models import Project, ProjectMember
from haven_core.quotas.models import ProjectQuota
from haven_core.rbac.access import forget_access
from haven_core.robots.services import remove_project_robots

LIBRARY = "library"


def create_project(
    *,
    name: str,
    owner_id: int,
    is_public: bool = False,
    metadata: Mapping[str, str] | None = None,
    hard_bytes: int | None = None,
    created_by: str = "",
) -> int:
    """Create a project with its quota (hard_bytes: None is unlimited) and its owner as projectAdmin; returns its id.

    One transaction. Raises BadRequest for a name against the rule, Conflict when it is taken: decided by the unique
    constraint, so of two requests at once one gets it.
    """
    if not is_project_name(name):
        raise BadRequest(
            "the project name must have 1 to 255 lower-case letters and digits, single '.', '_' or '-' between them"
        )

    def write() -> int:
        now = timezone.now()
        values = {
            "name": name,
            "owner": owner_id,
            "is_public": is_public,
            "metadata": dict(metadata or {}),
            "created_at": now,
            "updated_at": now,
            "deleted_at": None,
        }
        rows = backend.insert(
            Project,
            list(values),
            [tuple(values.values())],
            on_conflict="(name) WHERE deleted_at IS NULL DO NOTHING",
        )
        if not rows:
            raise Conflict(f"the project named {name} already exists")
        project_id: int = rows[0][0]
        ProjectMember.objects.create(project_id=project_id, user_id=owner_id, role=Role.PROJECT_ADMIN, created_at=now)
        publish("project.created", now, project_id=project_id, name=name, by=created_by)
        ProjectQuota.objects.create(project_id=project_id, hard_bytes=hard_bytes)
        transaction.on_commit(forget_access)
        return project_id

    return run_write(write)


def ensure_library() -> None:
    """Make an installation's public project `library`, owned by its first administrator, unless it was ever made."""
    if Project.objects.filter(name=LIBRARY).exists():
        return
    try:
        create_project(name=LIBRARY, owner_id=first_sysadmin_id(), is_public=True)
    except Conflict:
        return  # another process of the same start was first


def delete_project(*, project_id: int, deleted_by: Actor) -> None:
    """Delete an empty project and its robots; its name is free again.

    Raises ProjectUnknown, ProjectInUse while it holds repositories.

    Locks: the project row, FOR UPDATE, against the KEY SHARE that a new repository takes on it; what lies inside is
    counted by the next statement, on a fresh snapshot. A repository's insert that waited finds the project deleted.
    """

    def write() -> None:
        now = timezone.now()
        live = Project.objects.filter(pk=project_id, deleted_at=None)
        rows = backend.locked(live.values_list("id", "name"), "UPDATE")
        if not rows:
            raise ProjectUnknown
        end_unseen(project_id)
        if repository_counts([project_id]).get(project_id):
            raise ProjectInUse
        remove_project_robots(project_id)
        live.update(deleted_at=now, updated_at=now)
        publish("project.deleted", now, project_id=project_id, name=rows[0][1], by=deleted_by.name)
        transaction.on_commit(forget_access)

    run_write(write)
