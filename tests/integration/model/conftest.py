"""A registry on memory storage whose clock can be moved."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from haven_core.configuration.selectors import forget_configuration
from haven_core.policies import immutability
from haven_gc import clock as gc_clock
from haven_gc import fsck
from haven_registry.storage import open_storage
from tests.support.site import Site

_RACES = [
    "test_events_at_once.py",
    "test_immutability_races.py",
    "test_lent_connections.py",
    "test_messages.py",
    "test_tag_races.py",
    "test_unseen_races.py",
    "test_visibility.py",
]
collect_ignore = [] if connection.vendor == "postgresql" else _RACES


class Clock:
    """What timezone.now() answers; advance() moves it."""

    def __init__(self, real: Callable[[], datetime]) -> None:
        self._real, self._ahead = real, timedelta()

    def now(self) -> datetime:
        return self._real() + self._ahead

    def advance(self, **duration: float) -> None:
        """Move on by hours=…, minutes=…, days=…."""
        self._ahead += timedelta(**duration)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock(timezone.now)
    monkeypatch.setattr(timezone, "now", moved.now)
    monkeypatch.setattr(gc_clock, "database_now", moved.now)  # time goes on everywhere
    return moved


@pytest.fixture
def windows(settings: Any) -> Callable[..., None]:
    """Change windows: windows(gc_grace=0) takes hours."""

    def change(**hours: float) -> None:
        values: dict[str, Any] = {name: timedelta(hours=number) for name, number in hours.items()}
        settings.HAVEN = dataclasses.replace(settings.HAVEN, **values)

    change(
        upload_lease=24, head_margin=2, gc_grace=24, restore_window=168, untagged_age=24, upload_ttl=24, read_grace=1
    )
    return change


@pytest.fixture
def site(transactional_db: None, windows: Callable[..., None], clock: Clock) -> Iterator[Site]:
    """A fresh registry, which must be sound at the end whatever the test did."""
    immutability.forget_rules()  # another database's
    forget_configuration()
    fresh = Site(open_storage("memory://"))
    yield fresh
    assert fsck.check() == {}
    assert list(fsck.check_bytes(fresh.driver)) == []
