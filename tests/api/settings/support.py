"""What the tests of this folder share."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from haven_core.audit.consumer import consume
from haven_core.audit.models import AuditLog

Call = Callable[..., HttpResponse]


def assert_error(response: Any, status: int, code: str, words: str = "") -> None:
    """The error envelope with this status and code, saying `words`."""
    assert response.status_code == status, response.content
    [error] = response.json()["errors"]
    assert error["code"] == code
    assert error["message"]
    assert words in error["message"]


def ok(response: Any, status: int = 200) -> Any:
    """The response, which must have this status."""
    assert response.status_code == status, response.content
    return response


def audit_log() -> list[AuditLog]:
    """What the log holds once everything waiting is written down, in the order of happening."""
    while consume():
        pass
    return list(AuditLog.objects.order_by("op_time", "id"))
