"""The pure part of slowing down guesses."""

import pytest

from haven_core.accounts.throttle import FREE_FAILURES, MAX_DELAY_SECONDS, delay_after, key_of


def test_a_few_typos_are_free_then_the_delay_doubles_up_to_a_bound() -> None:
    assert [delay_after(failures) for failures in range(FREE_FAILURES)] == [0] * FREE_FAILURES
    assert [delay_after(FREE_FAILURES + over) for over in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delay_after(10_000) == MAX_DELAY_SECONDS == 60


@pytest.mark.parametrize(
    ("first", "second"),
    [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:192.0.2.1", "192.0.2.1"), ("unix:", "unix:")],
)
def test_one_clients_addresses_count_together(first: str, second: str) -> None:
    assert key_of("ann", first) == key_of("ann", second)


def test_other_names_and_networks_are_not_locked_out() -> None:
    keys = {
        key_of("ann", "192.0.2.1"),
        key_of("bob", "192.0.2.1"),
        key_of("ann", "192.0.2.2"),
        key_of("ann", "2001:db8::1"),
    }
    assert len(keys) == 4
