"""What lies in projects, told by the room that stores it: the core can't look upwards."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

RepositoryCounts = Callable[[Collection[int]], Mapping[int, int]]
Totals = Callable[[Any], tuple[int, int]]
StoredBytes = Callable[[], int]

_counters: list[RepositoryCounts] = []
_totals: list[tuple[Totals, StoredBytes]] = []


def register_repository_counts(counts: RepositoryCounts) -> None:
    """At start, once: `counts(project ids)` gives the number of live repositories of those projects that have any, in
    one SQL statement. It runs inside the transaction that deletes a project, after its row is locked."""
    _counters[:] = [counts]


def repository_counts(project_ids: Collection[int]) -> Mapping[int, int]:
    """Live repositories by project id; projects without one may be missing."""
    return _counters[0](project_ids) if _counters and project_ids else {}


def register_totals(totals: Totals, stored_bytes: StoredBytes) -> None:
    """At start, once. `totals(projects)`: live repositories in the private and in the public ones of a queryset of
    projects. `stored_bytes()`: bytes of all blobs, each counted once."""
    _totals[:] = [(totals, stored_bytes)]


def repository_totals(projects: Any) -> tuple[int, int]:
    """Live repositories in the private and in the public projects of a queryset."""
    return _totals[0][0](projects) if _totals else (0, 0)


def stored_bytes() -> int:
    """Bytes of all blobs, each counted once."""
    return _totals[0][1]() if _totals else 0
