"""Robots through the API, and a clock that can be moved."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from haven_core.robots import actors
from haven_core.tokens import grants, keys
from haven_core.uses import ROBOT_SECRETS

Call = Callable[..., HttpResponse]
MakeRobot = Callable[..., dict[str, Any]]


class Clock:
    """What timezone.now() answers; advance() moves it."""

    def __init__(self, real: Callable[[], datetime]) -> None:
        self._real, self._ahead = real, timedelta()

    def now(self) -> datetime:
        return self._real() + self._ahead

    def advance(self, **duration: float) -> None:
        """Move on by hours=…, minutes=…, days=…."""
        self._ahead += timedelta(**duration)


@pytest.fixture(autouse=True)
def fresh_robots() -> Iterator[None]:
    """No robot of another test is remembered."""
    forget()
    yield
    forget()


def forget() -> None:
    actors.forget_robots()
    grants.forget_tokens()
    keys.forget_keys()
    ROBOT_SECRETS.take()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock(timezone.now)
    monkeypatch.setattr(timezone, "now", moved.now)
    return moved


def access(*texts: str) -> list[dict[str, str]]:
    """`repository:pull` and so on as the API takes it."""
    return [dict(zip(("resource", "action"), text.split(":"), strict=True)) for text in texts]


def place(kind: str, namespace: str, *texts: str) -> dict[str, Any]:
    """One entry of a robot's permissions."""
    return {"kind": kind, "namespace": namespace, "access": access(*texts)}


def project_robot(name: str = "ci", project: str = "private", *texts: str, **changes: Any) -> dict[str, Any]:
    """The body that creates a robot of a project."""
    permissions = [place("project", project, *(texts or ("repository:pull",)))]
    return {"name": name, "level": "project", "duration": -1, "permissions": permissions, **changes}


def system_robot(name: str = "ci", *permissions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The body that creates a robot of the system."""
    chosen = list(permissions) or [place("project", "*", "repository:pull")]
    return {"name": name, "level": "system", "duration": -1, "permissions": chosen, **changes}


@pytest.fixture
def make_robot(api: Call, projects: dict[str, int]) -> MakeRobot:
    """POST /robots, which must succeed; returns the answer."""

    def make(body: dict[str, Any], *, user: str = "root", password: str = "") -> dict[str, Any]:
        options = {"password": password} if password else {}
        response = api("POST", "/robots", body, user=user, **options)
        assert response.status_code == 201, response.content
        return dict(response.json())  # type: ignore[attr-defined]

    return make
