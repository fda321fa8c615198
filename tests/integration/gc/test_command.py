"""`haven gc`, `haven scrub` and `haven fsck --repair`, as an operator runs them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stack import ROOT

Haven = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def haven_command(tmp_path: Path) -> Haven:
    """haven_command("gc", "run"): in a data folder of its own, set up."""
    packages = sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HAVEN_", "DJANGO_"))}
    environment |= {"HAVEN_ADMIN_PASSWORD": "Correct1horse", "PYTHONPATH": os.pathsep.join(packages)}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "haven_project.cli", *words, "--data", str(tmp_path)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert run("setup").returncode == 0
    return run


def test_each_command_says_what_it_did(haven_command: Haven, tmp_path: Path) -> None:
    for words, expected in (
        (("gc", "run", "--delete-untagged"), "done purged_manifests=0 purged_blobs=0 freed_space=0"),
        (("gc", "dry-run"), "done purged_manifests=0"),
        (("scrub", "--rate", "10"), "done blobs=0 manifests=0 damaged=0 unreadable=0"),
        (("fsck", "--repair"), "clean: "),
    ):
        done = haven_command(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert expected in done.stdout
    assert haven_command("scrub", "--rate", "0").returncode == 2
    assert haven_command("gc").returncode == 2
