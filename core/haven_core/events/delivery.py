"""Consuming events: each consumer in its own pace, none lost, none taken twice.

Ids come from a sequence and transactions commit in another order, so "after the last id I saw" would miss the event of a
slow transaction. Events are therefore read in the order (transaction number, id), and only those of transactions older
than every one still running: nothing can appear behind the cursor any more.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.events.models import DeliveryCursor, OutboxEvent

BATCH = 500
# After a move to another PostgreSQL server events are offered again from this many ids before the cursor: more than can
# have been in flight. Consumers know events by their ids.
_OVERLAP = 1000

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the outbox."""

    id: int
    topic: str
    payload: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """What waits for a consumer: the events after its place `start`, in order, and the place behind the last."""

    consumer: str
    start: Place
    end: Place
    events: tuple[Event, ...]


def waiting(consumer: str, limit: int = BATCH) -> Delivery:
    """The next events of a consumer, at most `limit`. Nothing is locked or changed: see take()."""
    start = _place(consumer)
    rows = backend.sql(
        "SELECT id, topic, payload, created_at, transaction_number FROM outbox_event "
        f"WHERE (transaction_number, id) > (%s, %s) AND {backend.settled('transaction_number')} "
        "ORDER BY transaction_number, id LIMIT %s",
        *start, limit,
    )  # fmt: skip
    events = tuple(Event(row[0], row[1], json.loads(row[2]), backend.as_datetime(row[3])) for row in rows)
    return Delivery(consumer, start, (rows[-1][4], rows[-1][0]) if rows else start, events)


def take(delivery: Delivery) -> bool:
    """In the transaction that writes what the consumer made of the events: move its cursor behind them. False when another
    process was faster; then write nothing. Locks: delivery_cursor."""
    moved = DeliveryCursor.objects.filter(
        consumer=delivery.consumer, transaction_number=delivery.start[0], event_id=delivery.start[1]
    ).update(transaction_number=delivery.end[0], event_id=delivery.end[1])
    return bool(moved)


def forget_events(before: datetime) -> int:
    """Delete events older than `before` that every consumer has taken; returns how many."""
    places = list(DeliveryCursor.objects.values_list("transaction_number", "event_id"))
    if not places:
        return 0
    number, event_id = min(places)
    deleted = backend.sql(
        "DELETE FROM outbox_event WHERE created_at < %s AND (transaction_number, id) <= (%s, %s) RETURNING 1",
        before, number, event_id,
    )  # fmt: skip
    return len(deleted)


def _place(consumer: str) -> Place:
    find = "SELECT transaction_number, event_id FROM delivery_cursor WHERE consumer = %s"
    rows = backend.sql(find, consumer)
    if not rows:
        backend.insert(
            DeliveryCursor, ["consumer", "transaction_number", "event_id"], [(consumer, 0, 0)],
            on_conflict="(consumer) DO NOTHING", returning=("consumer",),
        )  # fmt: skip
        rows = backend.sql(find, consumer)
    number, event_id = rows[0]
    newest = backend.newest_transaction()
    return _start_over(consumer, newest) if number > newest else (number, event_id)


def _start_over(consumer: str, newest: int) -> Place:
    """The database was restored into another PostgreSQL server, which numbers transactions from its own start."""

    def write() -> Place:
        cursor = DeliveryCursor.objects.filter(consumer=consumer)
        [(number, event_id)] = backend.locked(cursor.values_list("transaction_number", "event_id"), "UPDATE")
        if number <= newest:
            return number, event_id  # another process was first
        OutboxEvent.objects.filter(transaction_number__gt=newest).update(transaction_number=0)
        place = (0, max(0, event_id - _OVERLAP))
        cursor.update(transaction_number=place[0], event_id=place[1])
        return place

    return run_write(write)
