"""Reading groups."""

from dataclasses import dataclass

from haven_core.db.lists import Column, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_core.groups.models import GroupMembership, UserGroup

LISTING = Listing(
    filters={"group_name": Column("name"), "ldap_group_dn": Column("ldap_dn")}, sorts={}, order=("name", "id")
)


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


def list_groups(query: ListQuery) -> tuple[list[Group], int]:
    """A page of the groups, by name, and the number of all, narrowed by the keys of LISTING. Two SQL statements."""
    found = LISTING.narrow(UserGroup.objects.all(), query)
    rows = LISTING.page(found, query).values_list("id", "name", "kind", "ldap_dn")
    return [Group(*row) for row in rows], total(found)


def people_of(group_id: int) -> list[int]:
    """The ids of who is in a group, ascending."""
    return list(GroupMembership.objects.filter(group_id=group_id).order_by("user_id").values_list("user_id", flat=True))
