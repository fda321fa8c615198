"""Accounts and projects in a real database; a cheap hash where the hash is not the subject."""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone

from haven_core.accounts import actors, credentials, passwords, services
from haven_core.configuration import selectors as configuration
from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.personal_tokens import holders
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from haven_core.rbac import access
from haven_core.tokens import grants, keys

PASSWORD = "Correct1horse"


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts as a process does: with empty caches."""
    monkeypatch.setattr(passwords.Hasher, "iterations", 1000)
    forget_everything()
    yield
    forget_everything()


def forget_everything() -> None:
    actors.forget_actors()
    access.forget_access()
    configuration.forget_configuration()
    credentials.forget_credentials()
    grants.forget_tokens()
    keys.forget_keys()
    holders.forget_holders()


@pytest.fixture
def make_user(transactional_db: None) -> Callable[..., Actor]:
    def make(name: str, *, is_sysadmin: bool = False) -> Actor:
        user_id = services.create_user(username=name, password=PASSWORD, is_sysadmin=is_sysadmin)
        return Actor("user", user_id, name, is_sysadmin, 0)

    return make


@pytest.fixture
def owner(make_user: Callable[..., Actor]) -> Actor:
    return make_user("owner")


@pytest.fixture
def admin(make_user: Callable[..., Actor]) -> Actor:
    return make_user("root", is_sysadmin=True)


@pytest.fixture
def private(owner: Actor) -> int:
    return create_project(name="private", owner_id=owner.user_id)


@pytest.fixture
def public(owner: Actor) -> int:
    return create_project(name="public", owner_id=owner.user_id, is_public=True)


@pytest.fixture
def member(make_user: Callable[..., Actor]) -> Callable[[int, Role], Actor]:
    def make(project_id: int, role: Role) -> Actor:
        actor = make_user(f"user-{role.name.lower().replace('_', '-')}")
        ProjectMember.objects.create(project_id=project_id, user_id=actor.user_id, role=role, created_at=timezone.now())
        return actor

    return make
