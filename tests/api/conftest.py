"""A client of the REST API, with accounts of each kind."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from haven_core import health
from haven_core.accounts import actors, credentials, passwords
from haven_core.accounts.services import create_user
from haven_core.configuration import selectors as configuration
from haven_core.domain.roles import Role
from haven_core.jobs import dispatch
from haven_core.personal_tokens import holders
from haven_core.policies import immutability
from haven_core.projects import contents
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from haven_core.rbac import access
from haven_registry import store
from haven_registry.storage import open_storage
from tests.contract.judge import assert_contract
from tests.support.site import Site

PASSWORD = "Correct1horse"

Call = Callable[..., HttpResponse]

_CACHES = (
    actors.forget_actors,
    access.forget_access,
    configuration.forget_configuration,
    credentials.forget_credentials,
    health.forget_states,
    holders.forget_holders,
    immutability.forget_rules,
)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts as a process does: with empty caches and nothing registered. A cheap hash, storage in memory."""
    driver = open_storage("memory://")
    monkeypatch.setattr(store, "driver", lambda: driver)
    monkeypatch.setattr(passwords.Hasher, "iterations", 1000)
    monkeypatch.setattr(contents, "_counters", [])
    monkeypatch.setattr(contents, "_totals", [])
    monkeypatch.setattr(health, "_checks", {})
    monkeypatch.setattr(dispatch, "send", lambda *_, **__: None)  # there is no broker
    for forget in _CACHES:
        forget()
    yield
    for forget in _CACHES:
        forget()


@pytest.fixture
def users(transactional_db: None) -> dict[str, int]:
    """root (administrator), owner, guest, stranger."""
    return {
        name: create_user(username=name, password=PASSWORD, is_sysadmin=name == "root")
        for name in ("root", "owner", "guest", "stranger")
    }


@pytest.fixture
def projects(users: dict[str, int]) -> dict[str, int]:
    """private (with a guest) and public, of owner."""
    made = {
        "private": create_project(name="private", owner_id=users["owner"]),
        "public": create_project(name="public", owner_id=users["owner"], is_public=True),
    }
    ProjectMember.objects.create(
        project_id=made["private"], user_id=users["guest"], role=Role.GUEST, created_at=timezone.now()
    )
    return made


@pytest.fixture
def site(projects: dict[str, int]) -> Site:
    """private/team/app, empty."""
    site = Site(store.driver())
    site.repository = site.new_repository(projects["private"], "team/app")
    return site


@pytest.fixture
def api(client: Client) -> Call:
    """`api("GET", "/projects", user="owner")`: a request below /api/v2.0, as `user` or as nobody.

    Every answer is also judged by Harbor's contract.
    """

    def call(
        method: str, path: str, body: Any = None, *, user: str = "", password: str = PASSWORD, **headers: str
    ) -> HttpResponse:
        extra: dict[str, Any] = {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}
        if user:
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            extra["headers"]["Authorization"] = f"Basic {pair}"
        if body is not None:
            extra |= {"data": body, "content_type": "application/json"}
        response = getattr(client, method.lower())(f"/api/v2.0{path}", **extra)
        assert_contract(method, path, response)
        return response

    return call
