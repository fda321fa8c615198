import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy_support import PROGRAMS, ROOMS, Stack


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """start_stack({"name": …, "options": […], …}, …) starts stand-ins under a supervisor in tmp_path/data."""
    stacks: list[Stack] = []
    environment = {**os.environ, "PYTHONPATH": str(ROOMS / "deploy")}

    def start(*specification: dict) -> Stack:
        items = [{"options": [], **item} for item in specification]
        program = str(PROGRAMS / "run_stack.py")
        stack = Stack(
            tmp_path / "data", [sys.executable, program, str(tmp_path / "data"), json.dumps(items)], environment
        )
        stacks.append(stack)
        return stack

    yield start
    for stack in stacks:
        stack.clean_up()
