"""Publishing events."""

import json
from datetime import datetime
from typing import Any

from haven_core.db import backend


def publish(topic: str, now: datetime, **payload: Any) -> None:
    """Record an event in the caller's transaction; it exists exactly when the change does. Payload: ids and short texts."""
    backend.sql(
        "INSERT INTO outbox_event (topic, payload, created_at) VALUES (%s, %s, %s)", topic, json.dumps(payload), now
    )
