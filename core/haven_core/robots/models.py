"""Robots, their secrets and their permissions. Written by robots.services only."""

from django.db import models
from django.db.models import Q

from haven_core.db.fields import NameField
from haven_core.db.keys import reference
from haven_core.projects.models import Project


class Robot(models.Model):
    """An account for programs. It logs in as `robot$name`, one of a project as `robot$project+name`.

    project: the project it belongs to; None is a system robot. Goes with its project.
    duration_days: what was asked for; -1 is for ever. expires_at: None is never.
    epoch: grows with every loss of rights; tokens made under another epoch are worthless.
    creator_type: `local` (a user) or `robot`; with creator_id it is only told, never followed.
    """

    project = reference(Project, null=True, db_index=False)
    name = NameField(max_length=255)
    description = models.TextField(default="", blank=True)
    duration_days = models.IntegerField()
    expires_at = models.DateTimeField(null=True, blank=True)
    is_disabled = models.BooleanField(default=False)
    epoch = models.IntegerField(default=0)
    creator_type = models.CharField(max_length=16)
    creator_id = models.BigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "robot"
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(project=None), name="robot_system_name"),
            models.UniqueConstraint(fields=["project", "name"], name="robot_project_name"),
        ]


class RobotPermission(models.Model):
    """Permissions of a robot in one place. Replaced whole when a robot is updated; gone with robot or project.

    scope: `system`, `all` (every project, also later ones) or `project`, which alone has a project. Projects are kept by
    id: a new project under an old name inherits nothing. access: sorted [resource, action] pairs.
    """

    robot = reference(Robot, db_index=False)
    scope = models.CharField(max_length=8)
    project = reference(Project, null=True)
    access = models.JSONField()

    class Meta:
        db_table = "robot_permission"
        constraints = [
            models.UniqueConstraint(fields=["robot", "scope", "project"], name="robot_permission_once"),
            models.CheckConstraint(
                condition=Q(scope="project", project__isnull=False)
                | Q(scope__in=["system", "all"], project__isnull=True),
                name="robot_permission_scope",
            ),
        ]


class RobotSecret(models.Model):
    """A secret a robot may log in with. Several live while it is exchanged for a new one.

    hash: robots.secrets. expires_at: when a secret that was replaced ends; None is with the robot.
    last_used_at, last_used_from: its last login, told up to a minute late (haven_core.uses).
    """

    robot = reference(Robot)
    hash = models.CharField(max_length=255)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = "robot_secret"
