"""What a login may use of what its account has. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from haven_core.domain.rights import Permission

_P = TypeVar("_P", bound=Permission)


@dataclass(frozen=True, slots=True)
class Limit:
    """A cut through the rights of an account's roles.

    permissions: those that may be used, None is all of them. projects: ids of the only projects where they may, None is
    every one. What is public stays so: nobody has that from an account.
    """

    permissions: frozenset[Permission] | None = None
    projects: frozenset[int] | None = None

    def allows(self, permission: Permission) -> bool:
        """Whether the permission may be used somewhere."""
        return self.permissions is None or permission in self.permissions

    def cut(self, project_id: int, held: Collection[_P]) -> frozenset[_P]:
        """What of the permissions held in a project may be used."""
        if self.projects is not None and project_id not in self.projects:
            return frozenset()
        return frozenset(held) if self.permissions is None else frozenset(one for one in held if self.allows(one))


UNLIMITED = Limit()
