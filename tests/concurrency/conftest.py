"""Stress runs in processes of their own, on either database."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.postgres import PostgresMissing, PostgresServer, run_postgres

ROOT = pathlib.Path(__file__).parents[2]
Stress = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run; each test makes a database of its own."""
    try:
        with run_postgres() as server:
            yield server
    except PostgresMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """A folder in memory where there is one: races want speed, and nothing here cuts the power."""
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="haven-stress-", dir=memory if memory.is_dir() else None) as name:
        yield pathlib.Path(name)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, folder: pathlib.Path) -> Callable[[str], str]:
    """The URL of an empty database: database_url('sqlite') or ('postgresql')."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite://{folder / 'haven.sqlite3'}"
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.create_database(folder.name.replace("-", "_").lower())

    return make


def environment(folder: pathlib.Path, url: str) -> dict[str, str]:
    """For a process that works on that database."""
    rooms = os.pathsep.join(str(ROOT / room) for room in ("core", "registry", "gc", "portal", "deploy"))
    return {**os.environ, "PYTHONPATH": rooms, "HAVEN_DATABASE_URL": url, "HAVEN_DATA_DIR": str(folder / "data")}


@pytest.fixture
def stress(folder: pathlib.Path, database_url: Callable[[str], str]) -> Stress:
    """stress('postgresql', '--seconds=20', …) plays a run; its answer, with the exit code and the first violations."""

    def play(database: str, *options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "tests.concurrency.stress", str(folder / "run"), *options]
        run = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(folder, database_url(database)),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode not in (0, 1) or not run.stdout:
            raise AssertionError(f"the harness failed:\n{run.stdout}\n{run.stderr}")
        answer, end = json.JSONDecoder().raw_decode(run.stdout)
        return {**answer, "exit_code": run.returncode, "details": run.stdout[end:] + run.stderr}

    return play
