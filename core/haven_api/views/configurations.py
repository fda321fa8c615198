"""/configurations."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView
from haven_core.configuration import selectors, services
from haven_core.configuration.keys import KEYS, Kind
from haven_core.rbac.permissions import Action, Resource, require_system

# Scans are not scheduled by a configuration key any more; Harbor still shows this
_SCAN_ALL_POLICY = {"type": "none", "parameter": {"daily_time": 0}}
_JSON_TYPES = {Kind.TEXT: "string", Kind.SECRET: "string", Kind.BOOLEAN: "boolean", Kind.NUMBER: "integer"}
_BODY = {
    "application/json": {
        "type": "object",
        "properties": {key.name: {"type": _JSON_TYPES[key.kind], "nullable": True} for key in KEYS.values()},
    }
}


class Configurations(ApiView):
    """Every key with its value and whether it can be changed; secrets are never shown."""

    passes_read_only = True  # or nobody could end the read-only mode

    def get(self, _request: Request) -> Response:
        """Read, as of now."""
        require_system(self.actor, Resource.CONFIGURATION, Action.READ)
        body: dict[str, Any] = {
            name: {"value": value, "editable": selectors.is_editable(name)}
            for name, value in selectors.all_values().items()
        }
        return Response({**body, "scan_all_policy": _SCAN_ALL_POLICY})

    @extend_schema(request=_BODY)
    def put(self, request: Request) -> Response:
        """Change what is sent; null is not sent."""
        require_system(self.actor, Resource.CONFIGURATION, Action.UPDATE)
        sent = request.data
        if not isinstance(sent, Mapping):
            raise ValidationError({"configurations": "must be an object"})
        changes = {name: value for name, value in sent.items() if value is not None and name in KEYS}
        wrong = {name: "has another type" for name, value in changes.items() if not KEYS[name].takes(value)}
        if wrong:
            raise ValidationError(wrong)
        self.audited_as = ", ".join(sorted(changes))
        services.update(changes)
        return Response(status=200)
