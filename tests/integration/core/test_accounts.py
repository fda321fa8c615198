"""Accounts."""

import pytest

from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.models import User
from haven_core.accounts.selectors import find_account
from haven_core.accounts.services import create_user, deactivate, ensure_admin, generate_password, set_password
from haven_core.domain.actor import Actor
from haven_core.errors import BadRequest, Conflict, NotFound

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct1horse"


def test_create_and_find() -> None:
    user_id = create_user(username="ann", password=PASSWORD, email="ann@example.com", realname="Ann")
    account = find_account(Actor("user", user_id, "ann", is_sysadmin=False), user_id)
    assert account is not None
    assert (account.username, account.email, account.realname, account.is_sysadmin) == (
        "ann", "ann@example.com", "Ann", False,
    )  # fmt: skip
    assert PASSWORD not in User.objects.get().password


def test_a_name_is_taken_once_and_free_after_a_delete() -> None:
    create_user(username="ann", password=PASSWORD)
    with pytest.raises(Conflict):
        create_user(username="ann", password=PASSWORD)
    assert User.objects.count() == 1
    User.objects.update(deleted_at="2026-01-01T00:00:00Z")
    create_user(username="ann", password=PASSWORD)


@pytest.mark.parametrize("password", ["", "Short1a", "alllower1", "ALLUPPER1", "NoDigits", "Aa1" + "x" * 126])
def test_the_password_rule(password: str) -> None:
    with pytest.raises(BadRequest):
        create_user(username="ann", password=password)
    user_id = create_user(username="bob", password=PASSWORD)
    with pytest.raises(BadRequest):
        set_password(user_id=user_id, password=password)
    assert User.objects.count() == 1
    assert User.objects.get().credential_epoch == 0


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "a\nb"])
def test_the_name_rule(name: str) -> None:
    with pytest.raises(BadRequest):
        create_user(username=name, password=PASSWORD)
    assert not User.objects.exists()


def test_the_first_administrator_with_a_generated_password() -> None:
    password = ensure_admin(None)
    assert password is not None
    actor = verify_basic("admin", password)
    assert actor is not None
    assert actor.is_sysadmin
    assert User.objects.get().must_change_password
    assert ensure_admin(None) is None
    assert ensure_admin("Another1horse") is None
    assert verify_basic("admin", "Another1horse") is None


def test_the_first_administrator_with_a_given_password() -> None:
    with pytest.raises(BadRequest):
        ensure_admin("weak")
    assert not User.objects.exists()
    assert ensure_admin(PASSWORD) is None
    assert verify_basic("admin", PASSWORD)
    assert not User.objects.get().must_change_password


def test_a_deleted_administrator_does_not_come_back() -> None:
    ensure_admin(PASSWORD)
    User.objects.update(deleted_at="2026-01-01T00:00:00Z")
    assert ensure_admin(PASSWORD) is None
    assert verify_basic("admin", PASSWORD) is None


def test_generated_passwords_satisfy_the_rule() -> None:
    passwords = {generate_password() for _ in range(200)}
    assert len(passwords) == 200
    for password in passwords:
        assert any(map(str.isupper, password))
        assert any(map(str.islower, password))
        assert any(map(str.isdigit, password))


def test_changes_bump_the_epoch_and_need_somebody() -> None:
    user_id = create_user(username="ann", password=PASSWORD)
    set_password(user_id=user_id, password="Another1horse")
    deactivate(user_id=user_id)
    row = User.objects.get()
    assert (row.credential_epoch, row.is_active) == (2, False)
    for change in (lambda: set_password(user_id=99, password=PASSWORD), lambda: deactivate(user_id=99)):
        with pytest.raises(NotFound):
            change()
