"""Read-only mode: on /api and on /v2."""

import base64
import io
import json
from typing import Any

import pytest

from haven_core.projects.models import Project
from haven_registry.models import Repository
from haven_registry.v2.app import application
from tests.api.conftest import PASSWORD
from tests.api.settings.support import Call, assert_error, ok

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = "The system is in read only mode. Any modification is prohibited."


def v2(method: str, path: str, user: str = "owner") -> tuple[int, dict[str, Any]]:
    pair = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "wsgi.input": io.BytesIO(),
        "CONTENT_LENGTH": "0", "REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "registry", "wsgi.url_scheme": "http",
        "HTTP_AUTHORIZATION": f"Basic {pair}",
    }  # fmt: skip
    body = b"".join(application(environ, lambda status, _headers: answered.append(status)))
    return int(answered[0].split()[0]), json.loads(body or b"{}")


def test_nothing_changes(api: Call, projects: dict[str, int]) -> None:
    ok(api("PUT", "/configurations", {"read_only": True}, user="root"))
    before = list(Project.objects.order_by("id").values())
    for method, path, body in (
        ("POST", "/projects", {"project_name": "p"}), ("DELETE", "/projects/private", None),
        ("PUT", "/projects/private", {"metadata": {"auto_scan": "true"}}),
    ):  # fmt: skip
        for user in ("", "owner", "root"):
            assert_error(api(method, path, body, user=user), 403, "DENIED", WORDS)
    assert list(Project.objects.order_by("id").values()) == before
    ok(api("GET", "/projects/private", user="owner"))
    assert api("GET", "/systeminfo", user="owner").json()["read_only"] is True
    status, body = v2("POST", "/v2/private/app/blobs/uploads/")
    assert (status, body["errors"][0]["code"], body["errors"][0]["message"]) == (403, "DENIED", WORDS)
    assert v2("DELETE", "/v2/private/app/manifests/v1")[0] == 403
    assert not Repository.objects.exists()
    assert v2("GET", "/v2/")[0] == 200
    ok(api("PUT", "/configurations", {"read_only": False}, user="root"))
    assert v2("POST", "/v2/private/app/blobs/uploads/")[0] == 202
    ok(api("POST", "/projects", {"project_name": "p"}, user="owner"), 201)
