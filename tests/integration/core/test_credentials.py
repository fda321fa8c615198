"""Names and passwords."""

import threading
import time
from collections.abc import Callable

import pytest

from haven_core.accounts import credentials, passwords
from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.models import User
from haven_core.accounts.services import deactivate, set_password
from haven_core.configuration import selectors as configuration
from haven_core.domain.actor import Actor
from haven_core.errors import TooManyRequests

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "Correct1horse"  # of the accounts that conftest makes


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


def test_right_and_wrong(owner: Actor) -> None:
    assert verify_basic("owner", PASSWORD) == owner
    for name, password in [
        ("owner", PASSWORD + "x"), ("owner", ""), ("Owner", PASSWORD), ("nobody", PASSWORD), ("", PASSWORD),
        ("owner\0", PASSWORD), ("owner", "x" * 129),
    ]:  # fmt: skip
        assert verify_basic(name, password) is None


def test_one_statement_and_one_hash(owner: Actor, hashes: list[str], django_assert_num_queries) -> None:
    configuration.value("robot_name_prefix")  # asked again every few seconds
    for statements in (2, 1, 1):  # the first also asks whether guesses were counted
        with django_assert_num_queries(statements):
            assert verify_basic("owner", PASSWORD) == owner
    assert hashes == [PASSWORD]


def test_a_verdict_lives_ten_seconds(owner: Actor, hashes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(credentials._verdicts, "_clock", lambda: now)
    verify_basic("owner", PASSWORD)
    now += 9.9
    verify_basic("owner", PASSWORD)
    assert len(hashes) == 1
    now += 0.2
    verify_basic("owner", PASSWORD)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda user_id: set_password(user_id=user_id, password="Another1horse"),
        lambda user_id: deactivate(user_id=user_id),
        lambda user_id: User.objects.filter(pk=user_id).update(deleted_at="2026-01-01T00:00:00Z"),
        lambda user_id: User.objects.filter(pk=user_id).update(credential_epoch=7, password=""),  # another process
    ],
)
def test_a_cached_verdict_dies_with_the_change(owner: Actor, change: Callable[[int], object]) -> None:
    assert verify_basic("owner", PASSWORD)
    change(owner.user_id)
    assert verify_basic("owner", PASSWORD) is None


def test_the_new_password_works_at_once(owner: Actor) -> None:
    assert verify_basic("owner", "Another1horse") is None
    set_password(user_id=owner.user_id, password="Another1horse")
    actor = verify_basic("owner", "Another1horse")
    assert actor is not None
    assert actor.epoch == 1


def test_fifty_equal_requests_share_one_hash(owner: Actor, hashes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    account = credentials._read("owner")
    monkeypatch.setattr(credentials, "_read", lambda _: account)  # threads would need connections of their own
    counted = passwords.matches

    def slow(password: str, stored: str | None) -> bool:
        time.sleep(0.2)
        return counted(password, stored)

    monkeypatch.setattr(passwords, "matches", slow)
    results: list[Actor | None] = []
    barrier = threading.Barrier(50)

    def ask() -> None:
        barrier.wait()
        results.append(verify_basic("owner", PASSWORD))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [owner] * 50
    assert hashes == [PASSWORD]


def test_who_waits_for_a_failing_leader_is_not_left_waiting(owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "matches", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        verify_basic("owner", PASSWORD)
    monkeypatch.undo()
    assert verify_basic("owner", PASSWORD) == owner


def test_unknown_names_cost_a_hash_too(owner: Actor, hashes: list[str]) -> None:
    assert verify_basic("nobody", "Guess1guess") is None
    deactivate(user_id=owner.user_id)
    assert verify_basic("owner", PASSWORD) is None
    assert hashes == ["Guess1guess", PASSWORD]


def test_guesses_are_slowed_down_without_locking_others_out(owner: Actor, hashes: list[str]) -> None:
    assert verify_basic("owner", PASSWORD, address="192.0.2.9") == owner
    for number in range(5):
        assert verify_basic("owner", f"guess{number}", address="192.0.2.1") is None
    credentials._verdicts.clear()
    for password in ("guess6", PASSWORD):  # the right guess does not tell itself
        with pytest.raises(TooManyRequests) as refused:
            verify_basic("owner", password, address="192.0.2.1")
        assert refused.value.retry_after_seconds == 1
    assert len(hashes) == 6  # what is refused costs nothing
    assert verify_basic("owner", PASSWORD, address="192.0.2.9") == owner


def test_a_client_that_repeats_its_wrong_password_counts_once(owner: Actor, hashes: list[str]) -> None:
    for _ in range(50):
        assert verify_basic("owner", "Wrong1wrong", address="192.0.2.1") is None
    assert hashes == ["Wrong1wrong"]
    assert verify_basic("owner", PASSWORD, address="192.0.2.1") == owner


def test_passwords_are_stored_with_harbors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert passwords.Hasher.iterations == 600_000
    assert passwords.hash_password("Correct1horse").startswith("pbkdf2_sha256$600000$")
