"""What lies in projects, told by the room that stores it: the core can't look upwards."""

from collections.abc import Callable, Collection, Mapping

RepositoryCounts = Callable[[Collection[int]], Mapping[int, int]]

_counters: list[RepositoryCounts] = []


def register_repository_counts(counts: RepositoryCounts) -> None:
    """At start, once: `counts(project ids)` gives the number of live repositories of those projects that have any, in
    one SQL statement. It runs inside the transaction that deletes a project, after its row is locked."""
    _counters[:] = [counts]


def repository_counts(project_ids: Collection[int]) -> Mapping[int, int]:
    """Live repositories by project id; projects without one may be missing."""
    return _counters[0](project_ids) if _counters and project_ids else {}
