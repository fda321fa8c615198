"""What can go wrong with a run of retention."""

from haven_core.errors import HavenError


class RetentionFailed(HavenError):
    """A repository's part of a retention run went wrong. Raised inside the job; its message says how many."""

    message = "the retention of a repository failed"
