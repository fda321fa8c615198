"""The kinds of jobs there are, told by the rooms that do them: the core can't look upwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from haven_core.errors import NotFound

if TYPE_CHECKING:
    from haven_core.jobs.models import Execution
    from haven_core.jobs.run import Run

Work = Callable[["Run"], Mapping[str, Any] | None]
Follow = Callable[["Execution"], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job.

    name: Harbor's, such as GARBAGE_COLLECTION, or one of that form.
    work: does one task. It runs in a worker, outside any transaction; may run again after a crash, from the start or
        from what it saved (run.save), and must stand that; calls run.check() at least every second. What it returns is
        the task's result.
    attempts: how often a task is tried when it fails, counted since it last got on; retry_after: the wait before the
        second one, doubled each time.
    keep: finished executions that are kept for each subject (Harbor: 50).
    is_exclusive: at most one active execution for each subject.
    began, changed: called in the transaction that records an execution, and in each that changes the status of one, with
        its row as it is then. For a kind that keeps records of its own; no storage, no network.
    """

    name: str
    work: Work
    attempts: int = 3
    retry_after: timedelta = timedelta(seconds=30)
    keep: int = 50
    is_exclusive: bool = False
    began: Follow | None = None
    changed: Follow | None = None


_kinds: dict[str, Kind] = {}


def register_kind(kind: Kind) -> None:
    """At start, once for each kind."""
    _kinds[kind.name] = kind


def find_kind(name: str) -> Kind:
    """Raises NotFound for a kind that no room of this process does."""
    if name not in _kinds:
        raise NotFound(f"there are no jobs of kind {name}")
    return _kinds[name]


def kind_names() -> list[str]:
    """All kinds, sorted."""
    return sorted(_kinds)
