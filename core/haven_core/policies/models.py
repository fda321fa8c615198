"""Rules that protect tags."""

from django.db import models

from haven_core.db.keys import reference
from haven_core.projects.models import Project


class ImmutableRule(models.Model):
    """A project's rule: which tags can't change once they exist. Written by the API only.

    repository, tag: {"kind", "decoration", "pattern", "extras"}; Harbor uses the first selector of each only.
    fingerprint: SHA-256 of what the rule says, so that a project has it once.
    """

    project = reference(Project, db_index=False)
    is_disabled = models.BooleanField(default=False)
    priority = models.IntegerField(default=0)
    params = models.JSONField(default=dict)
    repository = models.JSONField()
    tag = models.JSONField()
    fingerprint = models.BinaryField(max_length=32)

    class Meta:
        db_table = "immutable_rule"
        constraints = [models.UniqueConstraint(fields=["project", "fingerprint"], name="immutable_rule_once")]
