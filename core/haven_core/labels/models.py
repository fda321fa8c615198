"""Labels at rest."""

from django.db import models
from django.db.models import Q

from haven_core.db.fields import NameField
from haven_core.db.keys import reference
from haven_core.projects.models import Project


class Label(models.Model):
    """A word with a colour: of one project, or without one for all. Written by labels.services."""

    project = reference(Project, null=True)
    name = NameField(max_length=128)
    description = models.CharField(max_length=2048, default="", blank=True)
    color = models.CharField(max_length=16, default="", blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "label"
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(project=None), name="label_global_name"),
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(project__isnull=False), name="label_project_name"
            ),
        ]
