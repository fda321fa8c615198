"""Repositories."""

from django.db import models
from django.db.models import F, Q

from haven_core.db.fields import NameField
from haven_core.db.keys import reference
from haven_core.models import Project


class Repository(models.Model):
    """A name below a project.

    name: without the project's. full_name: 'project/name', as clients say it; it can be stored because project
        names never change, and makes lookups and the catalog (byte order of full names) one index. fsck watches it.
    appeared_at: when its first manifest came; until then it holds uploads only, and no list shows it.
    In the trash, deleted_at hides everything below at once; nothing below is touched before purge_after. deleted_by: the
    actor's name, '' for Haven itself.
    """

    project = reference(Project)
    name = NameField(max_length=255)
    full_name = NameField(max_length=511)
    description = models.TextField(default="", db_default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    appeared_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    purge_after = models.DateTimeField(null=True, blank=True)
    deleted_by = models.CharField(max_length=300, default="", db_default="", blank=True)

    class Meta:
        db_table = "repository"
        constraints = [
            models.UniqueConstraint(fields=["full_name"], condition=Q(deleted_at=None), name="repository_name"),
            models.CheckConstraint(
                condition=Q(deleted_at=None, purge_after=None) | Q(deleted_at__isnull=False, purge_after__isnull=False),
                name="repository_trash",
            ),
        ]
        indexes = [
            models.Index(fields=["purge_after"], condition=Q(purge_after__isnull=False), name="repository_purge"),
            # the lists' order, of all and of one project; with the project inside, they also count without the table
            models.Index(
                F("created_at").desc(),
                F("id").desc(),
                "project",
                condition=Q(deleted_at=None),
                name="repository_newest",
            ),
            models.Index(
                "project", F("created_at").desc(), F("id").desc(), condition=Q(deleted_at=None), name="repository_in"
            ),
        ]
