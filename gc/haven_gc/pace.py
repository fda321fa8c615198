"""How hard collection presses: at full speed alone, and little of the time while others use the database.

Two processes on one processor core slow each other down however they are ranked, and a session of PostgreSQL can't be ranked
at all. What a client feels of a collection is how much of the time it runs; so beside clients it rests most of it.
"""

import time

from haven_core.db import backend

LOOK_SECONDS = 0.25
COMPANY = 2
"""So many other sessions that said something lately are company: one may be another collector, or the scheduler's."""
REST_RATIO = 6.0
MAX_REST_SECONDS = 1.2


class Pace:
    """Rests between the steps of one run, for one thread."""

    def __init__(self) -> None:
        self._looked = self._rested = time.monotonic()
        self._has_company = False

    def rest(self) -> None:
        """Call between two steps, in no transaction. Takes REST_RATIO times what the step took, MAX_REST_SECONDS at most,
        and nothing when nobody else is there. SQLite does not tell who is: nothing there."""
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._has_company = backend.busy_sessions(within_seconds=2 * LOOK_SECONDS) >= COMPANY
        if self._has_company:
            time.sleep(min(MAX_REST_SECONDS, REST_RATIO * (now - self._rested)))
        self._rested = time.monotonic()
