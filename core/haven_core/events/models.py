"""What happened, for whoever wants to know."""

from django.db import models


class OutboxEvent(models.Model):
    """An event of the transaction that wrote it: if the change is there, so is the event. Consumers keep their own place."""

    topic = models.CharField(max_length=64)
    payload = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "outbox_event"
