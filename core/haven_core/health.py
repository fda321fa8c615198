"""Whether the parts of this installation answer. Rooms register what they depend on; nothing here knows them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from haven_core.caches import TimedCache

CACHE_SECONDS = 10.0

Check = Callable[[], None]
_log = logging.getLogger(__name__)
_checks: dict[str, tuple[Check, bool]] = {}
_cache: "TimedCache[str, tuple[ComponentState, ...]]" = TimedCache(seconds=CACHE_SECONDS, limit=1)


@dataclass(frozen=True, slots=True)
class ComponentState:
    """A component and whether it answers. is_required: without it the whole is unhealthy."""

    name: str
    is_healthy: bool
    is_required: bool


def register_check(name: str, check: Check, *, is_required: bool = True) -> None:
    """At start: `check` returns when the component answers and raises anything when it does not, within two seconds."""
    _checks[name] = (check, is_required)
    _cache.clear()


def component_states() -> tuple[ComponentState, ...]:
    """All components, as of at most CACHE_SECONDS ago: probes come often, and from strangers."""
    states = _cache.get("all")
    if states is None:
        states = tuple(
            ComponentState(name, _answers(name, check), is_required) for name, (check, is_required) in _checks.items()
        )
        _cache.put("all", states)
    return states


def forget_states() -> None:
    """Look again at the next question."""
    _cache.clear()


def _answers(name: str, check: Check) -> bool:
    try:
        check()
    except Exception:  # noqa: BLE001  # whatever a component raises means that it does not answer
        _log.warning("health check failed: %s", name, exc_info=True)  # details are for the log, not for strangers
        return False
    return True
