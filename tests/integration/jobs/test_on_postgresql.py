"""The tests of this folder once more on PostgreSQL: Django binds one database per process, so in another process."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support.postgres import PostgresMissing, run_postgres


def test_everything_here_holds_on_postgresql():
    here = pathlib.Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--ignore={__file__}", str(here)]
    command.append(f"--ignore={here / 'test_worker_process.py'}")  # minutes, and about processes
    try:
        with run_postgres() as server:
            environment = {**os.environ, "HAVEN_DATABASE_URL": server.url}
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
