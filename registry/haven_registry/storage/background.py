"""One call at a time beside the caller: the part of a write that need not be waited for."""

import threading
from collections.abc import Callable


class Background:
    """Runs one call on a thread of its own while its owner goes on; the owner collects the outcome.

    A thread per call, not a pool: calls are rare (one for some MiB), and a pool made before a fork is dead after it.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def is_idle(self) -> bool:
        """Whether no call is running."""
        return self._thread is None or not self._thread.is_alive()

    def start(self, call: Callable[[], object]) -> None:
        """Begin `call` after the one before has ended. Raises what that one raised. Where there is no room for a thread the
        caller waits."""
        self.wait()
        thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._run(call)
        else:
            self._thread = thread

    def wait(self) -> None:
        """Return when no call is running. Raises what the last one raised, once."""
        self.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def join(self) -> None:
        """Return when no call is running, whatever came of it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - not swallowed: the owner gets it from wait()
            self._error = error
