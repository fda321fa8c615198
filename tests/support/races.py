"""Several threads at one database at once, for tests of races on both databases."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from haven_core.db import backend
from haven_core.errors import Conflict

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
