"""The token service as WSGI, and what its tokens grant."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from haven_api.token_service import MAX_BODY_BYTES, token_application
from haven_core.accounts.models import User
from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.tokens.grants import verify_token

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct1horse"  # of the accounts that conftest makes


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def access(self) -> dict[str, set[str]]:
        return {key: set(actions) for key, actions in verify_token(self.body["token"]).access.items()}

    @property
    def granted(self) -> dict[str, set[str]]:
        return {key: actions for key, actions in self.access.items() if actions}


def call(method: str, query: str = "", body: bytes | None = None, **environ: str) -> Answer:
    seen: list[Any] = []
    variables: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": "/service/token", "QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.1",
        "wsgi.input": io.BytesIO(body or b""), **environ,
    }  # fmt: skip
    if body is not None:
        variables.setdefault("CONTENT_LENGTH", str(len(body)))
    payload = b"".join(token_application(variables, lambda status, headers: seen.extend([status, headers])))
    headers = dict(seen[1])
    assert headers["Content-Length"] == str(len(payload)) or method == "HEAD"
    assert headers["Cache-Control"] == "no-store"
    return Answer(int(seen[0].split()[0]), headers, json.loads(payload or b"{}"))


def get(*scopes: str, user: str = "", password: str = PASSWORD, **environ: str) -> Answer:
    if user:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        environ = {"HTTP_AUTHORIZATION": f"Basic {pair}", **environ}
    return call("GET", urlencode([("service", "haven-registry"), *(("scope", scope) for scope in scopes)]), **environ)


def post(**form: str) -> Answer:
    return call("POST", body=urlencode(form).encode(), CONTENT_TYPE="application/x-www-form-urlencoded")


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert [error["code"] for error in answer.body["errors"]] == [code]
    assert "token" not in answer.body


def test_a_login_without_scope_gets_an_empty_token(owner: Actor) -> None:
    answer = get(user="owner")
    assert answer.status == 200
    assert answer.body["token"] == answer.body["access_token"]
    assert answer.body["expires_in"] == 1800
    assert answer.body["issued_at"].endswith("Z")
    assert "refresh_token" not in answer.body
    assert (verify_token(answer.body["token"]).sub, answer.access) == ("owner", {})


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        (Role.PROJECT_ADMIN, {"pull", "push", "delete"}),
        (Role.MAINTAINER, {"pull", "push", "delete"}),
        (Role.DEVELOPER, {"pull", "push"}),
        (Role.GUEST, {"pull"}),
        (Role.LIMITED_GUEST, {"pull"}),
    ],
)
def test_requested_and_allowed(
    private: int, member: Callable[[int, Role], Actor], role: Role, granted: set[str]
) -> None:
    actor = member(private, role)
    scope = "repository:private/r:pull,push,delete"
    assert get(scope, user=actor.name).access == {"repository:private/r": granted}
    assert get("repository:private/r:pull", user=actor.name).access == {"repository:private/r": {"pull"}}
    assert get("repository:private/r:*", user=actor.name).access == {"repository:private/r": granted}


def test_push_implies_pull_and_delete_does_not(private: int, owner: Actor) -> None:
    assert get("repository:private/r:push", user="owner").granted == {"repository:private/r": {"pull", "push"}}
    assert get("repository:private/r:delete", user="owner").granted == {"repository:private/r": {"delete"}}


def test_scopes_repeated_and_in_one_value(private: int, public: int, owner: Actor) -> None:
    expected = {"repository:private/r": {"pull", "push"}, "repository:public/s": {"pull"}}
    both = ("repository:private/r:push,pull", "repository:public/s:pull")
    assert get(*both, user="owner").access == get(" ".join(both), user="owner").access == expected


def test_many_scopes_of_one_project_ask_the_database_once(
    private: int, owner: Actor, django_assert_num_queries
) -> None:
    get(user="owner")
    scopes = [f"repository:private/r{number}:pull,push" for number in range(30)]
    with django_assert_num_queries(2):  # the account, the project
        assert len(get(*scopes, user="owner").granted) == 30


def test_nobody(private: int, public: int) -> None:
    answer = get("repository:public/r:pull,push,delete repository:private/r:pull repository:missing/r:pull")
    assert answer.status == 200
    assert answer.granted == {"repository:public/r": {"pull"}}
    assert answer.access["repository:private/r"] == answer.access["repository:missing/r"] == set()
    assert verify_token(answer.body["token"]).sub == ""
    assert answer.body["scope"] == "repository:public/r:pull"


def test_nobody_asking_for_nothing() -> None:
    answer = get()
    assert_refused(answer, 401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="haven"'


@pytest.mark.parametrize(
    "scope",
    [
        "repository:private2/r:pull", "repository:privat/r:pull", "repository:private/../x:pull",
        "repository:private/r/:pull", "repository:private//r:pull", "repository:Private/r:pull",
        "repository:private%2fr:pull", "repository:private:pull",
        "repository:/private/r:pull", "repository:private\\r:pull", "repository:../private/r:pull", "repository::pull",
        "repository:private/r", "pull", ":::", "registry:other:*", "admin:private/r:pull",
        "repository:localhost:5000/private/r:pull", "repository:private/r:admin,scanner-pull", "repository:*:*",
    ],
)  # fmt: skip
def test_tricks_grant_nothing_and_are_no_error(private: int, owner: Actor, scope: str) -> None:
    answer = get(scope, user="owner")
    assert (answer.status, answer.granted) == (200, {})


def test_the_catalog_is_for_whoever_is_somebody(admin: Actor, owner: Actor) -> None:
    """It lists to each what they may pull; Basic, without a token, does so too."""
    assert get("registry:catalog:*", user="root").granted == {"registry:catalog": {"*"}}
    assert get("registry:catalog:*", user="owner").granted == {"registry:catalog": {"*"}}
    assert get("registry:catalog:*").access == {}


@pytest.mark.parametrize(
    "header",
    ["Basic b3duZXI6d3Jvbmc=", "Basic bm9ib2R5Ong=", "Basic b3duZXI6", "Basic !", "Basic", "Bearer abc", "Negotiate x"],
)
def test_wrong_credentials_are_never_a_token(owner: Actor, public: int, header: str) -> None:
    answer = get("repository:public/r:pull", HTTP_AUTHORIZATION=header)
    assert_refused(answer, 401, "UNAUTHORIZED")
    assert "WWW-Authenticate" in answer.headers


def test_a_wrong_password_and_an_unknown_name_look_alike(owner: Actor) -> None:
    wrong, unknown = get(user="owner", password="x"), get(user="nobody")
    assert (wrong.status, wrong.headers, wrong.body) == (unknown.status, unknown.headers, unknown.body)


def test_a_disabled_account(owner: Actor) -> None:
    assert get(user="owner").status == 200
    User.objects.update(is_active=False)
    assert_refused(get(user="owner"), 401, "UNAUTHORIZED")


def test_guessing(owner: Actor) -> None:
    statuses = [get(user="owner", password=f"guess{number}").status for number in range(10)]
    assert statuses == [401] * 5 + [429] * 5
    answer = get(user="owner", password="guess11")
    assert_refused(answer, 429, "TOOMANYREQUESTS")
    assert int(answer.headers["Retry-After"]) >= 1
    assert get(user="owner", REMOTE_ADDR="192.0.2.2").status == 200


def test_password_grant(private: int, owner: Actor) -> None:
    answer = post(
        grant_type="password", service="haven-registry", client_id="containerd", username="owner", password=PASSWORD,
        scope="repository:private/r:pull,push repository:other/x:pull",
    )  # fmt: skip
    assert answer.status == 200
    assert answer.granted == {"repository:private/r": {"pull", "push"}}
    assert answer.body["scope"] == "repository:private/r:pull,push"


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"grant_type": "password", "username": "owner", "password": "wrong"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password", "username": "owner", "password": ""}, 401, "UNAUTHORIZED"),
        ({"grant_type": "password"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 401, "UNAUTHORIZED"),
        ({"grant_type": "client_credentials"}, 400, "UNSUPPORTED"),
        ({}, 400, "UNSUPPORTED"),
    ],
)
def test_other_forms(owner: Actor, form: dict[str, str], status: int, code: str) -> None:
    assert_refused(post(**form), status, code)


def test_bodies_are_bounded(owner: Actor) -> None:
    huge = b"a" * (MAX_BODY_BYTES + 1)
    assert_refused(call("POST", body=huge), 413, "SIZE_INVALID")
    assert_refused(call("POST", body=huge, CONTENT_LENGTH=""), 413, "SIZE_INVALID")
    assert_refused(call("POST", body=b"a=1&" * 300), 400, "UNSUPPORTED")
    assert_refused(call("POST", body=b"\xff\xfe"), 400, "UNSUPPORTED")
    assert_refused(call("GET", "scope=&" * 300), 400, "UNSUPPORTED")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(method: str) -> None:
    answer = call(method)
    assert_refused(answer, 405, "UNSUPPORTED")
    assert answer.headers["Allow"] == "GET, POST"


def test_head_has_no_body() -> None:
    answer = call("HEAD")
    assert (answer.status, answer.body) == (405, {})


@pytest.mark.parametrize("service", ["haven-registry", "harbor-registry", "other", ""])
def test_any_service_is_ours(owner: Actor, service: str) -> None:
    pair = base64.b64encode(f"owner:{PASSWORD}".encode()).decode()
    query = urlencode({"service": service, "account": "owner", "client_id": "docker", "offline_token": "true"})
    answer = call("GET", query, HTTP_AUTHORIZATION=f"Basic {pair}")
    assert answer.status == 200
    assert verify_token(answer.body["token"]).sub == "owner"
