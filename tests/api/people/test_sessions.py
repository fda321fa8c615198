"""/c/login and what comes with it: cookies, the token against cross-site requests."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from haven_core.accounts import policy
from haven_core.accounts.models import Session, User
from haven_core.accounts.services import deactivate
from haven_core.projects.models import Project
from tests.api.conftest import PASSWORD
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "X-Harbor-CSRF-Token"


class Browser:
    """Keeps cookies, and sends the last token it was told, as Harbor's portal does."""

    def __init__(self) -> None:
        self.client = Client()
        self.token = self.client.get("/api/v2.0/systeminfo")[HEADER]

    def send(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Any:
        sent = self.token if token is None else token
        extra: dict[str, Any] = {"headers": {**({HEADER: sent} if sent else {}), **headers}}
        if body is not None:
            kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
            extra |= {"data": body, "content_type": kind}
        response = getattr(self.client, method.lower())(path, **extra)
        self.token = response.get(HEADER, self.token)
        return response

    def log_in(self, name: str = "owner", password: str = PASSWORD) -> Any:
        return self.send("POST", "/c/login", f"principal={name}&password={password}")


@pytest.fixture
def browser(users: dict[str, int]) -> Browser:
    return Browser()


def test_log_in_and_out(browser: Browser) -> None:
    response = browser.log_in()
    assert (response.status_code, response.content) == (200, b"")
    cookie = response.cookies["sid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/", "")
    assert browser.send("GET", "/api/v2.0/users/current").json()["username"] == "owner"
    assert cookie.value.encode() not in bytes(Session.objects.get().key)
    value = browser.client.cookies["sid"].value
    assert browser.send("GET", "/c/log_out").status_code == 200
    assert not Session.objects.exists()
    browser.client.cookies["sid"] = value
    assert_error(browser.send("GET", "/api/v2.0/users/current"), 401, "UNAUTHORIZED")


def test_cookies_are_secure_behind_tls(users: dict[str, int]) -> None:
    client = Client()
    token = client.get("/api/v2.0/systeminfo", secure=True)[HEADER]
    body = f"principal=owner&password={PASSWORD}"
    form = "application/x-www-form-urlencoded"
    response = client.post("/c/login", body, content_type=form, secure=True, headers={HEADER: token})
    assert response.cookies["sid"]["secure"]
    assert client.cookies["_gorilla_csrf"]["secure"]
    assert client.cookies["_gorilla_csrf"]["samesite"] == "Strict"


@pytest.mark.parametrize(("name", "password"), [("owner", "wrong"), ("nobody", PASSWORD), ("", ""), ("owner", "")])
def test_a_wrong_log_in(browser: Browser, name: str, password: str) -> None:
    response = browser.log_in(name, password)
    assert_error(response, 401, "UNAUTHORIZED")
    assert "WWW-Authenticate" not in response
    assert "sid" not in response.cookies
    assert not Session.objects.exists()


def test_guesses_at_the_form_are_throttled(browser: Browser) -> None:
    for number in range(5):
        assert browser.log_in("owner", f"wrong{number}").status_code == 401
    assert_error(browser.log_in(), 429, "TOO_MANY_REQUEST")
    assert not Session.objects.exists()


def test_a_cookie_somebody_planted_is_not_the_one_logged_in(browser: Browser) -> None:
    browser.client.cookies["sid"] = "planted"
    browser.log_in()
    assert browser.client.cookies["sid"].value != "planted"
    first = browser.client.cookies["sid"].value
    browser.log_in("guest")
    assert browser.client.cookies["sid"].value != first
    assert Session.objects.count() == 1


def test_a_session_needs_the_token(browser: Browser) -> None:
    browser.log_in()
    body = {"project_name": "p"}
    for token, message in (("", "CSRF token not found in request"), ("abc", "CSRF token invalid")):
        response = browser.send("POST", "/api/v2.0/projects", body, token=token)
        assert_error(response, 403, "FORBIDDEN")
        assert response.json()["errors"][0]["message"] == message
    strange = Browser().token
    assert_error(browser.send("POST", "/api/v2.0/projects", body, token=strange), 403, "FORBIDDEN")
    assert_error(browser.send("POST", "/api/v2.0/projects", body, Origin="https://evil.example"), 403, "FORBIDDEN")
    assert not Project.objects.exists()
    browser.send("GET", "/api/v2.0/users/current")
    assert browser.send("POST", "/api/v2.0/projects", body, Origin="http://testserver").status_code == 201


def test_a_forged_cookie_gives_no_token(browser: Browser) -> None:
    browser.log_in()
    browser.client.cookies["_gorilla_csrf"] = "A" * 86 + "=="
    assert_error(browser.send("POST", "/api/v2.0/projects", {"project_name": "p"}), 403, "FORBIDDEN")
    assert not Project.objects.exists()


def test_logging_in_needs_the_token_too(users: dict[str, int]) -> None:
    body = f"principal=owner&password={PASSWORD}"
    response = Client().post("/c/login", body, content_type="application/x-www-form-urlencoded")
    assert_error(response, 403, "FORBIDDEN")
    assert not Session.objects.exists()


def test_a_form_without_script_may_send_the_token_as_a_field(browser: Browser) -> None:
    from urllib.parse import urlencode

    body = urlencode({"principal": "owner", "password": PASSWORD, "gorilla.csrf.Token": browser.token})
    assert browser.send("POST", "/c/login", body, token="").status_code == 200


def test_a_client_that_sends_its_password_may_keep_cookies(browser: Browser, users: dict[str, int]) -> None:
    """What breaks on Harbor: its second request carries the cookie that its first was given."""
    from base64 import b64encode

    browser.log_in("stranger")
    basic = f"Basic {b64encode(f'owner:{PASSWORD}'.encode()).decode()}"
    for name in ("p1", "p2"):
        response = browser.send("POST", "/api/v2.0/projects", {"project_name": name}, token="", Authorization=basic)
        assert response.status_code == 201
        assert not response.cookies
    assert set(Project.objects.values_list("owner_id", flat=True)) == {users["owner"]}
    wrong = f"Basic {b64encode(b'owner:wrong').decode()}"
    assert_error(browser.send("GET", "/api/v2.0/users/current", Authorization=wrong), 401, "UNAUTHORIZED")


def test_a_session_ends_with_time_and_is_renewed_by_use(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    real, passed = timezone.now, [timedelta()]

    def now() -> datetime:
        return real() + passed[0]

    monkeypatch.setattr(timezone, "now", now)
    browser.log_in()
    current = "/api/v2.0/users/current"
    passed[0] = timedelta(minutes=50)
    assert browser.send("GET", current).status_code == 200  # moves the end to 110 minutes
    passed[0] = timedelta(minutes=100)
    kept = browser.send("GET", current, **{"X-Harbor-No-Session-Renewal": "true"})
    assert kept.status_code == 200
    passed[0] = timedelta(minutes=111)
    assert_error(browser.send("GET", current), 401, "UNAUTHORIZED")
    browser.log_in()
    assert Session.objects.count() == 1  # the old one was swept


@pytest.mark.parametrize("change", ["password", "deactivate"])
def test_a_changed_account_has_no_session(browser: Browser, users: dict[str, int], change: str) -> None:
    other = Browser()
    for one in (browser, other):
        assert one.log_in().status_code == 200
    if change == "deactivate":
        deactivate(user_id=users["owner"])
    else:
        body = {"old_password": PASSWORD, "new_password": "Another1horse"}
        response = browser.send("PUT", f"/api/v2.0/users/{users['owner']}/password", body)
        assert response.status_code == 200
        assert browser.send("GET", "/api/v2.0/users/current").status_code == 200  # who changed it stays
    assert_error(other.send("GET", "/api/v2.0/users/current"), 401, "UNAUTHORIZED")


def test_a_password_others_chose_must_be_changed_first_but_only_in_sessions(
    browser: Browser, users: dict[str, int], api: Any
) -> None:
    User.objects.filter(username="owner").update(must_change_password=True)
    assert browser.log_in().status_code == 200
    assert browser.send("GET", "/api/v2.0/users/current").status_code == 200
    assert_error(browser.send("GET", "/api/v2.0/projects"), 403, "FORBIDDEN")
    assert_error(browser.send("POST", "/api/v2.0/projects", {"project_name": "p"}), 403, "FORBIDDEN")
    assert not Project.objects.exists()
    assert api("GET", "/projects", user="owner").status_code == 200
    body = {"old_password": PASSWORD, "new_password": "Another1horse"}
    assert browser.send("PUT", f"/api/v2.0/users/{users['owner']}/password", body).status_code == 200
    assert browser.send("POST", "/api/v2.0/projects", {"project_name": "p"}).status_code == 201


def test_self_registration(browser: Browser, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    new = {"username": "ann", "realname": "Ann", "email": "ann@example.com", "password": "Another1horse"}
    assert_error(browser.send("POST", "/api/v2.0/users", new), 401, "UNAUTHORIZED")
    assert_error(api("POST", "/users", new, user="owner"), 403, "FORBIDDEN")
    assert_error(browser.send("POST", "/c/userExists", "target=username&value=owner"), 412, "PRECONDITION")
    monkeypatch.setattr(policy, "self_registration", lambda: True)
    assert_error(api("POST", "/users", new, user="owner"), 403, "FORBIDDEN")
    assert_error(browser.send("POST", "/api/v2.0/users", new, token=""), 403, "FORBIDDEN")
    assert not User.objects.filter(username="ann").exists()
    assert browser.send("POST", "/c/userExists", "target=username&value=ann").json() is False
    assert browser.send("POST", "/api/v2.0/users", {**new, "sysadmin_flag": True}).status_code == 201
    assert not User.objects.get(username="ann").is_sysadmin
    assert browser.send("POST", "/c/userExists", "target=email&value=ann@example.com").json() is True
    assert_error(browser.send("POST", "/c/userExists", "target=password&value=x"), 400, "BAD_REQUEST")


def test_who_may_create_users_may_while_strangers_register_themselves(
    users: dict[str, int], api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    permission = {"kind": "system", "namespace": "/", "access": [{"resource": "user", "action": "create"}]}
    body = {"name": "hr", "level": "system", "duration": -1, "permissions": [permission]}
    robot = api("POST", "/robots", body, user="root").json()
    new = {"username": "ann", "realname": "Ann", "email": "ann@example.com", "password": "Another1horse"}
    monkeypatch.setattr(policy, "self_registration", lambda: True)
    assert_error(api("POST", "/users", new, user="stranger"), 403, "FORBIDDEN")
    assert api("POST", "/users", new, user=robot["name"], password=robot["secret"]).status_code == 201
