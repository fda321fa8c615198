import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploy_support import CONTENT, PROGRAMS, ROOMS, Embedded, Stack, free_port

from haven_deploy.nginx import find_nginx


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


def run_embedded(data_dir: Path, *options: str) -> Embedded:
    """Start the embedded stack around the stand-in product and wait until it is ready."""
    if "without-nginx" not in options and find_nginx() is None:
        pytest.skip("there is no nginx on this machine")
    rooms = os.pathsep.join((str(ROOMS / "deploy"), str(PROGRAMS / "product")))
    port = free_port()
    argv = [sys.executable, str(PROGRAMS / "run_embedded.py"), str(data_dir), str(port), *options]
    stack = Embedded(data_dir, argv, {**os.environ, "PYTHONPATH": rooms})
    stack.port = port
    try:
        stack.wait_ready(40)
    except BaseException:
        stack.clean_up()
        raise
    blob = data_dir / "storage" / "blobs" / "ab" / "content"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(CONTENT)
    return stack


@pytest.fixture
def start_embedded(tmp_path: Path) -> Iterator[Callable[..., Embedded]]:
    """start_embedded("tls", "without-nginx") starts an embedded stack in tmp_path/data."""
    stacks: list[Embedded] = []

    def start(*options: str) -> Embedded:
        stacks.append(run_embedded(tmp_path / "data", *options))
        return stacks[-1]

    yield start
    for stack in stacks:
        stack.clean_up()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A stack for tests that leave it as it was."""
    stack = run_embedded(tmp_path_factory.mktemp("gateway") / "data")
    yield stack
    stack.clean_up()
