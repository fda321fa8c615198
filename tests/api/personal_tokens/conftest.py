"""Personal access tokens through the API, at the token service, and a clock that can be moved."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.utils import timezone

from haven_api.token_service import token_application
from haven_core.accounts import passwords
from haven_core.tokens import grants, keys
from haven_core.tokens.grants import verify_token
from haven_core.uses import PERSONAL_TOKENS

Call = Callable[..., HttpResponse]
PATH = "/users/current/tokens"
Make = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def fresh_tokens() -> Iterator[None]:
    """No token of another test is remembered."""
    for forget in (grants.forget_tokens, keys.forget_keys, PERSONAL_TOKENS.take):
        forget()
    yield
    PERSONAL_TOKENS.take()


@pytest.fixture
def make(api: Call, users: dict[str, int]) -> Make:
    """`make("guest", scope="pull")`: a token of the user's, as the API answers it."""

    def make(user: str = "owner", **body: Any) -> dict[str, Any]:
        response = api("POST", PATH, {"name": f"token {len(keys_made)}", **body}, user=user)
        assert response.status_code == 201, response.content
        made: dict[str, Any] = response.json()
        keys_made.append(made["id"])
        return made | {"user": user}

    keys_made: list[int] = []
    return make


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`later(days=30)` moves the clock."""
    real, ahead = timezone.now, [timedelta()]
    monkeypatch.setattr(timezone, "now", lambda: real() + ahead[0])

    def move(**duration: float) -> None:
        ahead[0] += timedelta(**duration)

    return move


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed."""
    seen: list[str] = []
    real = passwords.matches

    def matches(password: str, stored: str | None) -> bool:
        seen.append(password)
        return real(password, stored)

    monkeypatch.setattr(passwords, "matches", matches)
    return seen


def ask(user: str, secret: str, *scopes: str) -> tuple[int, str]:
    """GET /service/token with a token in the password's place: the status, and the registry token."""
    pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
    seen: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET", "QUERY_STRING": urlencode([("scope", scope) for scope in scopes]),
        "REMOTE_ADDR": "192.0.2.1", "HTTP_AUTHORIZATION": f"Basic {pair}", "wsgi.input": io.BytesIO(),
    }  # fmt: skip
    payload = b"".join(token_application(environ, lambda status, headers: seen.extend([status, headers])))
    return int(seen[0].split()[0]), json.loads(payload).get("token", "")


def granted(made: dict[str, Any], *scopes: str) -> dict[str, set[str]]:
    """What a registry token made with this token opens."""
    status, token = ask(made["user"], made["secret"], *scopes)
    assert status == 200
    return {key: set(actions) for key, actions in verify_token(token).access.items() if actions}
