"""Roles as the API numbers them: Harbor's five, and custom ones from CUSTOM_ROLE_BASE on. Reading and changing."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.roles import CUSTOM_ROLE_BASE, NAMES, Role
from haven_core.errors import BadRequest, Conflict, InUse, NotFound
from haven_core.events.outbox import publish
from haven_core.projects.models import ProjectMember
from haven_core.rbac.access import forget_access, parse_permissions
from haven_core.rbac.models import CustomRole
from haven_core.rbac.permissions import BY_ROLE, Permission

MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class GrantedRole:
    """A role a member can have: one of Harbor's (role) or a custom one (custom_role_id)."""

    role_id: int
    name: str
    description: str
    permissions: frozenset[Permission]
    role: int | None
    custom_role_id: int | None


def list_roles() -> list[GrantedRole]:
    """All roles, Harbor's first. One SQL statement; there are few."""
    fixed = [GrantedRole(int(role), name, "", BY_ROLE[role], int(role), None) for role, name in NAMES.items()]
    return fixed + [_custom(row) for row in CustomRole.objects.order_by("id")]


def find_role(role_id: int) -> GrantedRole | None:
    """A role by its number."""
    if role_id in set(Role):
        return GrantedRole(role_id, NAMES[Role(role_id)], "", BY_ROLE[Role(role_id)], role_id, None)
    row = CustomRole.objects.filter(pk=role_id - CUSTOM_ROLE_BASE).first() if role_id > CUSTOM_ROLE_BASE else None
    return _custom(row) if row else None


def create_role(*, name: str, description: str, permissions: Collection[str], created_by: Actor) -> int:
    """Make a role of "resource:action" texts and return its number. Raises BadRequest, Conflict for a taken name."""
    values = (name, description, _checked(name, permissions), timezone.now(), timezone.now())

    def write() -> int:
        columns = ("name", "description", "permissions", "created_at", "updated_at")
        rows = backend.insert(CustomRole, columns, [values], on_conflict="(name) DO NOTHING")
        if not rows:
            raise Conflict(f"the role named {name} already exists")
        publish("role.created", timezone.now(), role_id=CUSTOM_ROLE_BASE + rows[0][0], name=name, by=created_by.name)
        return CUSTOM_ROLE_BASE + int(rows[0][0])

    return run_write(write)


def update_role(*, role_id: int, name: str, description: str, permissions: Collection[str], updated_by: Actor) -> None:
    """Replace a custom role. Its members may what it says now, less within access.STALENESS_SECONDS.

    Raises BadRequest, NotFound, Conflict for a taken name.
    """
    texts = _checked(name, permissions)

    def write() -> None:
        now = timezone.now()
        mine = CustomRole.objects.filter(pk=role_id - CUSTOM_ROLE_BASE)
        if not mine.update(name=name, description=description, permissions=texts, updated_at=now):
            raise NotFound(f"the custom role {role_id} is not found")
        publish("role.updated", now, role_id=role_id, name=name, by=updated_by.name)
        transaction.on_commit(forget_access)

    try:
        run_write(write)
    except IntegrityError:
        raise Conflict(f"the role named {name} already exists") from None


def delete_role(*, role_id: int, deleted_by: Actor) -> None:
    """Delete a custom role nobody has. Raises NotFound, InUse; the foreign key decides a race with a new member."""

    def write() -> None:
        rows = backend.locked(
            CustomRole.objects.filter(pk=role_id - CUSTOM_ROLE_BASE).values_list("id", "name"), "UPDATE"
        )
        if not rows:
            raise NotFound(f"the custom role {role_id} is not found")
        if ProjectMember.objects.filter(custom_role_id=rows[0][0]).exists():
            raise InUse("members have the role, it can not be deleted")
        CustomRole.objects.filter(pk=rows[0][0]).delete()
        publish("role.deleted", timezone.now(), role_id=role_id, name=rows[0][1], by=deleted_by.name)

    run_write(write)


def _custom(row: CustomRole) -> GrantedRole:
    granted = parse_permissions(row.permissions)
    return GrantedRole(CUSTOM_ROLE_BASE + row.pk, row.name, row.description, granted, None, row.pk)


def _checked(name: str, permissions: Collection[str]) -> list[str]:
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise BadRequest(f"the role's name must have 1 to {MAX_NAME} printable characters")
    if name in NAMES.values():
        raise Conflict(f"the role named {name} already exists")
    texts = sorted(set(permissions))
    if len(parse_permissions(texts)) != len(texts):
        raise BadRequest("a permission of the role is none that exists in a project")
    return texts
