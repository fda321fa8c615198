"""Projects and who belongs to them."""

from django.db import models
from django.db.models import Q

from haven_core.accounts.models import User
from haven_core.db.fields import NameField
from haven_core.db.keys import reference


class Project(models.Model):
    """The unit of ownership, visibility and quota. `metadata` holds Harbor's string map without `public`."""

    name = NameField(max_length=255)
    owner = reference(User, null=True, db_index=False)
    is_public = models.BooleanField(default=False)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "project"
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(deleted_at=None), name="project_name"),
        ]


class ProjectMember(models.Model):
    """A person's role in a project; the numbers are Harbor's role ids (haven_core.domain.roles)."""

    project = reference(Project, db_index=False)
    user = reference(User)
    role = models.SmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "project_member"
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="project_member_once")]
