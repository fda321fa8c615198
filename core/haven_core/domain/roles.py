"""Roles in a project and what each may do with its repositories (Harbor's fixed matrix; no custom roles)."""

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


_EVERYTHING = frozenset(ACTIONS)
_BY_ROLE = {
    Role.PROJECT_ADMIN: _EVERYTHING,
    Role.MAINTAINER: _EVERYTHING,
    Role.DEVELOPER: frozenset({PULL, PUSH}),
    Role.GUEST: frozenset({PULL}),
    Role.LIMITED_GUEST: frozenset({PULL}),
}


def repository_actions(role: int | None, *, is_public: bool, is_sysadmin: bool) -> frozenset[str]:
    """What a member with `role` (None: no member) may do with the repositories of a project."""
    if is_sysadmin:
        return _EVERYTHING
    granted = _BY_ROLE[Role(role)] if role is not None else frozenset()
    return granted | {PULL} if is_public else granted


def in_order(actions: frozenset[str]) -> list[str]:
    """`actions` in the order of ACTIONS; what is no repository action is left out."""
    return [action for action in ACTIONS if action in actions]
