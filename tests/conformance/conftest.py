"""A client and fresh repositories for each case."""

from __future__ import annotations

import uuid

import pytest

from tests.support.client import RegistryClient
from tests.support.stack import HavenServer

ALGORITHMS = ("sha256", "sha512")


@pytest.fixture(scope="module")
def shared_project(haven: HavenServer) -> str:
    """A private project for the cases of one file; each has its own repositories in it."""
    return haven.create_project(f"spec-{uuid.uuid4().hex[:10]}")


@pytest.fixture
def client(haven: HavenServer) -> RegistryClient:
    return haven.client()


@pytest.fixture
def repository(shared_project: str) -> str:
    return f"{shared_project}/r{uuid.uuid4().hex[:10]}"


@pytest.fixture
def other_repository(shared_project: str) -> str:
    """Another repository of the same project."""
    return f"{shared_project}/deeper/o{uuid.uuid4().hex[:10]}"


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found
