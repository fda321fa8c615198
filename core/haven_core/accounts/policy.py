"""What an installation decides about accounts: the keys `self_registration` and `session_timeout` of Harbor's
configuration, with Harbor's defaults."""

from datetime import timedelta


def self_registration() -> bool:
    """Whether strangers may make themselves an account."""
    return False


def session_timeout() -> timedelta:
    """How long a session lives without a request."""
    return timedelta(minutes=60)
