"""/ping, /health, /systeminfo, /api/version."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView, timestamp
from haven_core.conf import config
from haven_core.health import component_states

# Tools read the shape vX.Y.Z-<commit>; X.Y is the release of Harbor whose API this is.
HARBOR_VERSION = "v2.15.0-haven"


class OpenView(ApiView):
    """Answers without looking at who asks, so also without a database."""

    authentication_classes = []


class Version(OpenView):
    """GET /api/version: other Harbors choose their adapter by it."""

    def get(self, _request: Request) -> Response:
        return Response({"version": "v2.0"})


class Ping(OpenView):
    """GET /ping: the process answers."""

    def get(self, _request: Request) -> HttpResponse:
        return HttpResponse("Pong", content_type="text/plain; charset=utf-8")


class Health(OpenView):
    """GET /health: each component; always 200 (Harbor), the words say how it is."""

    def get(self, _request: Request) -> Response:
        states = component_states()
        well = all(state.is_healthy for state in states if state.is_required)
        components = [
            {"name": state.name, "status": "healthy"}
            if state.is_healthy
            else {"name": state.name, "status": "unhealthy", "error": "does not answer"}
            for state in states
        ]
        return Response({"status": "healthy" if well else "unhealthy", "components": components})


class SystemInfo(ApiView):
    """GET /systeminfo: a little for everybody, more after login."""

    def get(self, request: Request) -> Response:
        info: dict[str, Any] = {
            "auth_mode": "db_auth",
            "primary_auth_mode": False,
            "self_registration": False,
            "banner_message": "",
            "oidc_provider_name": "",
        }
        if not self.actor.is_anonymous:
            external_url = config().external_url or f"{request.scheme}://{request.get_host()}"
            info |= {
                "harbor_version": HARBOR_VERSION,
                "external_url": external_url,
                "registry_url": external_url.partition("://")[2],
                "project_creation_restriction": "everyone",
                "has_ca_root": False,
                "read_only": False,
                "notification_enable": False,
                "registry_storage_provider_name": "s3" if config().storage_url.startswith("s3:") else "filesystem",
                "current_time": timestamp(timezone.now()),
            }
        return Response(info)
