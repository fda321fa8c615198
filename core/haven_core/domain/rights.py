"""What is granted without a role, to a robot or an auditor: pairs of resource and action in Harbor's vocabulary, by where
they hold. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from haven_core.domain.roles import ACTIONS, PULL, PUSH

Permission = tuple[str, str]  # resource, action: ("repository", "pull")

REPOSITORY = "repository"
_NOTHING: frozenset[Permission] = frozenset()


@dataclass(frozen=True, slots=True)
class Rights:
    """Permissions of the system, of every project, and of single projects by id."""

    system: frozenset[Permission] = _NOTHING
    everywhere: frozenset[Permission] = _NOTHING
    projects: Mapping[int, frozenset[Permission]] = field(default_factory=dict, hash=False)

    def on_system(self, resource: str, action: str) -> bool:
        """Whether a system permission was granted."""
        return (resource, action) in self.system

    def in_project(self, project_id: int, resource: str, action: str) -> bool:
        """Whether a permission was granted in the project, by its id or by `*`."""
        permission = (resource, action)
        return permission in self.everywhere or permission in self.projects.get(project_id, _NOTHING)

    def projects_with(self, resource: str, action: str) -> list[int]:
        """Ids of the projects that were named with the permission (`*` is in `everywhere`)."""
        return [project_id for project_id, granted in self.projects.items() if (resource, action) in granted]

    def repository_actions(self, project_id: int) -> frozenset[str]:
        """Of pull, push and delete, those granted on the repositories of a project."""
        return frozenset(action for action in ACTIONS if self.in_project(project_id, REPOSITORY, action))

    def cover(self, asked: "Rights") -> bool:
        """Whether nothing in `asked` goes beyond this: who holds rights may pass on no more than them."""
        return (
            asked.system <= self.system
            and asked.everywhere <= self.everywhere
            and all(
                granted <= self.everywhere | self.projects.get(project_id, _NOTHING)
                for project_id, granted in asked.projects.items()
            )
        )


NO_RIGHTS = Rights()


def with_implied_pull(granted: Iterable[Permission]) -> frozenset[Permission]:
    """On a robot of a project push implies pull; on a system robot it does not (Harbor)."""
    found = frozenset(granted)
    return found | {(REPOSITORY, PULL)} if (REPOSITORY, PUSH) in found else found
