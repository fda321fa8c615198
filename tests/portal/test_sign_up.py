"""Strangers make themselves an account, where the configuration lets them."""

import pytest

from haven_core.accounts.models import User
from haven_core.audit.entries import API_WRITE
from haven_core.configuration import services as settings
from haven_core.events.models import OutboxEvent
from tests.api.conftest import PASSWORD
from tests.portal.conftest import Browser

pytestmark = pytest.mark.usefixtures("users")
FIELDS = {
    "username": "anne",
    "realname": "Anne A",
    "email": "anne@example.com",
    "password": PASSWORD,
    "again": PASSWORD,
}


@pytest.fixture
def is_open(users: dict[str, int]) -> None:
    settings.update({"self_registration": True})


def test_there_is_no_such_page_unless_it_is_switched_on(browser: Browser) -> None:
    assert "/sign-up" not in browser.text("/sign-in")
    assert browser.get("/sign-up").status_code == 404
    assert browser.post("/sign-up", **FIELDS).status_code == 404
    assert not User.objects.filter(username="anne").exists()


@pytest.mark.usefixtures("is_open")
def test_an_account_is_made_and_signs_in(browser: Browser) -> None:
    assert 'href="/sign-up?next=/projects/"' in browser.text("/sign-in?next=/projects/")
    assert 'name="again"' in browser.text("/sign-up?next=/projects/")
    done = browser.post("/sign-up", **FIELDS, next="/projects/")
    assert (done.status_code, done["Location"]) == (303, "/sign-in?next=%2Fprojects%2F")
    assert "Your account is ready. Sign in." in browser.text(done["Location"])
    made = User.objects.get(username="anne")
    assert (made.realname, made.email, made.is_sysadmin, made.is_auditor) == (
        "Anne A",
        "anne@example.com",
        False,
        False,
    )
    assert browser.sign_in("anne").status_code == 303
    assert browser.get("/sign-up")["Location"] == "/"
    told = str(list(OutboxEvent.objects.values_list("payload", flat=True)))
    assert PASSWORD not in told
    assert OutboxEvent.objects.get(topic="user.created", payload__name="anne").payload["by"] == "anne"
    assert [event.payload["status"] for event in OutboxEvent.objects.filter(topic=API_WRITE)] == [200]


@pytest.mark.usefixtures("is_open")
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"username": "a,b"}, "none of these: , &quot; ~ # % $ : \\"),
        ({"realname": "a#b"}, "none of these: , ~ # $ %"),
        ({"email": "no address"}, "This is no e-mail address."),
        ({"password": "weak", "again": "weak"}, "8 to 128 characters"),
        ({"again": "Another1word"}, "This is not the same as the password."),
        ({"username": "owner"}, "An account with this name or e-mail address already exists."),
        ({"username": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(browser: Browser, changed: dict[str, str], words: str) -> None:
    before = set(User.objects.values_list("username", flat=True))
    answer = browser.post("/sign-up", **{**FIELDS, **changed})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert PASSWORD not in answer.content.decode()
    assert set(User.objects.values_list("username", flat=True)) == before


@pytest.mark.usefixtures("is_open")
def test_read_only_makes_nobody(browser: Browser) -> None:
    settings.update({"read_only": True})
    answer = browser.post("/sign-up", **FIELDS)
    assert answer.status_code == 403
    assert not User.objects.filter(username="anne").exists()
