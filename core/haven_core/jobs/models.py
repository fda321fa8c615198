"""Executions and their tasks, logs, schedules, paused kinds, and the workers that are alive."""

from django.db import models
from django.db.models import Q

from haven_core.db.keys import reference


class Status(models.TextChoices):
    """Harbor's words. Scheduled: waits for its time, such as the next attempt."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    STOPPED = "Stopped"
    ERROR = "Error"
    SUCCESS = "Success"


WAITING = (Status.PENDING, Status.SCHEDULED)
ACTIVE = (*WAITING, Status.RUNNING)
FINAL = (Status.STOPPED, Status.ERROR, Status.SUCCESS)


class Trigger(models.TextChoices):
    """Why an execution began."""

    MANUAL = "MANUAL"
    SCHEDULE = "SCHEDULE"
    EVENT = "EVENT"


class Execution(models.Model):
    """One run of one kind of job: what was asked, by whom and why, and what came of it. Its status follows its tasks'.

    subject_id: what the kind works on, such as a policy; 0 for the whole registry.
    exclusive_key: taken while an exclusive execution is active, so that the database allows one of them at a time.
    schedule_id, fire_at: the schedule and the moment it fired for; together unique, so a moment never fires twice. No
        enforced reference: the history outlives its schedule.
    Written by jobs.services only; the oldest finished ones of a kind go when it has more than it keeps.
    """

    kind = models.CharField(max_length=64)
    subject_id = models.BigIntegerField(default=0)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    trigger = models.CharField(max_length=8, choices=Trigger.choices, default=Trigger.MANUAL)
    started_by = models.CharField(max_length=300, default="", blank=True)
    parameters = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    exclusive_key = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001  # NULLs are not unique
    schedule_id = models.BigIntegerField(null=True)
    fire_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "job_execution"
        constraints = [models.UniqueConstraint(fields=["schedule_id", "fire_at"], name="job_execution_fire_once")]
        indexes = [models.Index(fields=["kind", "subject_id", "-id"], name="job_execution_history")]


class Task(models.Model):
    """A piece of an execution that one worker does.

    fence: grows with every claim; a worker may write only under the number it claimed with, so one that was taken for
        dead and comes back changes nothing.
    process: the one of that worker that does it (haven_core.jobs.processes); '' where it can't be told.
    lease_until: until then the task belongs to `worker`; heartbeats move it on. NULL unless running.
    attempt: how often it was claimed since it last got on. checkpoint: where the work goes on after a crash or a failure;
        what is in it is the kind's business.
    run_after: when a waiting task may start. dispatched_at: when a worker was last told of it.
    phases: progress, [{name, total, done, bytes, started_at, ended_at}].
    """

    execution = reference(Execution)
    kind = models.CharField(max_length=64)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    parameters = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    error = models.TextField(default="", blank=True)
    attempt = models.IntegerField(default=0)
    checkpoint = models.JSONField(default=dict)
    fence = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=255, default="", blank=True)
    process = models.CharField(max_length=120, default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    run_after = models.DateTimeField()
    dispatched_at = models.DateTimeField(null=True)
    stop_requested_at = models.DateTimeField(null=True)
    phases = models.JSONField(default=list)
    log_lines = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "job_task"
        constraints = [
            models.CheckConstraint(
                condition=Q(status="Running", lease_until__isnull=False)
                | (~Q(status="Running") & Q(lease_until__isnull=True)),
                name="job_task_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["run_after"], condition=Q(status__in=["Pending", "Scheduled"]), name="job_task_due"),
            models.Index(fields=["lease_until"], condition=Q(status="Running"), name="job_task_running"),
        ]


class LogChunk(models.Model):
    """Lines of a task's log, written together: JSON objects {at, level, message, …}, one a line."""

    task = reference(Task)
    lines = models.TextField()

    class Meta:
        db_table = "job_log"


class Schedule(models.Model):
    """When a kind of job runs by itself; one for each kind and subject.

    word: Hourly, Daily, Weekly or Custom, as Harbor's clients said it. cron: six fields, UTC.
    armed_at: when next_fire_at was computed. Later than now, the clock went back, and it is computed again.
    """

    kind = models.CharField(max_length=64)
    subject_id = models.BigIntegerField(default=0)
    word = models.CharField(max_length=8)
    cron = models.CharField(max_length=128)
    parameters = models.JSONField(default=dict)
    created_by = models.CharField(max_length=300, default="", blank=True)
    next_fire_at = models.DateTimeField(db_index=True)
    armed_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "job_schedule"
        constraints = [models.UniqueConstraint(fields=["kind", "subject_id"], name="job_schedule_once")]


class Pause(models.Model):
    """A kind whose waiting tasks don't start for now, or SCHEDULER: nothing fires."""

    SCHEDULER = "SCHEDULER"
    kind = models.CharField(max_length=64, primary_key=True)
    paused_at = models.DateTimeField()

    class Meta:
        db_table = "job_pause"


class Worker(models.Model):
    """A Celery worker that was alive at heartbeat_at. It writes its own row; rows of dead ones go by the clock."""

    name = models.CharField(max_length=255, primary_key=True)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    concurrency = models.IntegerField()
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()

    class Meta:
        db_table = "job_worker"
