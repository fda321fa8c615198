"""Reading groups."""

from dataclasses import dataclass

from haven_core.groups.models import GroupMembership, UserGroup


@dataclass(frozen=True, slots=True)
class Group:
    """A group. kind: Harbor's group_type."""

    group_id: int
    name: str
    kind: int
    ldap_dn: str


def find_group(group_id: int) -> Group | None:
    """A group by id."""
    row = UserGroup.objects.filter(pk=group_id).values_list("id", "name", "kind", "ldap_dn").first()
    return Group(*row) if row else None


def list_groups(*, containing: str, offset: int, limit: int) -> tuple[list[Group], int]:
    """A page of the groups whose names contain a text, by name, and the number of all such. Two SQL statements."""
    found = UserGroup.objects.filter(name__icontains=containing) if containing else UserGroup.objects.all()
    rows = found.order_by("name", "id").values_list("id", "name", "kind", "ldap_dn")[offset : offset + limit]
    return [Group(*row) for row in rows], found.count()


def people_of(group_id: int) -> list[int]:
    """The ids of who is in a group, ascending."""
    return list(GroupMembership.objects.filter(group_id=group_id).order_by("user_id").values_list("user_id", flat=True))
