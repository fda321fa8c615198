"""PUT /projects, its metadata one by one, its allowlist, _deletable, summary; the system's allowlist."""

from typing import Any

import pytest

from haven_core.cve.models import CveAllowlist
from haven_core.cve.services import allowlists
from haven_core.db.transactions import run_write
from haven_core.projects import contents
from haven_core.projects.models import Project
from haven_core.quotas.models import ProjectQuota
from haven_core.quotas.services import charge
from tests.api.settings.support import Call, assert_error, audit_log, ok

pytestmark = pytest.mark.django_db(transaction=True)


def metadata(api: Call) -> dict[str, str]:
    shown: dict[str, str] = ok(api("GET", "/projects/private", user="owner")).json()["metadata"]
    return shown


def test_put_changes_what_is_sent(api: Call, projects: dict[str, int]) -> None:
    body = {"metadata": {"auto_scan": "true", "severity": "High", "prevent_vul": None, "nonsense": "x"}}
    ok(api("PUT", "/projects/private", body, user="owner"))
    assert metadata(api) == {"public": "false", "auto_scan": "true", "severity": "high"}
    ok(
        api(
            "PUT",
            f"/projects/{projects['private']}",
            {"metadata": {"public": "true", "auto_scan": "false"}},
            user="owner",
        )
    )
    assert metadata(api) == {"public": "true", "auto_scan": "false", "severity": "high"}
    ok(api("GET", "/projects/private"))
    ok(api("PUT", "/projects/private", {"public": False, "project_name": "other", "storage_limit": 5}, user="owner"))
    assert metadata(api)["public"] == "false"
    assert Project.objects.get(id=projects["private"]).name == "private"
    assert ProjectQuota.objects.get(project_id=projects["private"]).hard_bytes is None
    assert [line.resource for line in audit_log() if line.operation == "update"] == ["private"] * 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"metadata": {"public": "maybe"}}, 400), ({"metadata": {"severity": "awful"}}, 400),
        ({"metadata": {"retention_id": "7"}}, 400), ({"metadata": {"max_upstream_conn": "0"}}, 400),
        ({"metadata": {"proxy_speed_kb": "fast"}}, 400), ({"metadata": {"auto_scan": True}}, 422),
        ({"cve_allowlist": {"items": [{"cve_id": "CVE 1"}]}}, 400), ({"cve_allowlist": {"items": ["CVE-1"]}}, 422),
        ({"public": "yes"}, 422), ([], 422),
    ],
)  # fmt: skip
def test_put_refused(api: Call, projects: dict[str, int], body: Any, status: int) -> None:
    assert api("PUT", "/projects/private", body, user="owner").status_code == status
    assert metadata(api) == {"public": "false"}
    assert not CveAllowlist.objects.exists()


def test_put_needs_the_right(api: Call, projects: dict[str, int]) -> None:
    body = {"metadata": {"public": "true"}}
    assert_error(api("PUT", "/projects/private", body), 401, "UNAUTHORIZED")
    for user in ("guest", "stranger"):
        assert_error(api("PUT", "/projects/private", body, user=user), 403, "FORBIDDEN")
    assert_error(api("PUT", "/projects/nothing", body, user="root"), 404, "NOT_FOUND")
    assert metadata(api) == {"public": "false"}


def test_allowlist_of_a_project(api: Call, projects: dict[str, int]) -> None:
    sent = {"items": [{"cve_id": "CVE-2024-2"}, {"cve_id": "CVE-2024-1"}, {"cve_id": "CVE-2024-1"}], "expires_at": 99}
    ok(api("PUT", "/projects/private", {"cve_allowlist": sent}, user="owner"))
    shown = ok(api("GET", "/projects/private", user="owner")).json()["cve_allowlist"]
    assert shown["items"] == [{"cve_id": "CVE-2024-1"}, {"cve_id": "CVE-2024-2"}]
    assert (shown["project_id"], shown["expires_at"]) == (projects["private"], 99)
    assert allowlists([projects["private"]])[projects["private"]].in_force == frozenset()  # long expired
    ok(api("PUT", "/projects/private", {"cve_allowlist": {"items": []}}, user="owner"))
    assert ok(api("GET", "/projects/private", user="owner")).json()["cve_allowlist"]["items"] == []


def test_allowlist_of_the_system(api: Call, users: dict[str, int]) -> None:
    assert_error(api("GET", "/system/CVEAllowlist"), 401, "UNAUTHORIZED")
    assert ok(api("GET", "/system/CVEAllowlist", user="stranger")).json()["items"] == []
    body = {"items": [{"cve_id": "CVE-2024-1"}], "expires_at": None}
    assert_error(api("PUT", "/system/CVEAllowlist", body), 401, "UNAUTHORIZED")
    assert_error(api("PUT", "/system/CVEAllowlist", body, user="stranger"), 403, "FORBIDDEN")
    assert not CveAllowlist.objects.exists()
    for _ in range(2):
        ok(api("PUT", "/system/CVEAllowlist", body, user="root"))
    assert CveAllowlist.objects.count() == 1
    shown = ok(api("GET", "/system/CVEAllowlist", user="stranger")).json()
    assert (shown["items"], shown["expires_at"], shown["project_id"]) == (body["items"], None, 0)
    assert allowlists([None])[None].in_force == {"CVE-2024-1"}


# ---------------------------------------------------------------- metadata


def test_one_by_one(api: Call, projects: dict[str, int]) -> None:
    path = "/projects/private/metadatas/"
    ok(api("POST", path, {"auto_scan": "true"}, user="owner"))
    assert_error(api("POST", path, {"auto_scan": "true"}, user="owner"), 409, "CONFLICT")
    assert_error(api("POST", path, {"public": "true"}, user="owner"), 409, "CONFLICT")
    assert ok(api("GET", f"{path}auto_scan", user="owner")).json() == {"auto_scan": "true"}
    ok(api("PUT", f"{path}auto_scan", {"auto_scan": "false"}, user="owner"))
    assert metadata(api) == {"public": "false", "auto_scan": "false"}
    ok(api("DELETE", f"{path}auto_scan", user="owner"))
    for method, body in (("GET", None), ("PUT", {"auto_scan": "true"}), ("DELETE", None)):
        assert_error(api(method, f"{path}auto_scan", body, user="owner"), 404, "NOT_FOUND")
    ok(api("PUT", f"{path}public", {"public": "true"}, user="owner"))
    ok(api("DELETE", f"{path}public", user="owner"))
    assert metadata(api) == {"public": "false"}


@pytest.mark.parametrize(
    ("method", "key", "body", "status"),
    [
        ("POST", "", {"auto_scan": "true", "severity": "low"}, 400), ("POST", "", {}, 400), ("POST", "", {"no": "x"}, 400),
        ("POST", "", {"auto_scan": True}, 422), ("POST", "", ["auto_scan"], 422), ("POST", "", {"severity": "x"}, 400),
        ("PUT", "public", {"auto_scan": "true"}, 400), ("PUT", "public", {"public": "perhaps"}, 400),
        ("PUT", "no", {"no": "x"}, 400), ("DELETE", "no", None, 400), ("GET", "no", None, 400),
        ("POST", "", {"retention_id": "4"}, 400), ("POST", "", {"proxy_cache_filter_pattern": "a\0"}, 422),
    ],
)  # fmt: skip
def test_metadata_refused(api: Call, projects: dict[str, int], method: str, key: str, body: Any, status: int) -> None:
    assert api(method, f"/projects/private/metadatas/{key}", body, user="owner").status_code == status
    assert metadata(api) == {"public": "false"}


def test_metadata_rights(api: Call, projects: dict[str, int]) -> None:
    """No role of a project may list (Harbor)."""
    path = "/projects/private/metadatas/"
    assert_error(api("GET", path), 401, "UNAUTHORIZED")
    for user in ("owner", "guest", "stranger"):
        assert_error(api("GET", path, user=user), 403, "FORBIDDEN")
    assert ok(api("GET", path, user="root")).json() == {"public": "false"}
    ok(api("GET", f"{path}public", user="owner"))
    assert_error(api("GET", f"{path}public", user="guest"), 403, "FORBIDDEN")
    for method, key, body in (
        ("POST", "", {"auto_scan": "true"}),
        ("PUT", "public", {"public": "true"}),
        ("DELETE", "public", None),
    ):
        assert_error(api(method, path + key, body), 401, "UNAUTHORIZED")
        assert_error(api(method, path + key, body, user="guest"), 403, "FORBIDDEN")
    assert metadata(api) == {"public": "false"}


# ---------------------------------------------------------------- summary


def test_summary_shows_what_the_caller_may_read(api: Call, projects: dict[str, int]) -> None:
    contents.register_repository_counts(lambda ids: dict.fromkeys(ids, 4))
    run_write(lambda: charge(projects["private"], 7))
    ProjectQuota.objects.filter(project_id=projects["private"]).update(hard_bytes=70)
    for user in ("owner", "guest", "root"):
        assert ok(api("GET", "/projects/private/summary", user=user)).json() == {
            "repo_count": 4, "project_admin_count": 1, "maintainer_count": 0, "developer_count": 0, "guest_count": 1,
            "limited_guest_count": 0, "quota": {"hard": {"storage": 70}, "used": {"storage": 7}},
        }  # fmt: skip
    assert ok(api("GET", "/projects/public/summary")).json() == {"repo_count": 4}
    assert_error(api("GET", "/projects/private/summary"), 401, "UNAUTHORIZED")
    assert_error(api("GET", "/projects/private/summary", user="stranger"), 403, "FORBIDDEN")


def test_deletable(api: Call, projects: dict[str, int]) -> None:
    path = "/projects/private/_deletable"
    assert ok(api("GET", path, user="owner")).json() == {"deletable": True, "message": ""}
    contents.register_repository_counts(lambda ids: dict.fromkeys(ids, 1))
    assert ok(api("GET", path, user="owner")).json() == {
        "deletable": False, "message": "the project contains repositories, can not be deleted",
    }  # fmt: skip
    assert_error(api("GET", path), 401, "UNAUTHORIZED")
    assert_error(api("GET", path, user="guest"), 403, "FORBIDDEN")
