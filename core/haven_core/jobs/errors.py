"""What can't be done with jobs."""

from haven_core.errors import Conflict, HavenError, NotFound


class ExecutionUnknown(NotFound):
    """No such execution or task, or it is no longer kept."""

    message = "no such execution"


class AlreadyRunning(Conflict):
    """An exclusive job is asked for while one is active."""

    message = "a job of this kind is in progress, so the request cannot be served"


class ScheduleUnknown(NotFound):
    """Nothing is scheduled."""

    message = "no such schedule"


class JobStopped(HavenError):
    """Somebody stopped the task. Raised inside the work, by Run.check(); goes up through it to the runner."""

    message = "the job was stopped"


class LeaseLost(HavenError):
    """The task belongs to somebody else by now: this worker was taken for dead. Raised inside the work; nothing more of
    it is recorded."""

    message = "the task was given to another worker"
