"""`haven test` and `haven check`, for a checkout."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from haven_project.cli.main import UNUSABLE

ROOT = Path(__file__).parents[3]
PACKAGES = ("core", "registry", "gc", "portal", "deploy")
MOST_PROCESSES = 4  # each has a stack of its own


def test(options: argparse.Namespace) -> int:
    """Provide what the tests need, then run them: the quick ones, the slow ones, or all; those that somebody named
    whether they are slow or not. Exit code: pytest's."""
    if not (ROOT / "tests").is_dir():
        print("haven: `haven test` works in a checkout of Haven", file=sys.stderr)
        return UNUSABLE
    arguments = [word for word in options.pytest if word != "--"]
    provided = subprocess.run([sys.executable, str(ROOT / "tests/support/provision.py")], cwd=ROOT, check=False)
    if provided.returncode != 0:
        return provided.returncode
    selection = _selection(options, is_named=bool(arguments))
    environment = {**os.environ, "HAVEN_DATA_DIR": str(ROOT / ".cache" / "test-data")}
    spread = [] if arguments or options.long else _spread()
    command = [sys.executable, "-m", "pytest", *selection, *spread, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _selection(options: argparse.Namespace, *, is_named: bool) -> list[str]:
    """Which of the markers of pyproject.toml."""
    if options.long:
        return []
    if options.slow:
        return ["-m", "slow and not long and not alone"]
    return ["-m", "not long" if is_named else "not long and not slow and not alone"]


def _spread() -> list[str]:
    """In a process more than there are cores, as many tests wait for a server or a disk; in the order of
    tests/support/order.py. Tests by name run in one, which starts faster and shows more."""
    processes = min((os.cpu_count() or 1) + 1, MOST_PROCESSES)
    return ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"] if processes > 1 else []


def check(_: argparse.Namespace) -> int:
    """Everything that reads the code without running the product. Exit code 1 when something is found."""
    bin_dir = Path(sys.executable).parent
    data = ROOT / ".cache" / "check-data"
    data.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "HAVEN_DATA_DIR": str(data), "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    steps = {
        "ruff": ["ruff", "check", "."],
        "format": ["ruff", "format", "--check", "."],
        "types": ["mypy", *(str(path) for path in _package_dirs())],
        "imports": ["lint-imports"],
        "migrations": [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
        "django": [sys.executable, "manage.py", "check"],
        "shell": ["sh", "-n", "haven"],
    }
    failed = []
    for name, command in steps.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
            failed.append(name)
    print(f"check: {'failed: ' + ', '.join(failed) if failed else 'all good'}")
    return 1 if failed else 0


def _package_dirs() -> list[Path]:
    return [package for folder in PACKAGES for package in sorted((ROOT / folder).glob("haven_*"))]
