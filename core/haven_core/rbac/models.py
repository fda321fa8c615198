"""Roles beyond Harbor's five."""

from django.db import models


class CustomRole(models.Model):
    """A named set of project permissions, usable in a membership like one of Harbor's roles. Written by rbac.services.

    permissions: a list of "resource:action" texts of permissions.PROJECT_PERMISSIONS.
    A membership that has the role keeps the row (a foreign key without cascade).
    """

    name = models.CharField(max_length=64, unique=True)
    description = models.CharField(max_length=255, default="", blank=True)
    permissions = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "custom_role"
