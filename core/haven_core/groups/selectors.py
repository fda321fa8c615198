"""Reading groups, only ever those the caller may see."""

from dataclasses import dataclass

from django.db.models import QuerySet

from haven_core.db.lists import Column, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.groups.models import GroupMembership, UserGroup
from haven_core.rbac.permissions import Action, Resource, evaluate

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


def find_group(actor: Actor, group_id: int) -> Group | None:
    """A group by id, for who may read groups."""
    row = _reachable(actor, Action.READ).filter(pk=group_id).values_list("id", "name", "kind", "ldap_dn").first()
    return Group(*row) if row else None


def list_groups(actor: Actor, query: ListQuery) -> tuple[list[Group], int]:
    """A page of the groups, by name, and the number of all, narrowed by the keys of LISTING; nothing for who may not list
    them. Two SQL statements."""
    return _page(_reachable(actor, Action.LIST), query)


def search_groups(actor: Actor, query: ListQuery) -> tuple[list[Group], int]:
    """The same for whoever is logged in: they make members of them."""
    return _page(UserGroup.objects.none() if actor.is_anonymous else UserGroup.objects.all(), query)


def people_of(actor: Actor, group_id: int) -> list[int]:
    """The ids of who is in a group, ascending; nobody for who may not read groups."""
    people = GroupMembership.objects.filter(group__in=_reachable(actor, Action.READ), group_id=group_id)
    return list(people.order_by("user_id").values_list("user_id", flat=True))


def _page(groups: "QuerySet[UserGroup, UserGroup]", query: ListQuery) -> tuple[list[Group], int]:
    found = LISTING.narrow(groups, query)
    rows = LISTING.page(found, query).values_list("id", "name", "kind", "ldap_dn")
    return [Group(*row) for row in rows], total(found)


def _reachable(actor: Actor, action: Action) -> "QuerySet[UserGroup, UserGroup]":
    return UserGroup.objects.all() if evaluate(actor, Resource.USER_GROUP, action) else UserGroup.objects.none()
