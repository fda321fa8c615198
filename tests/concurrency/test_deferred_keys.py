"""Why foreign keys must not be deferred, and that none is after a migrate (PostgreSQL; SQLite has one writer)."""

import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from tests.concurrency.conftest import ROOT, environment

CHARGE = "UPDATE project_quota SET used_bytes = used_bytes + 0"
LINK = "INSERT INTO repository_blob (repository_id, project_blob_id, keep_until) VALUES (1, 1, now())"
ROWS = """
INSERT INTO project (id, name, is_public, metadata, created_at, updated_at) VALUES (1, 'p', false, '{}', now(), now());
INSERT INTO project_quota (project_id, used_bytes) VALUES (1, 1);
INSERT INTO repository (id, project_id, name, full_name, created_at) VALUES (1, 1, 'r', 'p/r', now());
INSERT INTO storage_object (id, storage_key, state, created_at) VALUES (1, 'k', 'live', now());
INSERT INTO blob (id, digest, size, object_id, created_at) VALUES (1, '\\x01', 1, 1, now());
INSERT INTO project_blob (id, project_id, blob_id, size) VALUES (1, 1, 1, 1);
"""


@pytest.fixture
def connect(
    folder: pathlib.Path, database_url: Callable[[str], str]
) -> "Iterator[Callable[[], psycopg2.extensions.connection]]":
    """Connections to a migrated database with one blob that no repository uses."""
    url = database_url("postgresql")
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity=0", "--skip-checks"]
    subprocess.run(command, cwd=ROOT, env=environment(folder, url), check=True, stdout=subprocess.DEVNULL)
    opened: list[psycopg2.extensions.connection] = []

    def connection() -> psycopg2.extensions.connection:
        opened.append(psycopg2.connect(url))
        return opened[-1]

    with connection() as first, first.cursor() as cursor:
        cursor.execute(ROWS)
    yield connection
    for each in opened:
        each.close()


def test_no_key_is_deferrable_after_a_migrate(connect):
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(*) FILTER (WHERE condeferrable) FROM pg_constraint WHERE contype = 'f'")
        total, deferrable = cursor.fetchone()
    assert (total > 10, deferrable) == (True, 0)


@pytest.mark.parametrize(("timing", "outcome"), [
    ("NOT DEFERRABLE", {"push committed", "collector done"}),
    ("DEFERRABLE INITIALLY DEFERRED", {"deadlock detected"}),
])  # fmt: skip
def test_a_push_and_a_collector_meet_at_a_blob(connect, timing: str, outcome: set[str]):
    """The collector holds the charge, the push links it: an immediate key waits before the quota row is held, a deferred one
    after."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'repository_blob'::regclass "
            "AND confrelid = 'project_blob'::regclass"
        )
        [name] = cursor.fetchone()
        cursor.execute(f'ALTER TABLE repository_blob ALTER CONSTRAINT "{name}" {timing}')
    collector, pusher = connect(), connect()
    charged, seen = threading.Event(), set()

    def push() -> None:
        try:
            with pusher, pusher.cursor() as cursor:
                cursor.execute(LINK)
                cursor.execute(CHARGE)
                charged.set()
            seen.add("push committed")
        except psycopg2.Error as error:
            seen.add(str(error).splitlines()[0])

    pushing = threading.Thread(target=push)
    with collector.cursor() as cursor:
        cursor.execute("SELECT id FROM project_blob WHERE id = 1 FOR UPDATE SKIP LOCKED")
        pushing.start()
        charged.wait(0.5)
        try:
            cursor.execute("DELETE FROM project_blob WHERE id = 1")
            cursor.execute(CHARGE)
            seen.add("collector done")
        except psycopg2.Error as error:
            seen.add(str(error).splitlines()[0])
    collector.rollback()  # so that the push finds the row
    pushing.join(10)
    assert outcome <= seen
    assert ("deadlock detected" in seen) == ("deadlock detected" in outcome)
