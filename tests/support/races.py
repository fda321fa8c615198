"""Several threads at one database at once, for tests of races on both databases."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from haven_core.db import backend
from haven_core.errors import Conflict, HavenError

THREADS = 8


@pytest.fixture
def shared_database(tmp_path: Path, django_db_blocker: Any, transactional_db: None) -> Iterator[None]:
    """The tests' SQLite lies in memory, where connections lock each other out: a file instead. PostgreSQL as it is."""
    if connection.vendor != "sqlite":
        yield
        return
    settings, name = connections.settings["default"], connections.settings["default"]["NAME"]
    mine = connections["default"]
    connections["default"] = None  # type: ignore[assignment]
    del connections["default"]
    settings["NAME"] = str(tmp_path / "shared.sqlite3")
    backend._thread.__dict__.clear()  # it remembers this thread's connection
    call_command("migrate", verbosity=0)
    yield
    connections["default"].close()
    settings["NAME"] = name
    connections["default"] = mine
    backend._thread.__dict__.clear()


def at_once(action: Callable[[int], object]) -> list[object]:
    """The outcomes of THREADS calls that begin together; a Conflict is one."""
    barrier, outcomes = threading.Barrier(THREADS), []

    def run(number: int) -> None:
        barrier.wait()
        try:
            outcomes.append(action(number))
        except Conflict as error:
            outcomes.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == THREADS
    return outcomes


def overlap(
    monkeypatch: pytest.MonkeyPatch, pause: tuple[Any, str], first: Callable[[], object], second: Callable[[], object]
) -> tuple[object, object]:
    """Run `first` up to its call of the function that `pause` (module, name) names, inside its transaction, then `second`
    until PostgreSQL has it wait for a lock, or it is done; then let both end. What each returned, or the HavenError it
    raised. PostgreSQL only: on SQLite the second could not begin."""
    outcomes: dict[str, object] = {}
    reached, go_on = threading.Event(), threading.Event()
    paused = getattr(*pause)

    def wait_here(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread().name == "first" and not reached.is_set():
            reached.set()
            assert go_on.wait(30)
        return paused(*arguments, **named)

    def run(name: str, action: Callable[[], object]) -> None:
        try:
            outcomes[name] = action()
        except HavenError as error:
            outcomes[name] = error
        finally:
            connections.close_all()

    monkeypatch.setattr(*pause, wait_here)
    threads = [
        threading.Thread(target=run, args=(name, action), name=name)
        for name, action in (("first", first), ("second", second))
    ]
    threads[0].start()
    assert reached.wait(30), "the first never came to its pause"
    threads[1].start()
    while threads[1].is_alive() and not _somebody_waits():
        time.sleep(0.005)
    go_on.set()
    for thread in threads:
        thread.join(30)
    return outcomes["first"], outcomes["second"]


def _somebody_waits() -> bool:
    return bool(
        backend.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    )
