"""Publishing events."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from haven_core.db import backend

_ROWS_PER_INSERT = 500


def publish(topic: str, now: datetime, **payload: Any) -> None:
    """Record an event in the caller's transaction; it exists exactly when the change does. Payload: ids and short texts."""
    publish_many(topic, [(now, payload)])


def publish_many(topic: str, events: Sequence[tuple[datetime, dict[str, Any]]]) -> None:
    """Record events (time, payload) of one topic, in few statements."""
    one = f"(%s, %s, %s, {backend.transaction_number()})"
    for start in range(0, len(events), _ROWS_PER_INSERT):
        rows = events[start : start + _ROWS_PER_INSERT]
        values = [value for moment, payload in rows for value in (topic, json.dumps(payload), moment)]
        write = backend.ahead if len(rows) == 1 else backend.sql
        write(
            "INSERT INTO outbox_event (topic, payload, created_at, transaction_number) VALUES "
            + ", ".join([one] * len(rows)),
            *values,
        )
