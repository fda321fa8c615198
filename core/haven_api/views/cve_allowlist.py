"""/system/CVEAllowlist, and the form of every allowlist."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.serializers import CveAllowlistBody
from haven_api.views.base import ApiView, timestamp
from haven_core.cve.services import Allowlist, allowlists, set_allowlist
from haven_core.rbac.permissions import Action, Resource, require_system

_EPOCH = datetime.fromtimestamp(0, UTC)


class SystemCveAllowlist(ApiView):
    """The list that counts in every project that takes it (reuse_sys_cve_allowlist)."""

    def get(self, _request: Request) -> Response:
        """Read, with any account."""
        self.require_login()
        return Response(render_allowlist(allowlists([None]).get(None), project_id=0))

    @extend_schema(request=CveAllowlistBody)
    def put(self, request: Request) -> Response:
        """Replace."""
        require_system(self.actor, Resource.CONFIGURATION, Action.UPDATE)
        body = CveAllowlistBody(data=request.data)
        body.is_valid(raise_exception=True)
        save_allowlist(None, body.validated_data)
        return Response(status=200)


def save_allowlist(project_id: int | None, sent: dict[str, Any]) -> None:
    """Store a validated CveAllowlistBody. Raises BadRequest."""
    items = [item["cve_id"] for item in sent.get("items") or ()]
    set_allowlist(project_id=project_id, items=items, expires_at=sent.get("expires_at"))


def render_allowlist(found: Allowlist | None, *, project_id: int) -> dict[str, Any]:
    """A list as Harbor's API shows it; one that was never set is empty. project_id 0: the system's."""
    return {
        "id": found.id if found else 0,
        "project_id": project_id,
        "items": [{"cve_id": cve_id} for cve_id in found.items] if found else [],
        "expires_at": found.expires_at if found else None,
        "creation_time": timestamp(found.created_at if found else _EPOCH),
        "update_time": timestamp(found.updated_at if found else _EPOCH),
    }
