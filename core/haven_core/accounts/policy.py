"""What an installation decides about accounts, by Harbor's configuration keys. Changes count within
configuration.selectors.STALENESS_SECONDS."""

from datetime import timedelta

from haven_core.configuration import selectors as configuration


def self_registration() -> bool:
    """Whether strangers may make themselves an account."""
    return bool(configuration.value("self_registration"))


def session_timeout() -> timedelta:
    """How long a session lives without a request; at most a year, which keeps its end within the calendar."""
    return timedelta(minutes=min(int(configuration.value("session_timeout")), 525_600))
