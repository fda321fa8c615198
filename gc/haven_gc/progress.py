"""How far a garbage collection is, for the case that its worker is killed."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from haven_core.jobs.run import Run


class Progress:
    """What a run did so far. Its phases are numbered as they come; what is finished, phases and in them projects in the order
    of their ids, is saved, and the next attempt passes over it: so a run gets to its end on a machine whose workers
    never live as long as it takes. The totals may miss what was done in the last second before the kill."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.total = Counter[str](run.saved.get("total", {}))
        self.failed = set[int]()
        self._phase = 0
        # all phases before this one, and in it the projects up to this
        self._finished: tuple[int, int] = (run.saved.get("phase", 0), run.saved.get("project", 0))
        self._lock = threading.Lock()

    def add(self, done: Mapping[str, int]) -> None:
        """Something was removed, or nothing. May be called by several threads."""
        if any(done.values()):
            with self._lock:
                self.total.update(done)
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
            if not self.failed:
                self._finished = (phase, project_id)
                self._save()

    def _save(self) -> None:
        """Not behind a failure: attempts are counted from the last save, and a project that always fails must use them up."""
        if self.failed:
            return
        phase, project_id = self._finished
        self.run.save(phase=phase, project=project_id, total=dict(self.total))
