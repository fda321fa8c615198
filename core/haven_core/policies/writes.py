"""Hooks asked before a request that would change something, on /v2 and on /api."""

from collections.abc import Callable

from haven_core.configuration import selectors as configuration
from haven_core.errors import HavenError

WritePolicy = Callable[[], None]

_policies: list[WritePolicy] = []


class ReadOnly(HavenError):
    """The administrator has stopped all changes (harbor: src/server/middleware/readonly)."""

    status = 403
    oci_code = api_code = "DENIED"
    message = "The system is in read only mode. Any modification is prohibited."


def register_write_policy(policy: WritePolicy) -> None:
    """At start: `policy` returns, or raises the HavenError the client gets. In order of registration; once each."""
    if policy not in _policies:
        _policies.append(policy)


def before_write() -> None:
    """Ask all. What they know may be STALENESS_SECONDS of the configuration old: a request let in just before the
    change still ends."""
    for policy in _policies:
        policy()


def refuse_when_read_only() -> None:
    """The policy of the key read_only. Background work goes on: it keeps promises that were made before."""
    if configuration.value("read_only"):
        raise ReadOnly
