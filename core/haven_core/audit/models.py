"""The audit log at rest."""

from django.db import models
from django.db.models import F


class AuditLog(models.Model):
    """Something somebody did, or tried. Written by audit.consumer only, from the outbox, and never changed.

    event_id: the outbox event it was made of; unique, so that no event is written down twice.
    project_id: no key, since the log outlives the project; null for what belongs to none.
    address: the client's, as the gateway named it; '' for Haven's own work.
    """

    event_id = models.BigIntegerField(unique=True)
    op_time = models.DateTimeField()
    username = models.CharField(max_length=255)
    address = models.CharField(max_length=64)
    operation = models.CharField(max_length=32)
    resource_type = models.CharField(max_length=64)
    resource = models.CharField(max_length=1024)
    project_id = models.BigIntegerField(null=True)
    description = models.CharField(max_length=1200)
    is_success = models.BooleanField()

    class Meta:
        db_table = "audit_log"
        indexes = [
            # with is_success, which the older list filters by, both count without the table
            models.Index(F("op_time").desc(), F("id").desc(), "is_success", name="audit_log_newest"),
            models.Index("project_id", F("op_time").desc(), F("id").desc(), "is_success", name="audit_log_project"),
        ]
