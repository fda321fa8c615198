"""Changing groups. With local accounts nobody else knows who is in a group, so Haven keeps that too."""

from collections.abc import Collection
from enum import IntEnum

from django.db import IntegrityError, transaction
from django.utils import timezone

from haven_core.accounts.models import User
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.errors import BadRequest, Conflict, NotFound
from haven_core.events.outbox import publish
from haven_core.groups.models import GroupMembership, UserGroup
from haven_core.projects.models import ProjectMember
from haven_core.rbac.access import forget_access

MAX_NAME = 255


class Kind(IntEnum):
    """Harbor's group_type."""

    LDAP = 1
    HTTP = 2
    OIDC = 3


def create_group(*, name: str, kind: int, created_by: Actor) -> int:
    """Make a group and return its id. Raises BadRequest for a bad name or kind (LDAP groups come from a directory, and
    none is configured), Conflict when the name is taken among its kind."""
    if kind not in (Kind.HTTP, Kind.OIDC):
        raise BadRequest("group_type must be 2 (HTTP) or 3 (OIDC); there is no LDAP directory")
    checked = _checked(name)

    def write() -> int:
        columns = ("name", "kind", "ldap_dn", "created_at")
        rows = backend.insert(
            UserGroup, columns, [(checked, kind, "", timezone.now())], on_conflict="(name, kind) DO NOTHING"
        )
        if not rows:
            raise Conflict(f"the user group {checked} already exists")
        publish("group.created", timezone.now(), group_id=rows[0][0], name=checked, by=created_by.name)
        return int(rows[0][0])

    return run_write(write)


def rename_group(*, group_id: int, name: str, renamed_by: Actor) -> None:
    """Raises BadRequest, NotFound, Conflict when the name is taken."""
    checked = _checked(name)

    def write() -> None:
        if not UserGroup.objects.filter(pk=group_id).update(name=checked):
            raise NotFound(f"the user group {group_id} is not found")
        publish("group.updated", timezone.now(), group_id=group_id, name=checked, by=renamed_by.name)

    try:
        run_write(write)
    except IntegrityError:
        raise Conflict(f"the user group {checked} already exists") from None


def delete_group(*, group_id: int, deleted_by: Actor) -> None:
    """Delete a group and every membership, in it and of it. Raises NotFound.

    Locks: the group's row, FOR UPDATE, against the KEY SHARE that a new membership takes on it.
    """

    def write() -> None:
        rows = backend.locked(UserGroup.objects.filter(pk=group_id).values_list("id", "name"), "UPDATE")
        if not rows:
            raise NotFound(f"the user group {group_id} is not found")
        ProjectMember.objects.filter(group_id=group_id).delete()
        GroupMembership.objects.filter(group_id=group_id).delete()
        UserGroup.objects.filter(pk=group_id).delete()
        publish("group.deleted", timezone.now(), group_id=group_id, name=rows[0][1], by=deleted_by.name)
        transaction.on_commit(forget_access)

    run_write(write)


def set_people(*, group_id: int, user_ids: Collection[int], set_by: Actor) -> None:
    """Say who is in a group. Raises NotFound for the group, BadRequest for somebody who doesn't exist.

    Locks: the people's rows, SHARE, in the order of their ids, then the group's, so that two lists don't mix.
    """
    wanted = sorted(set(user_ids))

    def write() -> None:
        people = User.objects.filter(pk__in=wanted, deleted_at=None).order_by("id")
        if len(backend.locked(people.values_list("id"), "SHARE")) != len(wanted):
            raise BadRequest("a user of the list doesn't exist")
        rows = backend.locked(UserGroup.objects.filter(pk=group_id).values_list("id", "name"), "NO KEY UPDATE")
        if not rows:
            raise NotFound(f"the user group {group_id} is not found")
        GroupMembership.objects.filter(group_id=group_id).exclude(user_id__in=wanted).delete()
        backend.insert(
            GroupMembership, ("group", "user"), [(group_id, user_id) for user_id in wanted], on_conflict="DO NOTHING"
        )
        publish("group.updated", timezone.now(), group_id=group_id, name=rows[0][1], by=set_by.name)
        transaction.on_commit(forget_access)

    run_write(write)


def _checked(name: str) -> str:
    name = name.strip()
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise BadRequest(f"group_name must have 1 to {MAX_NAME} printable characters")
    return name
