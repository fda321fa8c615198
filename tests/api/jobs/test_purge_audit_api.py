"""/system/purgeaudit: what goes from the audit log."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from haven_core.audit.models import AuditLog
from haven_core.jobs.models import Execution, Schedule
from tests.api.settings.support import Call, assert_error, ok

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lines(users: dict[str, int]) -> None:
    """Two of each of three kinds, an hour old and ten days old."""
    now = timezone.now()
    number = 1000
    for operation, resource_type in (("create", "artifact"), ("delete", "tag-retention"), ("pull", "artifact")):
        for age in (timedelta(hours=1), timedelta(days=10)):
            number += 1
            AuditLog.objects.create(
                event_id=number, op_time=now - age, username="u", address="", operation=operation,
                resource_type=resource_type, resource="r", project_id=None, description="", is_success=True,
            )  # fmt: skip


def left() -> list[tuple[str, bool]]:
    limit = timezone.now() - timedelta(days=1)
    rows = AuditLog.objects.filter(event_id__gt=1000).order_by("event_id").values_list("operation", "op_time")
    return [(operation, op_time < limit) for operation, op_time in rows]


def purge(api: Call, work_off: Callable[[], int], **parameters: Any) -> dict[str, Any]:
    body = {"schedule": {"type": "Manual"}, "parameters": {"audit_retention_hour": 24, **parameters}}
    path = ok(api("POST", "/system/purgeaudit/schedule", body, user="root"), 201)["Location"]
    work_off()
    run = ok(api("GET", path.removeprefix("/api/v2.0"), user="root")).json()
    assert (run["job_name"], run["job_status"]) == ("PURGE_AUDIT_LOG", "Success")
    return json.loads(run["job_parameters"])  # type: ignore[no-any-return]


def test_by_event_type_and_age(api: Call, lines: None, work_off: Callable[[], int]) -> None:
    types = "create_artifact, delete_tag_retention"
    assert purge(api, work_off, include_event_types=types, dry_run=True)["purged"] == 2
    assert len(left()) == 6
    assert purge(api, work_off, include_event_types=types)["purged"] == 2
    assert left() == [("create", False), ("delete", False), ("pull", False), ("pull", True)]


def test_by_operation(api: Call, lines: None, work_off: Callable[[], int]) -> None:
    assert (
        purge(api, work_off, include_operations="pull", audit_retention_hour=10**9)["audit_retention_hour"] == 240_000
    )
    assert len(left()) == 6
    assert purge(api, work_off, include_operations="pull")["purged"] == 1
    assert ("pull", True) not in left()


@pytest.mark.parametrize(
    "parameters",
    [
        {}, {"audit_retention_hour": 24}, {"include_operations": "pull"},
        {"audit_retention_hour": 0, "include_operations": "pull"},
        {"audit_retention_hour": "24", "include_operations": "pull"},
        {"audit_retention_hour": 24, "include_operations": 1},
        {"audit_retention_hour": 24, "include_operations": "pull", "dry_run": "no"},
    ],
)  # fmt: skip
def test_parameters_that_are_none(api: Call, lines: None, parameters: dict[str, Any]) -> None:
    for word in ("Manual", "Daily"):
        body = {"schedule": {"type": word}, "parameters": parameters}
        assert_error(api("POST", "/system/purgeaudit/schedule", body, user="root"), 400, "BAD_REQUEST")
    assert (Execution.objects.count(), Schedule.objects.count(), len(left())) == (0, 0, 6)
