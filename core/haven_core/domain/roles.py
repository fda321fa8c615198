"""Harbor's roles in a project, and the actions of tokens. What a role may do is in haven_core.rbac.permissions."""

from collections.abc import Iterable
from enum import IntEnum

PULL, PUSH, DELETE = "pull", "push", "delete"
ACTIONS = (PULL, PUSH, DELETE)  # the order in which tokens and challenges name them: clients compare them as text


class Role(IntEnum):
    """Harbor's role ids, as its API shows them."""

    PROJECT_ADMIN = 1
    DEVELOPER = 2
    GUEST = 3
    MAINTAINER = 4
    LIMITED_GUEST = 5


NAMES = {
    Role.PROJECT_ADMIN: "projectAdmin",
    Role.MAINTAINER: "maintainer",
    Role.DEVELOPER: "developer",
    Role.GUEST: "guest",
    Role.LIMITED_GUEST: "limitedGuest",
}
BY_STRENGTH = tuple(NAMES)

# The API's id of a custom role is its own number and this: Harbor's five, and those it may add, stay apart from ours.
CUSTOM_ROLE_BASE = 1000


def strongest(roles: Iterable[int]) -> int:
    """The role that Harbor's `current_user_role_id` names: the strongest of the five, else a custom one, else 0."""
    held = set(roles)
    return next((int(role) for role in BY_STRENGTH if role in held), min(held, default=0))


def in_order(actions: frozenset[str]) -> list[str]:
    """`actions` in the order of ACTIONS; what is no repository action is left out."""
    return [action for action in ACTIONS if action in actions]
