"""/system/purgeaudit."""

from collections.abc import Mapping
from typing import Any, ClassVar

from haven_api.views import job_runs
from haven_core.rbac.permissions import Resource
from haven_gc import purge_audit


class _Purge(job_runs.JobView):
    kind: ClassVar[str] = purge_audit.KIND
    resource: ClassVar[Resource] = Resource.PURGE_AUDIT
    path: ClassVar[str] = "/system/purgeaudit"

    @staticmethod
    def checked_parameters(sent: Mapping[str, Any]) -> dict[str, Any]:
        return purge_audit.checked_parameters(sent)


class PurgeHistory(_Purge, job_runs.RunHistory):
    """The collection."""


class OnePurge(_Purge, job_runs.OneRun):
    """One run."""


class PurgeLog(_Purge, job_runs.RunLog):
    """Its log."""


class PurgeSchedule(_Purge, job_runs.RunSchedule):
    """The schedule."""
