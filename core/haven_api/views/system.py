"""/ping, /health, /systeminfo, /api/version."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView, timestamp
from haven_core.conf import config
from haven_core.configuration import selectors as configuration
from haven_core.errors import NotFound
from haven_core.health import component_states
from haven_core.rbac.permissions import Action, Resource, require_system

# Tools read the shape vX.Y.Z-<commit>; X.Y is the release of Harbor whose API this is.
HARBOR_VERSION = "v2.15.0-haven"
_ANYBODYS = ("auth_mode", "primary_auth_mode", "self_registration", "banner_message")


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
        info: dict[str, Any] = {name: configuration.value(name) for name in _ANYBODYS}
        info["oidc_provider_name"] = configuration.value("oidc_name")
        if not self.actor.is_anonymous:
            external_url = config().external_url or f"{request.scheme}://{request.get_host()}"
            info |= {
                "harbor_version": HARBOR_VERSION,
                "external_url": external_url,
                "registry_url": external_url.partition("://")[2],
                "project_creation_restriction": configuration.value("project_creation_restriction"),
                "has_ca_root": _authority().is_file(),
                "read_only": configuration.value("read_only"),
                "notification_enable": configuration.value("notification_enable"),
                "registry_storage_provider_name": "s3" if config().storage_url.startswith("s3:") else "filesystem",
                "current_time": timestamp(timezone.now()),
            }
        return Response(info)


class Volumes(ApiView):
    """GET /systeminfo/volumes: room on the disk of the blobs; nothing for a bucket, which has no end."""

    def get(self, _request: Request) -> Response:
        """Read. Bytes."""
        require_system(self.actor, Resource.SYSTEM_VOLUMES, Action.READ)
        parts = urlsplit(config().storage_url)
        if parts.scheme != "file":
            return Response({"storage": []})
        try:
            usage = shutil.disk_usage(unquote(parts.path))
        except OSError:
            raise NotFound("the storage folder is not there") from None
        return Response({"storage": [{"total": usage.total, "free": usage.free}]})


class Certificate(ApiView):
    """GET /systeminfo/getcert: the certificate authority that `haven up --tls` made, for clients to trust."""

    def get(self, _request: Request) -> HttpResponse:
        """Download."""
        try:
            content = _authority().read_bytes()
        except OSError:
            raise NotFound("no certificate found") from None
        disposition = {"Content-Disposition": "attachment; filename=ca.crt"}
        return HttpResponse(content, content_type="application/octet-stream", headers=disposition)


def _authority() -> Path:
    return config().data_dir / "tls" / "ca.crt"
