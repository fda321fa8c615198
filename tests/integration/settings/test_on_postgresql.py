"""The API tests of settings once more on PostgreSQL: Django binds one database per process, so in another process."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support.postgres import PostgresMissing, run_postgres


def test_settings_hold_on_postgresql():
    folder = pathlib.Path(__file__).parents[2] / "api" / "settings"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    try:
        with run_postgres() as server:
            environment = {**os.environ, "HAVEN_DATABASE_URL": server.url}
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
