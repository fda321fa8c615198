"""Secrets never appear: not in an answer beside the one that makes them, not in a log, an event, an audit line or a table.

Every operation of the permission table is asked, and errors are provoked with secrets in all places of a request. What is
looked for are the secrets themselves and what is stored of them.
"""

import base64
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse
from django.test import Client

from haven_api.token_service import token_application
from haven_core.accounts import services as accounts
from haven_core.accounts.models import User
from haven_core.audit.consumer import consume
from haven_core.conf import config
from haven_core.configuration.keys import KEYS
from haven_core.configuration.services import update
from haven_core.domain.actor import Actor
from haven_core.personal_tokens.models import PersonalToken
from haven_core.personal_tokens.services import create_token
from haven_core.robots.models import RobotSecret
from tests.api.conftest import PASSWORD
from tests.api.permissions.table import rows
from tests.api.permissions.test_table import World, body_of, path_of, world

__all__ = ["world"]

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]
OTHER_PASSWORD = "Another1horse"  # in bodies of the table
CANARY = "Canary-4711-song"  # what is sent where it is refused


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def secrets(world: World) -> dict[str, str]:
    """Everything that must not be seen, by what it is."""
    keys = {name: f"Canary-{name}" for name, key in KEYS.items() if key.is_secret}
    update(keys)
    owner = Actor("user", world.names["projectAdmin"], "projectAdmin", is_sysadmin=False)
    token = create_token(owner, name="canary", scope="full")
    robots = {f"secret of {name}": secret for name, (_, secret) in world.logins.items() if secret != PASSWORD}
    assert len(keys) >= 3
    assert len(robots) == 4
    return {
        "password": PASSWORD, "other password": OTHER_PASSWORD, "personal token": token.secret, **keys, **robots,
        "secret key": config().secret_key,
        **{f"hash of a personal token {row.pk}": row.hash for row in PersonalToken.objects.all()},
        **{f"hash of a password {row.pk}": row.password for row in User.objects.all()},
        **{f"hash of a robot's secret {row.pk}": row.hash for row in RobotSecret.objects.all()},
    }  # fmt: skip


def seen(secrets: dict[str, str], text: str) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def whole(response: HttpResponse) -> str:
    """Status, headers and body."""
    content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    return f"{response.status_code} {dict(response.headers)} {content.decode(errors='replace')}"


def tables(*but: str) -> str:
    """Every row of every table except those named, which keep hashes on purpose."""
    found = {
        table._meta.db_table: [
            {
                name: bytes(value).hex() if isinstance(value, (bytes, memoryview)) else value
                for name, value in row.items()
            }
            for row in table._default_manager.values()
        ]
        for table in apps.get_models()
        if table._meta.db_table not in but
    }
    return json.dumps(found, cls=DjangoJSONEncoder)


def test_no_operation_shows_one(
    world: World, secrets: dict[str, str], api: Call, log: pytest.LogCaptureFixture
) -> None:
    """As the administrator, who sees all there is to see; refused ones as nobody."""
    wrong = []
    for row in rows():
        path, body = path_of(row, world, "sysadmin"), body_of(row, world) or None
        for user in ("sysadmin", "stranger"):
            answer = whole(api(row.method, path, body, user=user))
            wrong += [(row.operation, name) for name in seen(secrets, answer)]
    assert wrong == []
    consume()
    assert seen(secrets, log.text) == []
    hashes = {name: secret for name, secret in secrets.items() if not name.startswith("hash")}
    assert seen(hashes, tables()) == []
    assert seen(secrets, tables("account", "personal_token", "robot_secret")) == []


BAD = [
    ("POST", "/users", {"username": "n", "password": CANARY, "email": "no", "realname": "N"}),
    ("POST", "/users", {"username": "n", "password": [CANARY], "email": "a@b.cd", "realname": "N"}),
    ("POST", "/users", {"username": "n", "password": {"a": CANARY}}),
    ("POST", "/users", {"username": ["n"], "password": CANARY}),
    ("POST", "/users", {"username": "root", "password": CANARY, "email": "a@b.cd", "realname": "N"}),
    ("POST", "/users", '{"username": "n", "password": "' + CANARY),
    ("POST", "/users", [CANARY]),
    ("POST", "/users", f'"{CANARY}"'),
    ("PUT", "/users/{owner}/password", {"old_password": CANARY, "new_password": CANARY.lower()}),
    ("PUT", "/users/{owner}/password", {"new_password": "canary-4711-song"}),
    ("PUT", "/users/{owner}/password", {"new_password": [CANARY]}),
    ("PUT", "/users/4711/password", {"new_password": CANARY}),
    ("PATCH", "/robots/4711", {"secret": CANARY}),
    ("PATCH", "/robots/{robot}", {"secret": "canary-4711-song"}),
    ("PATCH", "/robots/{robot}", {"secret": [CANARY]}),
    ("PATCH", "/robots/{robot}", {"secret": CANARY * 100}),
    ("PUT", "/configurations", {"ldap_search_password": [CANARY]}),
    ("PUT", "/configurations", {"oidc_client_secret": CANARY + "\0"}),
    ("PUT", "/configurations", {"uaa_client_secret": CANARY, "token_expiration": -1}),
    ("PUT", "/configurations", {"unknown_secret": CANARY}),
    ("PUT", "/missing", {"password": CANARY}),
    ("PATCH", "/users", {"password": CANARY}),
    ("POST", "/users/current/tokens", {"name": "", "secret": CANARY}),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD)
def test_no_error_shows_one(
    api: Call, projects: dict[str, int], users: dict[str, int], log: pytest.LogCaptureFixture, method: str, path: str,
    body: Any,
) -> None:  # fmt: skip
    robot = {
        "name": "ci", "level": "project", "duration": 1,
        "permissions": [
            {"kind": "project", "namespace": "private", "access": [{"resource": "repository", "action": "pull"}]}
        ],
    }  # fmt: skip
    made = api("POST", "/robots", robot, user="root").json()
    path = path.format(owner=users["owner"], robot=made["id"])
    for user in ("root", "owner", ""):
        answer = whole(api(method, path, body, user=user))
        assert "canary-4711" not in answer.lower()
    consume()
    assert "canary-4711" not in log.text.lower()
    assert "canary-4711" not in tables().lower()


def test_no_failed_login_shows_one(
    api: Call, client: Client, users: dict[str, int], log: pytest.LogCaptureFixture
) -> None:
    answers = [whole(api("GET", "/users/current", user=user, password=CANARY)) for user in ("owner", "nobody", CANARY)]
    token = {"X-Harbor-CSRF-Token": client.get("/api/v2.0/systeminfo").headers["X-Harbor-CSRF-Token"]}
    for form in (f"principal=owner&password={CANARY}", f"principal={CANARY}&password={CANARY}", f"password={CANARY}"):
        kind = "application/x-www-form-urlencoded"
        answers += [whole(client.post("/c/login", form, content_type=kind, headers=token))]
        answers += [whole(client.post("/c/login", form, content_type=kind))]
        answers += [at_the_token_service(f"grant_type=password&username=owner&{form}")]
    assert "canary-4711" not in str(answers).lower()
    consume()
    assert "canary-4711" not in log.text.lower()
    assert "canary-4711" not in tables().lower()


def at_the_token_service(form: str) -> str:
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST", "QUERY_STRING": "", "REMOTE_ADDR": "192.0.2.1", "CONTENT_LENGTH": str(len(form)),
        "wsgi.input": io.BytesIO(form.encode()),
    }  # fmt: skip
    body = b"".join(token_application(environ, lambda status, headers: told.extend([status, headers])))
    return f"{told} {body.decode()}"


def test_no_crash_shows_one(
    client: Client, users: dict[str, int], log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours: the client learns nothing, and the log has the place without the values."""

    def broken(**_: Any) -> int:
        raise RuntimeError("a defect")

    monkeypatch.setattr(accounts, "create_user", broken)
    client.raise_request_exception = False
    pair = base64.b64encode(f"root:{PASSWORD}".encode()).decode()
    body = {"username": "n", "password": CANARY + "1A", "email": "a@b.cd", "realname": "N"}
    headers = {"Authorization": f"Basic {pair}"}
    response = client.post("/api/v2.0/users", body, content_type="application/json", headers=headers)
    assert response.status_code == 500
    assert "a defect" not in whole(response)
    assert "a defect" in log.text
    for text in (whole(response), log.text, tables()):
        assert "canary-4711" not in text.lower()
        assert PASSWORD not in text
        assert pair not in text
