"""A stack of the session, people in it, and a look behind the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.api.v2.backstage import Backstage
from tests.support.client import RegistryClient
from tests.support.stack import HavenServer

PASSWORD = "Correct-horse-9"
PROJECT_ADMIN, DEVELOPER, GUEST, MAINTAINER = 1, 2, 3, 4


@pytest.fixture(scope="session")
def backstage(haven: HavenServer) -> Iterator[Backstage]:
    """Ends with a check of every invariant: whatever the tests sent, the data must be sound."""
    if haven.external:
        pytest.skip("another registry under test: nobody can look behind its API")
    found = Backstage(haven)
    for name in ("alice", "bob"):
        found.ask("user", name=name, password=PASSWORD)
    yield found
    broken = found.ask("fsck")
    found.close()
    assert broken == []


@dataclass(frozen=True)
class Person:
    """An account that is not an administrator."""

    name: str
    server: HavenServer

    @property
    def client(self) -> RegistryClient:
        return self.server.client(self.name, PASSWORD)


@pytest.fixture
def alice(haven: HavenServer, backstage: Backstage) -> Person:
    return Person("alice", haven)


@pytest.fixture
def bob(haven: HavenServer, backstage: Backstage) -> Person:
    return Person("bob", haven)


@pytest.fixture
def client(haven: HavenServer) -> RegistryClient:
    """The administrator's."""
    return haven.client()


@pytest.fixture
def repository(project: str) -> str:
    """A name in a new private project; nothing was pushed yet."""
    return f"{project}/app"


@pytest.fixture
def public_repository(public_project: str) -> str:
    return f"{public_project}/app"
