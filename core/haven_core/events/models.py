"""What happened, for whoever wants to know."""

from django.db import models


class OutboxEvent(models.Model):
    """An event of the transaction that wrote it: if the change is there, so is the event. Consumers keep their own place
    (DeliveryCursor).

    transaction_number: PostgreSQL's number of that transaction, 0 on SQLite, where ids follow the order of commits.
    """

    topic = models.CharField(max_length=64)
    payload = models.JSONField()
    transaction_number = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "outbox_event"
        indexes = [models.Index(fields=["transaction_number", "id"], name="outbox_event_order")]


class DeliveryCursor(models.Model):
    """How far a consumer has come: everything up to (transaction_number, event_id) has reached it. Moved in the
    transaction that holds what the consumer made of the events, so each is taken exactly once."""

    consumer = models.CharField(max_length=64, primary_key=True)
    transaction_number = models.BigIntegerField(default=0)
    event_id = models.BigIntegerField(default=0)

    class Meta:
        db_table = "delivery_cursor"
