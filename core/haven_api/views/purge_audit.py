"""/system/purgeaudit."""

from typing import ClassVar

from haven_api.views import job_runs
from haven_core.rbac.permissions import Resource
from haven_gc import purge_audit


class _Purge(job_runs.JobView):
    kind: ClassVar[str] = purge_audit.KIND
    resource: ClassVar[Resource] = Resource.PURGE_AUDIT
    path: ClassVar[str] = "/system/purgeaudit"
    checked_parameters = staticmethod(purge_audit.checked_parameters)


class PurgeHistory(_Purge, job_runs.RunHistory):
    """The collection."""


class OnePurge(_Purge, job_runs.OneRun):
    """One run."""


class PurgeLog(_Purge, job_runs.RunLog):
    """Its log."""


class PurgeSchedule(_Purge, job_runs.RunSchedule):
    """The schedule."""
