"""How often things are pulled. A pull itself writes nothing: counts arrive in batches."""

from datetime import date

from django.db import models

from haven_core.db.fields import DigestField
from haven_core.db.keys import reference
from haven_registry.models.repositories import Repository


class PullDaily(models.Model):
    """Pulls of a manifest on one day (UTC), by the tag asked for ('' when by digest). No key to the manifest: its row must
    not be touched by counting, and the count outlives it.

    pulls, last_pulled_at: 0 and NULL where the configuration says not to count, or not to keep times (services.pulls).
    What is older than the days that are kept is in a row of the day EARLIER, and of the digest GONE once the repository
    has no such manifest: sums stay right, rows do not grow without end (services.pull_days).
    """

    EARLIER = date(1970, 1, 1)
    GONE = "sha256:" + "0" * 64
    repository = reference(Repository, db_index=False)
    manifest_digest = DigestField()
    tag_name = models.CharField(max_length=128, default="", blank=True)
    day = models.DateField()
    pulls = models.BigIntegerField()
    last_pulled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "pull_daily"
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "manifest_digest", "tag_name", "day"], name="pull_daily_once"
            ),
        ]
        indexes = [
            models.Index(fields=["repository", "day"], name="pull_daily_series"),
            models.Index(fields=["day"], name="pull_daily_day"),
        ]


class PullBatch(models.Model):
    """A batch of counts that was added; its id makes adding it twice impossible."""

    batch_id = models.UUIDField(primary_key=True)
    applied_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "pull_batch"
