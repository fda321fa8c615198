"""Tables of retention."""

from django.db import models

from haven_core.db.keys import reference
from haven_core.projects.models import Project


class RetentionPolicy(models.Model):
    """A project's retention policy; a project has one at most, and names it in its metadata (`retention_id`).

    rules: as haven_core.retention.policies checked them, in Harbor's JSON. cron: '' is by hand only. mode: whether
    artifacts (Harbor) or single tags are judged. Removed by the API only, together with its executions.
    """

    ARTIFACT, TAG = "artifact", "tag"
    project = models.OneToOneField(Project, on_delete=models.DO_NOTHING, related_name="+")
    rules = models.JSONField()
    trigger_kind = models.CharField(max_length=16, default="Schedule", blank=True)
    cron = models.CharField(max_length=128, default="", blank=True)
    mode = models.CharField(max_length=8, default=ARTIFACT)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "retention_policy"


class RetentionExecution(models.Model):
    """A run of a policy, by its rules and mode at that time; the newest of a policy are kept.

    job_id: the execution of jobs (haven_core.jobs) that does it. Status and ended_at follow that one's, in its own
        transactions. No enforced reference: each has a history of its own length.
    """

    PENDING, RUNNING, SUCCESS, ERROR, STOPPED = "Pending", "Running", "Success", "Error", "Stopped"
    policy = reference(RetentionPolicy)
    trigger = models.CharField(max_length=16)
    started_by = models.CharField(max_length=300, default="", blank=True)
    is_dry_run = models.BooleanField()
    rules = models.JSONField()
    mode = models.CharField(max_length=8)
    status = models.CharField(max_length=8, default=PENDING)
    job_id = models.BigIntegerField(null=True, db_index=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "retention_execution"


class RetentionTask(models.Model):
    """An execution's work in one repository. repository: its name below the project, which outlives it."""

    execution = reference(RetentionExecution)
    repository_id = models.BigIntegerField()
    repository = models.CharField(max_length=255)
    status = models.CharField(max_length=8, default=RetentionExecution.PENDING)
    total = models.IntegerField(default=0)
    retained = models.IntegerField(default=0)
    log = models.TextField(default="", blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "retention_task"
