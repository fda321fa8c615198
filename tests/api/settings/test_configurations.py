"""/configurations: types, secrets, what the environment fixes; what the keys do."""

import dataclasses
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from haven_core.configuration import selectors
from haven_core.configuration.keys import KEYS
from haven_core.configuration.models import Setting, SettingsVersion
from haven_core.configuration.services import update
from haven_core.domain.actor import ANONYMOUS
from haven_core.projects.models import Project
from haven_core.quotas.models import ProjectQuota
from haven_core.tokens import keys
from haven_core.tokens.grants import issue_token
from tests.api.settings.support import Call, assert_error, audit_log, ok

pytestmark = pytest.mark.django_db(transaction=True)

SECRETS = {"ldap_search_password", "uaa_client_secret", "oidc_client_secret"}


@pytest.fixture
def listener() -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_defaults(api: Call, users: dict[str, int]) -> None:
    body = ok(api("GET", "/configurations", user="root")).json()
    assert body.keys() == (KEYS.keys() - SECRETS) | {"scan_all_policy"}
    assert body["auth_mode"] == {"value": "db_auth", "editable": True}
    assert body["storage_per_project"] == {"value": -1, "editable": True}
    assert body["robot_name_prefix"] == {"value": "robot$", "editable": True}
    assert body["oidc_extra_redirect_parms"]["value"] == "{}"


def test_every_key_has_a_type_and_takes_its_default(api: Call, users: dict[str, int]) -> None:
    assert [key.problem(key.default) for key in KEYS.values() if key.problem(key.default)] == []
    wrong = {name: 1 if isinstance(key.default, str) else "1" for name, key in KEYS.items()}
    refused = api("PUT", "/configurations", wrong, user="root")
    assert_error(refused, 422, "UNPROCESSABLE_ENTITY")
    assert [name for name in KEYS if f"{name}: has another type" not in refused.json()["errors"][0]["message"]] == []
    assert not Setting.objects.exists()
    ok(api("PUT", "/configurations", {name: key.default for name, key in KEYS.items()}, user="root"))
    assert Setting.objects.count() == len(KEYS)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_administrators(api: Call, users: dict[str, int], method: str) -> None:
    body = {"read_only": True} if method == "PUT" else None
    assert_error(api(method, "/configurations", body), 401, "UNAUTHORIZED")
    assert_error(api(method, "/configurations", body, user="stranger"), 403, "FORBIDDEN")
    assert not Setting.objects.exists()


def test_a_change_is_partial_and_seen_at_once(api: Call, users: dict[str, int]) -> None:
    ok(api("PUT", "/configurations", {"session_timeout": 30, "unknown_key": 1, "oidc_name": None}, user="root"))
    ok(api("PUT", "/configurations", {"self_registration": True}, user="root"))
    body = ok(api("GET", "/configurations", user="root")).json()
    assert (body["session_timeout"]["value"], body["self_registration"]["value"]) == (30, True)
    assert set(Setting.objects.values_list("name", flat=True)) == {"session_timeout", "self_registration"}
    assert api("GET", "/systeminfo").json()["self_registration"] is True


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auth_mode", "magic"), ("auth_mode", "ldap_auth"), ("token_expiration", 0), ("session_timeout", -1),
        ("robot_token_duration", 10_000_000_000), ("storage_per_project", 0), ("storage_per_project", -2),
        ("storage_per_project", 1024 * 1024**4 + 1), ("project_creation_restriction", "nobody"), ("ldap_scope", 3),
        ("banner_message", "hello"), ("banner_message", '{"message": "x", "type": "loud"}'), ("banner_message", "[]"),
        ("disabled_audit_log_event_types", "create_artifact,nonsense"), ("audit_log_forward_endpoint", "nowhere"),
        ("oidc_extra_redirect_parms", "[1]"), ("robot_name_prefix", ""), ("robot_name_prefix", "a:b"),
        ("skip_audit_log_database", True), ("ldap_filter", "a\0b"), ("ldap_filter", "x" * 40_000),
    ],
)  # fmt: skip
def test_values_against_their_key(api: Call, users: dict[str, int], key: str, value: Any) -> None:
    response = api("PUT", "/configurations", {"self_registration": True, key: value}, user="root")
    assert_error(
        response, 400, "BAD_REQUEST", key if key != "skip_audit_log_database" else "audit_log_forward_endpoint"
    )
    assert not Setting.objects.exists()
    assert not SettingsVersion.objects.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("read_only", "true"), ("read_only", 1), ("token_expiration", "30"), ("token_expiration", True), ("ldap_url", 7)],
)
def test_wrong_types(api: Call, users: dict[str, int], key: str, value: Any) -> None:
    assert_error(api("PUT", "/configurations", {key: value}, user="root"), 422, "UNPROCESSABLE_ENTITY", key)
    assert_error(api("PUT", "/configurations", [key], user="root"), 422, "UNPROCESSABLE_ENTITY")
    assert not Setting.objects.exists()


def test_secrets_are_sealed_and_never_shown(api: Call, users: dict[str, int]) -> None:
    ok(api("PUT", "/configurations", {"ldap_search_password": "canary-4711"}, user="root"))
    shown = ok(api("GET", "/configurations", user="root")).content
    assert b"canary" not in shown
    assert b"ldap_search_password" not in shown
    stored = Setting.objects.get(name="ldap_search_password")
    assert stored.value is None
    assert b"canary" not in bytes(stored.sealed)
    assert selectors.secret("ldap_search_password") == "canary-4711"
    assert selectors.secret("oidc_client_secret") == ""
    [line] = [entry for entry in audit_log() if entry.resource_type == "configuration"]
    assert (line.resource, line.operation, line.username) == ("ldap_search_password", "update", "root")
    assert "canary" not in line.description
    ok(api("PUT", "/configurations", {"ldap_search_password": ""}, user="root"))
    assert selectors.secret("ldap_search_password") == ""


def test_what_the_environment_fixes(api: Call, users: dict[str, int], settings: Any) -> None:
    settings.HAVEN = dataclasses.replace(
        settings.HAVEN, fixed_configuration={"session_timeout": 5, "oidc_client_secret": "from-outside"}
    )
    selectors.forget_configuration()
    body = ok(api("GET", "/configurations", user="root")).json()
    assert body["session_timeout"] == {"value": 5, "editable": False}
    assert body["read_only"]["editable"] is True
    assert selectors.secret("oidc_client_secret") == "from-outside"
    refused = api("PUT", "/configurations", {"session_timeout": 10, "self_registration": True}, user="root")
    assert_error(refused, 403, "FORBIDDEN", "session_timeout")
    assert not Setting.objects.exists()


def test_another_process_sees_a_change_when_the_version_grew(
    api: Call, users: dict[str, int], monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    clock = [0.0]
    monkeypatch.setattr(selectors.time, "monotonic", lambda: clock[0])
    assert selectors.value("session_timeout") == 60
    monkeypatch.setattr("haven_core.configuration.services.forget_configuration", lambda: None)
    update({"session_timeout": 7})
    with django_assert_num_queries(0):
        assert selectors.value("session_timeout") == 60
    clock[0] += selectors.STALENESS_SECONDS
    assert selectors.value("session_timeout") == 7
    clock[0] += selectors.STALENESS_SECONDS
    with django_assert_num_queries(1):  # the version alone, which is the same
        assert selectors.value("session_timeout") == 7


def test_banner(api: Call, users: dict[str, int]) -> None:
    banner = json.dumps({"message": "down on Sunday", "type": "warning", "closable": True})
    ok(api("PUT", "/configurations", {"banner_message": banner}, user="root"))
    assert api("GET", "/systeminfo").json()["banner_message"] == banner
    ok(api("PUT", "/configurations", {"banner_message": ""}, user="root"))
    assert api("GET", "/systeminfo").json()["banner_message"] == ""


def test_creation_of_projects_can_be_the_administrators(api: Call, users: dict[str, int]) -> None:
    ok(api("PUT", "/configurations", {"project_creation_restriction": "adminonly"}, user="root"))
    refused = api("POST", "/projects", {"project_name": "p"}, user="owner")
    assert_error(refused, 403, "FORBIDDEN", "Only system admin can create project")
    assert not Project.objects.exists()
    ok(api("POST", "/projects", {"project_name": "p"}, user="root"), 201)


@pytest.mark.parametrize(
    ("user", "asked", "hard"),
    [("owner", None, 1000), ("owner", 5, 1000), ("root", None, 1000), ("root", 0, 1000), ("root", 5, 5), ("root", -1, None)],
)  # fmt: skip
def test_default_quota(api: Call, users: dict[str, int], user: str, asked: int | None, hard: int | None) -> None:
    ok(api("PUT", "/configurations", {"storage_per_project": 1000}, user="root"))
    ok(api("POST", "/projects", {"project_name": "p", "storage_limit": asked}, user=user), 201)
    assert ProjectQuota.objects.get().hard_bytes == hard


def test_lifetime_of_tokens(api: Call, users: dict[str, int]) -> None:
    keys.ensure_key()
    ok(api("PUT", "/configurations", {"token_expiration": 2}, user="root"))
    assert issue_token(ANONYMOUS, []).expires_in == 120


def test_forwarding_wants_somebody_listening(api: Call, users: dict[str, int], listener: str) -> None:
    body = {"audit_log_forward_endpoint": listener, "skip_audit_log_database": True}
    ok(api("PUT", "/configurations", body, user="root"))
    refused = api("PUT", "/configurations", {"audit_log_forward_endpoint": ""}, user="root")
    assert_error(refused, 400, "BAD_REQUEST", "audit_log_forward_endpoint")
    refused = api("PUT", "/configurations", {"audit_log_forward_endpoint": "127.0.0.1:1"}, user="root")
    assert_error(refused, 400, "BAD_REQUEST", "nothing answers")
    assert selectors.value("audit_log_forward_endpoint") == listener
