"""Projects and who belongs to them."""

from django.db import models
from django.db.models import Q

from haven_core.accounts.models import User
from haven_core.db.fields import NameField
from haven_core.db.keys import reference
from haven_core.groups.models import UserGroup
from haven_core.rbac.models import CustomRole


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
    """A role of a person or of a group in a project: one of Harbor's (the numbers are haven_core.domain.roles) or a
    custom one. Written by members.services; goes with the person or the group."""

    project = reference(Project, db_index=False)
    user = reference(User, null=True)
    group = reference(UserGroup, null=True)
    role = models.SmallIntegerField(null=True)
    custom_role = reference(CustomRole, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "project_member"
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="project_member_once"),
            models.UniqueConstraint(fields=["project", "group"], name="project_member_group_once"),
            models.CheckConstraint(condition=Q(user=None) ^ Q(group=None), name="project_member_is_somebody"),
            models.CheckConstraint(condition=Q(role=None) ^ Q(custom_role=None), name="project_member_has_a_role"),
        ]
