"""What can go wrong with a job that removes things. Raised inside it, when the rest is done; jobs try it again."""

from haven_core.errors import HavenError


class ClockWrong(HavenError):
    """The clock of a machine that collects garbage is off the database's. The message says by how much."""

    message = "this machine's clock is off the database's"


class GcIncomplete(HavenError):
    """A garbage collection left projects out, because something went wrong in them. The message says how many."""

    message = "a project could not be collected"


class RetentionFailed(HavenError):
    """A repository's part of a retention run went wrong. The message says how many."""

    message = "the retention of a repository failed"
