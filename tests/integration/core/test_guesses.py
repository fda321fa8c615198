"""Guesses, counted in the database for all processes together."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from haven_core.accounts import credentials, throttle
from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.models import FailedLogins
from haven_core.domain.actor import Actor
from haven_core.errors import TooManyRequests
from tests.support.races import THREADS, at_once, shared_database

__all__ = ["shared_database"]

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "192.0.2.1"
PASSWORD = "Correct1horse"


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """Append to it and the clock moves."""
    passed: list[timedelta] = []
    real = timezone.now

    def now() -> datetime:
        return real() + sum(passed, timedelta())

    monkeypatch.setattr(timezone, "now", now)
    return passed


def fail(times: int) -> None:
    for _ in range(times):
        throttle.failed(throttle.begin("ann", HERE))


def test_the_delay_grows_and_attempts_inside_it_count_nothing(transactional_db: None, moved: list[timedelta]) -> None:
    fail(throttle.FREE_FAILURES)
    delays = []
    for _ in range(8):
        for _ in range(2):
            with pytest.raises(TooManyRequests) as refused:
                throttle.begin("ann", HERE)
        delays.append(refused.value.retry_after_seconds)
        moved.append(timedelta(seconds=refused.value.retry_after_seconds))
        throttle.failed(throttle.begin("ann", HERE))
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert FailedLogins.objects.values_list("count", flat=True).get() == throttle.FREE_FAILURES + 8


def test_success_and_time_clear_the_count(transactional_db: None, moved: list[timedelta]) -> None:
    fail(throttle.FREE_FAILURES)
    moved.append(timedelta(seconds=1))
    throttle.succeeded(throttle.begin("ann", HERE))
    assert not FailedLogins.objects.exists()
    fail(throttle.FREE_FAILURES)
    moved.append(timedelta(seconds=throttle.FORGET_SECONDS + 1))
    fail(1)
    assert FailedLogins.objects.values_list("count", flat=True).get() == 1


def test_another_process_sees_the_count(owner: Actor) -> None:
    for number in range(throttle.FREE_FAILURES):
        assert verify_basic("owner", f"guess{number}", address=HERE) is None
    credentials.forget_credentials()  # as a process that never saw these requests
    with pytest.raises(TooManyRequests):
        verify_basic("owner", PASSWORD, address=HERE)
    assert verify_basic("owner", PASSWORD, address="192.0.2.9") == owner


def test_guesses_that_arrive_together_are_one_guess_and_refusals(shared_database: None, moved: list[timedelta]) -> None:
    fail(throttle.FREE_FAILURES)
    moved.append(timedelta(seconds=1))

    def attempt(_: int) -> object:
        try:
            return throttle.begin("ann", HERE)
        except TooManyRequests as refused:
            return refused

    outcomes = at_once(attempt)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Attempt": 1, "TooManyRequests": THREADS - 1}


def test_a_database_that_takes_no_writes_leaves_a_wrong_password_wrong(
    owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise DatabaseError("database or disk is full")

    monkeypatch.setattr(throttle, "run_write", no_room)
    assert verify_basic("owner", "Wrong1wrong", address=HERE) is None
    assert verify_basic("owner", PASSWORD, address=HERE) == owner
