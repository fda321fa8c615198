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
from haven_core.projects.models import Project
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


def end_sessions() -> None:
    """As time would."""
    Session.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def test_a_session_that_ended_says_so_and_leads_back(signed_in: Callable[..., Browser]) -> None:
    browser = signed_in("root")
    assert "Your session has ended." not in Browser().text("/sign-in")
    end_sessions()
    asked = browser.get("/activity?user=x")
    assert asked["Location"] == "/sign-in?next=%2Factivity%3Fuser%3Dx"
    assert "Your session has ended. Sign in to go on." in browser.text(asked["Location"])
    assert browser.sign_in("root")["Location"] == "/"
    browser.post("/sign-out")
    assert "Your session has ended." not in browser.text("/sign-in")


@pytest.mark.parametrize(
    ("referer", "back"),
    [("http://testserver/projects/-/new?x=1", "?next=%2Fprojects%2F-%2Fnew%3Fx%3D1"), ("https://evil.example/a", ""), ("", "")],
)  # fmt: skip
def test_a_form_sent_too_late_leads_back_to_its_page(
    signed_in: Callable[..., Browser], referer: str, back: str
) -> None:
    browser = signed_in("root")
    end_sessions()
    browser.client.defaults["HTTP_REFERER"] = referer
    assert browser.post("/projects/-/new", name="late")["Location"] == f"/sign-in{back}"
    assert not Project.objects.filter(name="late").exists()


def test_a_part_of_a_page_is_of_the_same_person(signed_in: Callable[..., Browser]) -> None:
    """Also where nobody would get one: it would show less than the page it goes into."""
    browser = signed_in("root")
    part = {"hx-request": "true", "hx-current-url": "http://testserver/projects/?q=a", "x-haven-user": "root"}
    assert browser.get("/projects/?q=b", **part).status_code == 200
    for who in ("owner", "nobody%20at%20all"):
        other = browser.get("/projects/?q=b", **{**part, "x-haven-user": who})
        assert (other.status_code, other["HX-Redirect"]) == (401, "/sign-in?next=%2Fprojects%2F%3Fq%3Da")
    end_sessions()
    assert browser.get("/projects/?q=b", **part).status_code == 401
    assert browser.get("/projects/?q=b", **{**part, "x-haven-user": ""}).status_code == 200


def test_signing_in_above_a_page(signed_in: Callable[..., Browser]) -> None:
    """What haven.js asks before it sends a form that stood open for long."""
    part = {"hx-request": "true", "hx-current-url": "/-/session"}
    browser = signed_in("root")
    assert browser.get("/-/session", **part).status_code == 204
    end_sessions()
    over = browser.get("/-/session", **part)
    assert (over.status_code, over["HX-Redirect"]) == (401, "/sign-in?next=%2F-%2Fsession")
    form = browser.get(over["HX-Redirect"], **part).content.decode()
    assert "<html" not in form
    assert 'name="next" value="/-/session"' in form
    browser.client.defaults["HTTP_HX_REQUEST"] = "true"
    wrong = browser.post("/sign-in", username="root", password="Wrong1word", next="/-/session")
    assert wrong.status_code == 401
    assert "The user name or the password is wrong." in wrong.content.decode()
    assert "<html" not in wrong.content.decode()
    right = browser.post("/sign-in", username="root", password=PASSWORD, next="/-/session")
    assert (right.status_code, right["Location"]) == (303, "/-/session")
    assert browser.get("/-/session").status_code == 204
