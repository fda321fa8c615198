"""What a project may store, and what it does."""

from django.db import models
from django.db.models import Q

from haven_core.db.keys import one_to_one
from haven_core.projects.models import Project


class ProjectQuota(models.Model):
    """The project's hot row, apart from `project` so that charging never touches the row other keys point at.

    used_bytes = sum of project_blob.size + sum of manifest.payload_size (an fsck invariant). Written only by
    quotas.services.charge, as the last statement of a transaction. hard_bytes: None is unlimited. limited_at: when that
    was last set by hand.
    """

    project = one_to_one(Project, primary_key=True)
    hard_bytes = models.BigIntegerField(null=True, blank=True)
    used_bytes = models.BigIntegerField(default=0)
    limited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "project_quota"
        constraints = [models.CheckConstraint(condition=Q(used_bytes__gte=0), name="project_quota_used")]
