"""Skips are said, and under HAVEN_TEST_REQUIRE_ALL they fail, except for facts about the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CONFTEST = """
from tests.support.skips import pytest_make_collect_report, pytest_runtest_makereport, pytest_terminal_summary
"""
TESTS = """
import pytest
from tests.support.tools import requires

@requires("no-such-program")
def test_needs_a_program(): ...
def test_needs_an_engine(): pytest.skip("no container engine can start here: dockerd: operation not permitted")
def test_runs(): ...
@pytest.mark.xfail
def test_expected_to_fail(): raise ValueError
"""
MODULE = """
import pytest
pytest.skip("whole module: nothing here", allow_module_level=True)
"""


def run(folder: Path, require_all: str) -> tuple[int, str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_one.py").write_text(TESTS)
    (folder / "test_two.py").write_text(MODULE)
    environment = {**os.environ, "HAVEN_TEST_REQUIRE_ALL": require_all, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    done = subprocess.run(
        [*command, "--continue-on-collection-errors", "-c", os.devnull, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_skips_are_counted_by_reason(tmp_path: Path) -> None:
    status, said = run(tmp_path, "0")
    assert status == 0
    summary = said.partition("not run here")[2]
    assert "no-such-program is missing" in summary
    assert "dockerd: operation not permitted  [this machine]" in summary
    assert "whole module: nothing here  [not provisioned]" in summary


def test_required_to_run_all(tmp_path: Path) -> None:
    status, said = run(tmp_path, "1")
    assert status != 0
    assert "HAVEN_TEST_REQUIRE_ALL=1 allows only" in said
    assert "no-such-program is missing" in said
    assert "whole module: nothing here" in said
    assert "1 passed" in said or "1 error" in said
    assert "test_needs_an_engine" not in said.partition("short test summary")[2]


@pytest.mark.parametrize("reason", ["not root, and dockerd needs it", "less than 20 GB of disk are free"])
def test_reasons_of_the_machine(reason: str) -> None:
    from tests.support.skips import is_environment

    assert is_environment(reason)
    assert not is_environment("cosign is missing: not fetched yet, and this run is offline")
