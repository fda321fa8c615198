"""How much is made."""

from dataclasses import dataclass

CROWDED_PROJECTS = 10
CROWD = 200  # members of each of those, as far as there are so many people


class ScaleError(Exception):
    """Numbers that don't go together; the text says why."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of things. Every repository has an artifact, every project a repository."""

    projects: int
    repositories: int
    artifacts: int
    users: int

    def check(self) -> None:
        """Raises ScaleError."""
        if self.users < 1 or self.projects < 1:
            raise ScaleError("there must be at least one project and one user")
        if not self.projects <= self.repositories <= self.artifacts:
            raise ScaleError("there can't be more projects than repositories, or more repositories than artifacts")

    @property
    def biggest_repository(self) -> int:
        """Artifacts of the one repository that is larger than all others."""
        return max(1, min(self.artifacts // 100, self.artifacts - self.repositories + 1))


SCALES = {
    "small": Scale(projects=10, repositories=200, artifacts=2_000, users=30),
    "medium": Scale(projects=100, repositories=10_000, artifacts=100_000, users=300),
    "large": Scale(projects=1_000, repositories=100_000, artifacts=1_000_000, users=2_000),
}


def shares(total: int, weights: list[float]) -> list[int]:
    """`total` things for len(weights) holders: one each, the rest by weight, and exactly `total` together."""
    rest, whole = total - len(weights), sum(weights)
    made: list[int] = []
    passed, given = 0.0, 0
    for weight in weights:
        passed += weight
        until = min(rest, int(rest * passed / whole + 1e-9))
        made.append(1 + until - given)
        given = until
    made[-1] += rest - given
    return made
