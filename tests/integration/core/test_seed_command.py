"""`haven seed`, as an operator runs it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.stack import ROOT


def haven(data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    packages = sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HAVEN_", "DJANGO_"))}
    environment |= {"HAVEN_ADMIN_PASSWORD": "Correct1horse", "PYTHONPATH": os.pathsep.join(packages)}
    command = [sys.executable, "-m", "haven_project.cli", *words, "--data", str(data)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_is_set_up_filled_once_and_sound(tmp_path: Path) -> None:
    data = tmp_path / "data"
    numbers = ("--projects", "2", "--repositories", "4", "--artifacts", "40")
    done = haven(data, "seed", *numbers, "--password", "weak")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = haven(data, "seed", *numbers, "--password", "Try-it-0ut")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("2 projects, 4 repositories, 40 artifacts, 30 users\n")
    assert "40 of 40 artifacts" in done.stderr
    again = haven(data, "seed", *numbers)
    assert (again.returncode, again.stderr) == (
        2, "haven: there are projects or artifacts already; --add seeds beside them\n",
    )  # fmt: skip
    assert haven(data, "seed", "--projects", "9", "--repositories", "2").returncode == 2
    checked = haven(data, "fsck")
    assert checked.returncode == 0, checked.stdout
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    refused = haven(tmp_path / "mine", "seed")
    assert (refused.returncode, [entry.name for entry in (tmp_path / "mine").iterdir()]) == (2, ["letter"])
