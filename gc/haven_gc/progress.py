"""How far a garbage collection is, for the case that its worker is killed."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from haven_core.jobs.run import Run
from haven_gc.collect import Place


class Progress:
    """What a run did so far. Its phases are numbered as they come; what is finished, phases and in them projects in the order
    of their ids, is saved with the place in the next project, and the next attempt goes on there: so a run gets to its end
    on a machine whose workers never live as long as it takes, even for one project, and while clients make more to
    collect. The totals may miss what was done in the last second before the kill."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.total = Counter[str](run.saved.get("total", {}))
        self.failed = set[int]()
        self._phase = 0
        # all phases before this one, and in it the projects up to this
        self._finished: tuple[int, int] = (run.saved.get("phase", 0), run.saved.get("project", 0))
        self._reached = _read_place(run.saved.get("reached"))
        self._lock = threading.Lock()

    def add(self, done: Mapping[str, int]) -> None:
        """Something was removed, or nothing. May be called by several threads."""
        if any(done.values()):
            with self._lock:
                self.total.update(done)
                self._save()

    def place(self, project_id: int) -> Place:
        """How far the project was when the attempt before ended. At its beginning what is due now, for all attempts: one that
        set itself a new end would never get there while clients delete."""
        reached, place = self._reached
        if reached != project_id or place is None:
            place = Place(0, timezone.now())
            self.reach(project_id, place)
        return place

    def reach(self, project_id: int, place: Place) -> None:
        """The project got that far."""
        with self._lock:
            self._reached = project_id, place
            self._save()

    def once(self, name: str, work: Callable[["Progress"], None]) -> None:
        """A phase that is one piece of work."""
        if self._enter():
            self.run.phase(name)
            work(self)
            self._finish(self._phase + 1, 0)

    def projects(self, name: str, project_ids: Iterable[int]) -> Iterator[int]:
        """A phase: those of the projects that are not finished, and did not fail before."""
        if self._enter():
            ids = [project_id for project_id in sorted(project_ids) if (self._phase, project_id) > self._finished]
            self.run.phase(name, total=len(ids))
            for project_id in ids:
                if project_id not in self.failed:
                    yield project_id
                self.run.advance()
                self._finish(self._phase, project_id)
            self._finish(self._phase + 1, 0)

    def _enter(self) -> bool:
        self._phase += 1
        return self._phase >= self._finished[0]

    def _finish(self, phase: int, project_id: int) -> None:
        """Behind a project that failed the next attempt begins there."""
        with self._lock:
            self._reached = 0, None
            if not self.failed:
                self._finished = (phase, project_id)
                self._save()

    def _save(self) -> None:
        """Not behind a failure: attempts are counted from the last save, and a project that always fails must use them up."""
        if self.failed:
            return
        phase, project_id = self._finished
        reached, place = self._reached
        where = place and {"project": reached, **place._asdict(), "until": place.until.isoformat()}
        self.run.save(phase=phase, project=project_id, reached=where, total=dict(self.total))


def _read_place(saved: Mapping[str, Any] | None) -> tuple[int, Place | None]:
    """The project, and its place."""
    if not saved:
        return 0, None
    return saved["project"], Place(
        saved["level"], datetime.fromisoformat(saved["until"]), saved.get("has_worked", True)
    )
