"""Allowlists at rest."""

from django.db import models
from django.db.models import Q

from haven_core.db.keys import reference
from haven_core.projects.models import Project


class CveAllowlist(models.Model):
    """CVE ids that stop no pull: of one project, or the system's, which has none. No row is an empty list.

    items: the ids, sorted. expires_at: Unix seconds, null for never; an expired list counts as empty.
    """

    project = reference(Project, null=True, db_index=False)
    items = models.JSONField(default=list)
    expires_at = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "cve_allowlist"
        constraints = [
            models.UniqueConstraint(fields=["project"], name="cve_allowlist_project"),
            models.UniqueConstraint(
                models.Value(1), condition=Q(project=None), name="cve_allowlist_system"
            ),  # one row at most
        ]
