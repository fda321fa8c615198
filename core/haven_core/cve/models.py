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
    is_system = models.BooleanField(default=False)
    items = models.JSONField(default=list)
    expires_at = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "cve_allowlist"
        constraints = [
            models.UniqueConstraint(fields=["project"], name="cve_allowlist_project"),
            models.UniqueConstraint(fields=["is_system"], condition=Q(is_system=True), name="cve_allowlist_system"),
            models.CheckConstraint(
                condition=Q(is_system=True, project=None) | Q(is_system=False, project__isnull=False),
                name="cve_allowlist_belongs",
            ),
        ]
