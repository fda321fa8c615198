"""Stacks to do harm to: their own, never the one that the other tests share."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harm import HarmedStack
from tests.support.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="package")
def embedded() -> Iterator[HarmedStack]:
    """Everything on this machine: SQLite, files, one folder."""
    with tempfile.TemporaryDirectory(prefix="hf-") as folder:
        stack = HarmedStack(Path(folder)).start()
        try:
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def stack(embedded: HarmedStack) -> HarmedStack:
    """The embedded stack with all its processes running, whatever the test before did to it."""
    if embedded.server is None:
        embedded.start()
    embedded.wait_running()
    return embedded


@pytest.fixture
def repository(stack: HarmedStack) -> str:
    """A repository in a project of the test's own."""
    return f"{stack.create_project(f'p{uuid.uuid4().hex[:12]}')}/app"
