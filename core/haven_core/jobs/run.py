"""What the work of a job sees of its task: parameters, progress, log, and the question whether to go on."""

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from haven_core.jobs.errors import JobStopped, LeaseLost
from haven_core.jobs.leases import Claim, beat

BEAT_SECONDS = 1.0
"""How often a task asks whether it shall stop and shows its progress and log. A stop takes this and one step of work."""
FLUSH_LINES = 500
MAX_LOG_LINES = 1_000_000


class Run:
    """One attempt at a task. Its work calls check() between short steps, outside transactions; the rest may be called
    anywhere and costs no statement. Thread-safe."""

    def __init__(self, held: Claim, *, echo: Any = None) -> None:
        self._held, self._echo = held, echo
        self._phases: list[dict[str, Any]] = []
        self._buffer: list[str] = []
        self._unsaved: dict[str, Any] | None = None
        self._logged = 0
        self._lock, self._beating = threading.Lock(), threading.Lock()
        self._last_beat = time.monotonic()
        self._must_stop = self._is_lost = False

    @property
    def task_id(self) -> int:
        """The task's id."""
        return self._held.task_id

    @property
    def execution_id(self) -> int:
        """The execution's id."""
        return self._held.execution_id

    @property
    def subject_id(self) -> int:
        """What the execution is about; 0 for the whole registry."""
        return self._held.subject_id

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._held.attempt

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self._held.parameters

    @property
    def saved(self) -> Mapping[str, Any]:
        """What an attempt before this one saved; empty for the first."""
        return self._held.checkpoint

    def save(self, **checkpoint: Any) -> None:
        """Where the next attempt goes on if this one ends here, in values of JSON; only when there is something that it need
        not do again, since the attempts are counted from here. Written by the next flush, a second later at most."""
        with self._lock:
            self._unsaved = checkpoint

    def check(self) -> None:
        """Whether to go on. Raises JobStopped when somebody stopped the task, LeaseLost when it is no longer ours; let
        both pass. At most once in BEAT_SECONDS this writes (job_task, job_log), so never inside a transaction."""
        if time.monotonic() - self._last_beat >= BEAT_SECONDS or len(self._buffer) >= FLUSH_LINES:
            self.flush()
        if self._is_lost:
            raise LeaseLost
        if self._must_stop:
            raise JobStopped

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin the next part of the work; total: how many things it has, if that is known."""
        now = timezone.now().isoformat()
        with self._lock:
            if self._phases and self._phases[-1]["ended_at"] is None:
                self._phases[-1]["ended_at"] = now
            self._phases.append(
                {"name": name, "total": total, "done": 0, "bytes": 0, "started_at": now, "ended_at": None}
            )

    def expect(self, total: int) -> None:
        """So many things the phase has: for one that learns it only when it has begun."""
        with self._lock:
            self._phases[-1]["total"] = total

    def advance(self, done: int = 1, *, size: int = 0) -> None:
        """`done` more things of the phase are done, and `size` more bytes."""
        with self._lock:
            self._phases[-1]["done"] += done
            self._phases[-1]["bytes"] += size

    def info(self, message: str, **fields: Any) -> None:
        """A line in the log; fields are values of JSON and show beside the message."""
        self._log("INFO", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something went wrong and the work goes on."""
        self._log("WARNING", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something failed."""
        self._log("ERROR", message, fields)

    def flush(self, *, with_checkpoint: bool = True) -> None:
        """Write progress and log now, and learn whether to stop. Raises nothing of its own but what the database does; then the
        lines are kept for the next time, perhaps to be written twice.

        with_checkpoint: only on the connection that did the work, so that it is lost with it. A database that crashes may lose
        the last of what was done, and a checkpoint from before, written after, would pass over that.
        """
        with self._beating:
            with self._lock:
                lines, self._buffer = self._buffer, []
                checkpoint = None
                if with_checkpoint:
                    checkpoint, self._unsaved = self._unsaved, None
                phases = [dict(phase) for phase in self._phases]
            self._last_beat = time.monotonic()
            try:
                self._must_stop = beat(self._held, phases, "".join(lines), len(lines), checkpoint)
            except LeaseLost:
                self._is_lost = True
            except Exception:
                with self._lock:
                    self._buffer[:0] = lines
                raise

    def close_phase(self) -> None:
        """The work is over, well or not."""
        with self._lock:
            if self._phases and self._phases[-1]["ended_at"] is None:
                self._phases[-1]["ended_at"] = timezone.now().isoformat()

    def keep_alive(self, silence_seconds: float) -> None:
        """A heartbeat on behalf of work that is inside one long step. For the runner's thread."""
        if time.monotonic() - self._last_beat >= silence_seconds:
            self.flush(with_checkpoint=False)

    def _log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        entry = {"at": timezone.now().isoformat(timespec="milliseconds"), "level": level, "message": message, **fields}
        if self._echo is not None:
            self._echo(entry)
        with self._lock:
            self._logged += 1
            if self._logged <= MAX_LOG_LINES:
                self._buffer.append(json.dumps(entry, ensure_ascii=False, default=str) + "\n")
            elif self._logged == MAX_LOG_LINES + 1:
                self._buffer.append(
                    json.dumps({**entry, "message": "the log is full; what follows is not kept"}) + "\n"
                )
