"""Programs the tests call: where they are, a test's private surroundings for them, and skipping with a reason."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.provision import AVAILABLE, TOOLS, find_program

Completed = subprocess.CompletedProcess[str]


def find_tool(name: str) -> str | None:
    """The path of a program: a fetched one first (its version is pinned), else the system's."""
    fetched = TOOLS / "bin" / name
    return str(fetched) if fetched.exists() else find_program(name)


def tool(name: str) -> str:
    """The path of a program; skips the test that asks for a missing one."""
    path = find_tool(name)
    if path is None:
        pytest.skip(missing_reason(name))
    return path


def requires(*names: str) -> pytest.MarkDecorator:
    """Mark a test, or by `pytestmark` a module, that needs these programs."""
    missing = [name for name in names if find_tool(name) is None]
    return pytest.mark.skipif(bool(missing), reason="; ".join(missing_reason(name) for name in missing))


def requires_root(name: str) -> pytest.MarkDecorator:
    """Mark a test whose program, as these tests call it, works as root only."""
    return pytest.mark.skipif(os.geteuid() != 0, reason=f"not root, and {name} needs it")


def missing_reason(name: str) -> str:
    why = "run tests/support/provision.py"
    if AVAILABLE.exists():
        why = json.loads(AVAILABLE.read_text()).get(name, {}).get("unavailable", why)
    return f"{name} is missing: {why}"


@dataclass
class Sandbox:
    """A folder that is home, configuration, cache and working directory of every program run in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home = self.folder / "home"
        for name in ("config", "run", "tmp"):
            (home / name).mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "DOCKER_CONFIG": str(home / "docker"),
            "REGISTRY_AUTH_FILE": str(home / "auth.json"),
            **self.environment,
        }

    def run(self, program: str, *arguments: object, ok: bool = True, stdin: str | None = None) -> Completed:
        """Run it; with ok=True a failure fails the test with both streams, with ok=False a success does."""
        command = [tool(program), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            env=self.environment,
            cwd=self.folder,
            check=False,
        )
        if (done.returncode == 0) is not ok:
            said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            pytest.fail(f"{program} {' '.join(command[1:])}: exit status {done.returncode}\n{said}", pytrace=False)
        return done

    def json(self, program: str, *arguments: object) -> Any:
        return json.loads(self.run(program, *arguments).stdout)
