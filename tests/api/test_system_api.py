"""Versions, health, the caller, and errors of no view in particular."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.apps import apps
from django.http import HttpResponse
from django.middleware.common import CommonMiddleware
from django.test import Client
from django.utils import timezone

from haven_api.views import system
from haven_core import checks, health
from haven_core.jobs.models import Worker
from haven_core.jobs.ticking import WORKER_SILENCE
from haven_core.projects import selectors

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]


def refuse() -> None:
    raise ConnectionError("password of redis://user:secret@host is wrong")


def test_version_and_ping_touch_no_database(client: Client, api: Call, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert client.get("/api/version").json() == {"version": "v2.0"}
        ping = api("GET", "/ping", user="owner")
    assert (ping.content, ping["Content-Type"]) == (b"Pong", "text/plain; charset=utf-8")


def test_health(api: Call) -> None:
    health.register_check("core", lambda: None)
    health.register_check("redis", refuse, is_required=False)
    response = api("GET", "/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "components": [
            {"name": "core", "status": "healthy"},
            {"name": "redis", "status": "unhealthy", "error": "does not answer"},
        ],
    }
    assert b"secret" not in response.content
    health.register_check("database", refuse)
    ill = api("GET", "/health")
    assert (ill.status_code, ill.json()["status"]) == (200, "unhealthy")


def test_the_core_looks_at_database_workers_and_redis_and_does_without_the_last(
    api: Call, users: dict[str, int], settings: Any
) -> None:
    settings.HAVEN = replace(settings.HAVEN, redis_url="unix:///nowhere/valkey.sock")
    checks.register_own_checks()
    now = timezone.now()
    worker = Worker.objects.create(name="w@h", host="h", pid=1, concurrency=1, started_at=now, heartbeat_at=now)

    def states() -> tuple[str, dict[str, str]]:
        health.forget_states()
        body = api("GET", "/health").json()
        return body["status"], {component["name"]: component["status"] for component in body["components"]}

    well = {"core": "healthy", "database": "healthy", "jobservice": "healthy", "redis": "unhealthy"}
    assert states() == ("healthy", well)
    Worker.objects.update(heartbeat_at=now - 2 * WORKER_SILENCE)
    assert states() == ("unhealthy", {**well, "jobservice": "unhealthy"})
    worker.delete()
    assert states() == ("unhealthy", {**well, "jobservice": "unhealthy"})


def test_the_portal_is_looked_at_too(api: Call) -> None:
    apps.get_app_config("portal").ready()
    [portal] = api("GET", "/health").json()["components"]
    assert portal == {"name": "portal", "status": "healthy"}


def test_health_is_looked_at_every_ten_seconds_at_most(api: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = 1000.0, []
    monkeypatch.setattr(health._cache, "_clock", lambda: now)
    health.register_check("core", lambda: calls.append(1))
    for _ in range(5):
        api("GET", "/health")
    assert len(calls) == 1
    now += 10.1
    api("GET", "/health")
    assert len(calls) == 2


def test_system_info_for_nobody_and_for_somebody(api: Call, users: dict[str, int], settings: Any) -> None:
    little = api("GET", "/systeminfo").json()
    assert little["auth_mode"] == "db_auth"
    assert not {"harbor_version", "external_url", "current_time"} & set(little)
    more = api("GET", "/systeminfo", user="stranger").json()
    assert more["harbor_version"] == system.HARBOR_VERSION
    assert more["external_url"] == "http://testserver"
    assert more["registry_url"] == "testserver"
    assert more["registry_storage_provider_name"] == "filesystem"


def test_current_user(api: Call, users: dict[str, int]) -> None:
    body = api("GET", "/users/current", user="root").json()
    assert (body["user_id"], body["username"], body["sysadmin_flag"]) == (users["root"], "root", True)
    assert not any("password" in key or "salt" in key for key in body)
    for arguments in ({}, {"user": "root", "password": "wrong"}):
        response = api("GET", "/users/current", **arguments)
        assert response.status_code == 401
        assert response.json()["errors"][0]["code"] == "UNAUTHORIZED"
        assert response["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    "path", ["/api/v2.0/nothing", "/api/", "/api/v2.0/projects/", "/api/v2.0/projects/a/b", "/api/v3"]
)
def test_unknown_paths(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json() == {"errors": [{"code": "NOT_FOUND", "message": "path not found"}]}


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/projects"), ("POST", "/projects/x"), ("OPTIONS", "/ping")])
def test_wrong_methods(api: Call, method: str, path: str) -> None:
    response = api(method, path)
    assert response.status_code == 405
    assert response.json()["errors"][0]["code"] == "METHOD_NOT_ALLOWED"
    assert "GET" in response["Allow"]


def test_an_error_inside_is_logged_and_not_told(
    api: Call, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(selectors, "list_projects", lambda *_, **__: refuse())
    with caplog.at_level(logging.ERROR):
        response = api("GET", "/projects", X_Request_Id="trace-1")
    assert response.status_code == 500
    assert response.json() == {"errors": [{"code": "UNKNOWN", "message": "internal server error"}]}
    assert "request trace-1" in caplog.text
    assert "ConnectionError" in caplog.text


def test_what_fails_outside_a_view_is_json_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    response = client.get("/api/v2.0/ping", headers={"Host": "a b"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "BAD_REQUEST")
    monkeypatch.setattr(CommonMiddleware, "process_request", lambda *_: refuse())
    client.raise_request_exception = False
    response = client.get("/api/v2.0/ping")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (500, "UNKNOWN")
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("sent", "echoed"), [("abc-1:2.3_4", True), ("a" * 128, True), ("", False), ("a" * 129, False)]
)
def test_request_ids(api: Call, sent: str, echoed: bool) -> None:
    received = api("GET", "/ping", X_Request_Id=sent)["X-Request-ID"]
    assert (received == sent) is echoed
    assert received


@pytest.mark.parametrize("sent", ["a b", "a\tb", "<script>", "é"])
def test_request_ids_that_could_harm_a_log(api: Call, sent: str) -> None:
    assert len(api("GET", "/ping", X_Request_Id=sent)["X-Request-ID"]) == 36


def test_no_secret_reaches_the_log(api: Call, users: dict[str, int], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        api("POST", "/projects", {"project_name": "p"}, user="owner")
        api("GET", "/projects", user="owner", password="Wrong1secret")
        api("POST", "/projects", {"project_name": "P"}, user="owner")
    for secret in ("Correct1horse", "Wrong1secret", "Basic ", "pbkdf2"):
        assert secret not in caplog.text.replace("WWW-Authenticate", "")
