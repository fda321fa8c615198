"""What lies in projects, told by the room that stores it: the core can't look upwards."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

EndUnseen = Callable[[int], None]
RepositoryCounts = Callable[[Collection[int]], Mapping[int, int]]
Totals = Callable[[Any], tuple[int, int]]
StoredBytes = Callable[[], int]

_counters: list[RepositoryCounts] = []
_endings: list[EndUnseen] = []
_totals: list[tuple[Totals, StoredBytes]] = []


def register_repository_counts(counts: RepositoryCounts) -> None:
    """At start, once: `counts(project ids)` gives the number of live repositories of those projects that have any, in
    one SQL statement. It runs inside the transaction that deletes a project, after its row is locked."""
    _counters[:] = [counts]


def register_end_unseen(end: EndUnseen) -> None:
    """At start, once: `end(project id)` removes what nobody sees from a project that is being deleted, in its
    transaction, before what is seen is counted."""
    _endings[:] = [end]


def end_unseen(project_id: int) -> None:
    """What uploads without a manifest left in a project."""
    for end in _endings:
        end(project_id)


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
