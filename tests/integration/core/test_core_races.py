"""Two at once, on a database that several connections share."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from haven_core.accounts.models import User
from haven_core.accounts.services import create_user, ensure_admin
from haven_core.errors import Conflict
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.services import create_project
from haven_core.quotas.models import ProjectQuota

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
    call_command("migrate", verbosity=0)
    yield
    connections["default"].close()
    settings["NAME"] = name
    connections["default"] = mine


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


def test_one_of_many_gets_the_project_name(shared_database: None) -> None:
    owner_id = create_user(username="owner", password="Correct1horse")
    outcomes = at_once(lambda number: create_project(name="p", owner_id=owner_id, hard_bytes=number))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Conflict)]) == THREADS - 1
    assert [Project.objects.count(), ProjectQuota.objects.count(), ProjectMember.objects.count()] == [1, 1, 1]


def test_one_of_many_gets_the_user_name(shared_database: None) -> None:
    outcomes = at_once(lambda _: create_user(username="ann", password="Correct1horse"))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Conflict)]) == THREADS - 1
    assert User.objects.count() == 1


def test_one_first_administrator(shared_database: None) -> None:
    outcomes = at_once(lambda _: ensure_admin(None))
    assert len([outcome for outcome in outcomes if outcome]) == 1  # the password that is shown is the one that works
    assert User.objects.count() == 1
