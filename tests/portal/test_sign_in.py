"""Signing in and out: the session of the API, the way back, the lock, the password that must be changed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from haven_core.accounts.models import Session, User
from haven_core.accounts.services import create_user
from haven_core.accounts.sessions import COOKIE
from haven_core.accounts.throttle import FREE_FAILURES
from haven_core.audit.entries import API_WRITE
from haven_core.events.models import OutboxEvent
from tests.api.conftest import PASSWORD
from tests.portal.conftest import Browser

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_sign_in_leads_back_and_the_api_takes_the_session(users: dict[str, int], browser: Browser) -> None:
    asked = browser.get("/activity?user=x")
    assert asked.status_code == 302
    assert asked["Location"] == "/sign-in?next=%2Factivity%3Fuser%3Dx"
    answer = browser.post(asked["Location"], username="root", password=PASSWORD, next="/activity?user=x")
    assert (answer.status_code, answer["Location"]) == (303, "/activity?user=x")
    assert browser.client.cookies[COOKIE]["httponly"]
    assert browser.get("/activity?user=x").status_code == 200
    assert browser.get("/api/v2.0/users/current").json()["username"] == "root"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
def test_never_leads_elsewhere(users: dict[str, int], browser: Browser, elsewhere: str) -> None:
    assert browser.post("/sign-in", username="root", password=PASSWORD, next=elsewhere)["Location"] == "/"


def test_wrong_password_then_lock(users: dict[str, int], browser: Browser) -> None:
    for number in range(FREE_FAILURES):
        answer = browser.sign_in("owner", f"Wrong{number}word")
        assert answer.status_code == 401
        assert "The user name or the password is wrong." in answer.content.decode()
        assert 'value="owner"' in answer.content.decode()
    locked = browser.sign_in("owner")
    assert locked.status_code == 429
    assert "Too many failed attempts. Try again in" in locked.content.decode()
    assert COOKIE not in browser.client.cookies
    assert not Session.objects.exists()


def test_empty_fields_are_said_at_the_fields(browser: Browser) -> None:
    answer = browser.post("/sign-in", username="", password="")
    assert answer.status_code == 422
    assert answer.content.decode().count('aria-invalid="true"') == 2


def test_sign_out(signed_in: Callable[..., Browser], users: dict[str, int]) -> None:
    browser = signed_in("root")
    assert browser.post("/sign-out").status_code == 303
    assert not Session.objects.exists()
    assert "You are signed out." in browser.text("/")
    assert "You are signed out." not in browser.text("/")
    assert browser.get("/activity").status_code == 302


def test_generated_password_must_be_changed(browser: Browser) -> None:
    create_user(username="first", password=PASSWORD, is_sysadmin=True, must_change_password=True)
    browser.post("/sign-in", username="first", password=PASSWORD, next="/projects/")
    for path in ("/", "/projects/", "/activity", "/search?q=a"):
        assert browser.get(path)["Location"].startswith("/me/password")
    page = browser.text("/me/password?next=/projects/")
    assert "This password was generated for you." in page
    wrong = browser.post("/me/password", old="Wrong1horse", new="Battery2staple", again="Battery2staple")
    assert wrong.status_code == 422
    assert "The current password is wrong." in wrong.content.decode()
    weak = browser.post("/me/password", old=PASSWORD, new="weak", again="weak")
    assert weak.status_code == 422
    other = browser.post("/me/password", old=PASSWORD, new="Battery2staple", again="Battery3staple")
    assert "This is not the same as the new password." in other.content.decode()
    assert User.objects.get(username="first").must_change_password
    done = browser.post("/me/password", old=PASSWORD, new="Battery2staple", again="Battery2staple", next="/projects/")
    assert (done.status_code, done["Location"]) == (303, "/projects/")
    assert "Your password is changed." in browser.text("/projects/")
    assert not User.objects.get(username="first").must_change_password
    told = [event.payload for event in OutboxEvent.objects.filter(topic=API_WRITE).order_by("id")]
    assert [one["status"] for one in told] == [403, 200]
    assert "Battery2staple" not in str(told)


def test_a_form_without_the_token_changes_nothing(users: dict[str, int], browser: Browser) -> None:
    answer = browser.client.post("/sign-in", f"username=root&password={PASSWORD}", "application/x-www-form-urlencoded")
    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")
    assert not Session.objects.exists()


def test_a_poll_keeps_no_session_alive(signed_in: Callable[..., Browser]) -> None:
    browser = signed_in("root")
    Session.objects.update(expires_at=timezone.now() + timedelta(minutes=5))
    before = Session.objects.get().expires_at
    browser.get("/projects/", **{"x-harbor-no-session-renewal": "true"})
    assert Session.objects.get().expires_at == before
    browser.get("/projects/")
    assert Session.objects.get().expires_at != before
