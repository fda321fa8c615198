"""Fixtures of every test that needs the running stack, and the report of what could not run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.order import (  # noqa: F401  # hooks, like those below
    pytest_collection_modifyitems,
    pytest_itemcollected,
)
from tests.support.skips import (  # noqa: F401  # hooks: pytest finds them by their names here
    pytest_make_collect_report,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
from tests.support.stack import HavenServer, external_server, running_haven
from tests.support.tools import Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--registry", metavar="URL,USER,PASSWORD", help="test this running registry instead of starting Haven"
    )


@pytest.fixture(scope="session")
def haven(pytestconfig: pytest.Config) -> Iterator[HavenServer]:
    """A running stack, one for the whole run, or the registry named by --registry."""
    if spec := pytestconfig.getoption("--registry"):
        yield external_server(spec)
        return
    with running_haven() as server:
        yield server


@pytest.fixture
def project(haven: HavenServer) -> str:
    """A new private project."""
    return haven.create_project(f"p{uuid.uuid4().hex[:12]}")


@pytest.fixture
def public_project(haven: HavenServer) -> str:
    """A new public project."""
    if haven.external:
        pytest.skip("another registry under test: it may have no public projects")
    return haven.create_project(f"pub{uuid.uuid4().hex[:12]}", public=True)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Home, configuration and working directory for the programs of one test."""
    return Sandbox(tmp_path)
