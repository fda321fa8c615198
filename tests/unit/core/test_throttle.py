"""Slowing down guesses."""

import pytest

from haven_core.accounts.throttle import FORGET_SECONDS, FREE_FAILURES, MAX_DELAY_SECONDS, Throttle
from haven_core.errors import TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def failures(throttle: Throttle, count: int, address: str = "192.0.2.1") -> None:
    for _ in range(count):
        throttle.failed("ann", address)


def test_a_few_typos_are_free() -> None:
    throttle = Throttle(Clock())
    failures(throttle, FREE_FAILURES - 1)
    throttle.check("ann", "192.0.2.1")


def test_the_delay_doubles_up_to_a_bound() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    failures(throttle, FREE_FAILURES)
    delays = []
    for _ in range(8):
        with pytest.raises(TooManyRequests) as refused:
            throttle.check("ann", "192.0.2.1")
        delays.append(refused.value.retry_after_seconds)
        clock.now += refused.value.retry_after_seconds
        throttle.check("ann", "192.0.2.1")
        throttle.failed("ann", "192.0.2.1")
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert MAX_DELAY_SECONDS == 60


def test_other_names_and_networks_are_not_locked_out() -> None:
    throttle = Throttle(Clock())
    failures(throttle, 20)
    throttle.check("bob", "192.0.2.1")
    throttle.check("ann", "192.0.2.2")


@pytest.mark.parametrize(
    ("first", "second"),
    [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:192.0.2.1", "192.0.2.1"), ("unix:", "unix:")],
)
def test_one_clients_addresses_count_together(first: str, second: str) -> None:
    throttle = Throttle(Clock())
    failures(throttle, FREE_FAILURES, first)
    with pytest.raises(TooManyRequests):
        throttle.check("ann", second)


def test_success_and_time_clear_the_count() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    failures(throttle, FREE_FAILURES)
    throttle.succeeded("ann", "192.0.2.1")
    throttle.check("ann", "192.0.2.1")
    failures(throttle, FREE_FAILURES)
    clock.now += FORGET_SECONDS + 1
    failures(throttle, FREE_FAILURES - 1)
    throttle.check("ann", "192.0.2.1")
