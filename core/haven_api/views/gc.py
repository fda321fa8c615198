"""/system/gc."""

from typing import ClassVar

from haven_api.views import job_runs
from haven_core.rbac.permissions import Resource
from haven_gc import job


class _Gc(job_runs.JobView):
    kind: ClassVar[str] = job.KIND
    resource: ClassVar[Resource] = Resource.GARBAGE_COLLECTION
    path: ClassVar[str] = "/system/gc"
    checked_parameters = staticmethod(job.checked_parameters)


class GcHistory(_Gc, job_runs.RunHistory):
    """The collection."""


class OneGc(_Gc, job_runs.OneRun):
    """One run."""


class GcLog(_Gc, job_runs.RunLog):
    """Its log."""


class GcSchedule(_Gc, job_runs.RunSchedule):
    """The schedule."""
