"""Changing who belongs to a project.

Nobody gives or takes a role that may more than they may themselves there: with a custom role that manages members one
could otherwise make oneself everything.
"""

from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from haven_core.accounts.models import User
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.errors import BadRequest, Conflict, Forbidden, NotFound
from haven_core.events.outbox import publish
from haven_core.groups.models import UserGroup
from haven_core.members.selectors import Member, find_member
from haven_core.projects.models import ProjectMember
from haven_core.projects.selectors import ProjectView
from haven_core.rbac.access import forget_access
from haven_core.rbac.permissions import Permission
from haven_core.rbac.roles import GrantedRole, find_role
from haven_core.robots.permissions import is_grantable


class Candidate(NamedTuple):
    """Who is to become a member: the first of these that is set says it."""

    user_id: int = 0
    group_id: int = 0
    username: str = ""
    group_name: str = ""
    group_kind: int = 0
    ldap_dn: str = ""


def add_member(*, project: ProjectView, candidate: Candidate, role_id: int, added_by: Actor) -> int:
    """Make a person or a group a member, and return the membership's id.

    Raises BadRequest for a role that doesn't exist or when nobody is named, NotFound for one who doesn't exist, Conflict
    for a member, Forbidden for a role beyond one's own. Locks: the person's row, SHARE, against a delete that clears its
    memberships; a group's by the foreign key.
    """
    role = _givable(project, role_id, added_by)

    def write() -> int:
        user_id, group_id = _find(candidate)
        now = timezone.now()
        columns = ("project", "user", "group", "role", "custom_role", "created_at")
        values = (project.project_id, user_id, group_id, role.role, role.custom_role_id, now)
        rows = backend.insert(ProjectMember, columns, [values], on_conflict="DO NOTHING")
        if not rows:
            raise Conflict("the project member already exists")
        member_id: int = rows[0][0]
        _tell("member.created", project, member_id, role_id, added_by)
        return member_id

    return run_write(write)


def change_role(*, project: ProjectView, member_id: int, role_id: int, changed_by: Actor) -> None:
    """Give a member another role. Raises NotFound, BadRequest for a role that doesn't exist, Forbidden beyond one's own."""
    role = _givable(project, role_id, changed_by)

    def write() -> None:
        _takeable(project, member_id, changed_by)
        mine = ProjectMember.objects.filter(pk=member_id, project_id=project.project_id)
        mine.update(role=role.role, custom_role_id=role.custom_role_id)
        _tell("member.updated", project, member_id, role_id, changed_by)

    run_write(write)


def remove_member(*, project: ProjectView, member_id: int, removed_by: Actor) -> None:
    """End a membership. Raises NotFound; Forbidden for a member that may more than oneself."""

    def write() -> None:
        member = _takeable(project, member_id, removed_by)
        ProjectMember.objects.filter(pk=member_id, project_id=project.project_id).delete()
        _tell("member.deleted", project, member_id, member.role_id, removed_by)

    run_write(write)


def _takeable(project: ProjectView, member_id: int, actor: Actor) -> Member:
    """The member, its row locked against another change of its role until the end of the transaction."""
    mine = ProjectMember.objects.filter(pk=member_id, project_id=project.project_id)
    member = find_member(project.project_id, member_id) if backend.locked(mine.values_list("id"), "UPDATE") else None
    if member is None:
        raise NotFound(f"the project member {member_id} is not found")
    role = find_role(member.role_id)
    _check_within(project, role.permissions if role else frozenset(), actor)
    return member


def _givable(project: ProjectView, role_id: int, actor: Actor) -> GrantedRole:
    role = find_role(role_id)
    if role is None:
        raise BadRequest(f"the role {role_id} doesn't exist")
    _check_within(project, role.permissions, actor)
    return role


def _check_within(project: ProjectView, permissions: frozenset[Permission], actor: Actor) -> None:
    if actor.is_robot:  # what no robot can have says nothing of this one
        permissions = frozenset(one for one in permissions if is_grantable("project", (one.resource, one.action)))
    if not (actor.is_sysadmin or permissions <= project.permissions):
        raise Forbidden("the role may more than you may in this project")


def _find(candidate: Candidate) -> tuple[int | None, int | None]:
    """(user id, None) or (None, group id)."""
    if candidate.user_id or (candidate.username and not candidate.group_id):
        live = User.objects.filter(deleted_at=None)
        user = live.filter(pk=candidate.user_id) if candidate.user_id else live.filter(username=candidate.username)
        users = backend.locked(user.values_list("id"), "SHARE")
        if not users:
            raise NotFound(f"user {candidate.user_id or candidate.username} is not found")
        return users[0][0], None
    groups = UserGroup.objects.order_by("id")
    if candidate.group_id:
        groups = groups.filter(pk=candidate.group_id)
    elif candidate.ldap_dn:
        groups = groups.filter(ldap_dn=candidate.ldap_dn)
    elif candidate.group_name:
        groups = groups.filter(name=candidate.group_name, kind=candidate.group_kind or F("kind"))
    else:
        raise BadRequest("member_user or member_group must name somebody")
    group_id = groups.values_list("id", flat=True).first()
    if group_id is None:
        raise NotFound(f"group {candidate.group_id or candidate.ldap_dn or candidate.group_name} is not found")
    return None, group_id


def _tell(topic: str, project: ProjectView, member_id: int, role_id: int, actor: Actor) -> None:
    member = find_member(project.project_id, member_id)
    publish(
        topic,
        timezone.now(),
        project_id=project.project_id,
        project=project.name,
        member=member.entity_name if member else "",
        role_id=role_id,
        by=actor.name,
    )
    transaction.on_commit(forget_access)
