"""/statistics, /search, /systeminfo/volumes and getcert."""

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from haven_core.accounts.credentials import verify_basic
from haven_core.domain.actor import Actor
from haven_core.domain.roles import CUSTOM_ROLE_BASE
from haven_core.projects.contents import register_repository_counts, register_totals
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from haven_core.rbac.access import projects_allowing
from haven_core.rbac.reach import PULL
from haven_core.rbac.roles import create_role
from haven_registry.models import PullDaily
from haven_registry.search import count_by_visibility, stored_bytes
from haven_registry.selectors import count_repositories
from haven_registry.services.repositories import delete_repository, get_or_create_repository
from haven_registry.storage import open_storage
from tests.api.conftest import PASSWORD
from tests.api.settings.support import Call, assert_error, ok
from tests.support.documents import digest_of, index
from tests.support.site import Site, seen_repository

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def content(projects: dict[str, int]) -> dict[str, int]:
    """private/app, private/web, public/app, one in the trash, and one that has had no manifest yet."""
    register_repository_counts(count_repositories)
    register_totals(count_by_visibility, stored_bytes)
    made = {
        name: seen_repository(projects[name.partition("/")[0]], name.partition("/")[2])
        for name in ("private/app", "private/web", "public/app", "public/gone")
    }
    delete_repository(made["public/gone"])
    get_or_create_repository(projects["public"], "app-unseen")
    return made


def found(api: Call, q: str, user: str = "") -> tuple[list[str], list[str]]:
    body = ok(api("GET", f"/search?q={q}", user=user)).json()
    return [one["name"] for one in body["project"]], [one["repository_name"] for one in body["repository"]]


def test_statistics(api: Call, content: dict[str, int]) -> None:
    assert_error(api("GET", "/statistics"), 401, "UNAUTHORIZED")
    nothing = {"total_project_count": 0, "total_repo_count": 0, "total_storage_consumption": 0}
    assert ok(api("GET", "/statistics", user="stranger")).json() == nothing | {
        "private_project_count": 0, "private_repo_count": 0, "public_project_count": 1, "public_repo_count": 1,
    }  # fmt: skip
    mine = {"private_project_count": 1, "private_repo_count": 2, "public_project_count": 1, "public_repo_count": 1}
    assert ok(api("GET", "/statistics", user="guest")).json() == nothing | mine
    assert ok(api("GET", "/statistics", user="root")).json() == mine | {
        "total_project_count": 2, "total_repo_count": 3, "total_storage_consumption": 0,
    }  # fmt: skip


def test_shared_bytes_count_once(api: Call, users: dict[str, int], settings: Any) -> None:
    register_totals(count_by_visibility, stored_bytes)
    site = Site(open_storage("memory://"))
    site.upload(b"12345")
    site.upload(b"12345", site.new_repository(site.second, "app"))
    assert ok(api("GET", "/statistics", user="root")).json()["total_storage_consumption"] == 5


def test_search(api: Call, content: dict[str, int]) -> None:
    assert found(api, "APP") == ([], ["public/app"])
    assert found(api, "app", "guest") == ([], ["private/app", "public/app"])
    assert found(api, "app", "stranger") == ([], ["public/app"])
    assert found(api, "priv", "guest") == (["private"], ["private/app", "private/web"])
    assert found(api, "priv", "stranger") == ([], [])
    assert found(api, "", "root") == (["private", "public"], ["private/app", "private/web", "public/app"])
    for nothing in ("%25", "_", "'%20OR%201=1--", "%00", "x" * 300):
        assert found(api, nothing, "root") == ([], [])
    assert_error(api("GET", "/search"), 422, "UNPROCESSABLE_ENTITY")


def test_search_counts(
    api: Call, content: dict[str, int], projects: dict[str, int], django_assert_num_queries: Any
) -> None:
    PullDaily.objects.create(
        repository_id=content["public/app"], manifest_digest=digest_of(b"m"), day=date(2026, 1, 1), pulls=3,
        last_pulled_at=timezone.now(),
    )  # fmt: skip
    body = ok(api("GET", "/search?q=app")).json()
    assert body["repository"] == [
        {
            "project_id": projects["public"], "project_name": "public", "project_public": True,
            "repository_name": "public/app", "pull_count": 3, "artifact_count": 0,
        }
    ]  # fmt: skip
    site = Site(open_storage("memory://"))
    home = site.new_repository(projects["public"], "parts")
    child = site.push(b"{}", repository=home)
    site.put(index(child), "multi", repository=home)
    site.push(b"s", repository=home, subject={"mediaType": "x/y", "digest": child, "size": 1}, artifactType="x/sbom")
    [parts] = ok(api("GET", "/search?q=parts")).json()["repository"]
    listed = ok(api("GET", "/projects/public/repositories/parts", user="owner")).json()
    assert (parts["artifact_count"], listed["artifact_count"]) == (1, 1)
    api("GET", "/search?q=p", user="owner")
    with django_assert_num_queries(10):
        api("GET", "/search?q=p", user="owner")
    owner = ok(api("GET", "/users/current", user="owner")).json()["user_id"]
    for number in range(10):
        seen_repository(create_project(name=f"p{number}", owner_id=owner), "app")
    with django_assert_num_queries(10):
        assert len(found(api, "p", "owner")[0]) == 12


def test_volumes(api: Call, users: dict[str, int], settings: Any, tmp_path: Path) -> None:
    settings.HAVEN = dataclasses.replace(settings.HAVEN, storage_url=f"file://{tmp_path}")
    assert_error(api("GET", "/systeminfo/volumes"), 401, "UNAUTHORIZED")
    assert_error(api("GET", "/systeminfo/volumes", user="owner"), 403, "FORBIDDEN")
    [volume] = ok(api("GET", "/systeminfo/volumes", user="root")).json()["storage"]
    assert 0 < volume["free"] <= volume["total"]
    settings.HAVEN = dataclasses.replace(settings.HAVEN, storage_url="s3://bucket/prefix")
    assert ok(api("GET", "/systeminfo/volumes", user="root")).json() == {"storage": []}


def test_certificate(api: Call, users: dict[str, int], settings: Any, tmp_path: Path) -> None:
    settings.HAVEN = dataclasses.replace(settings.HAVEN, data_dir=tmp_path)
    assert_error(api("GET", "/systeminfo/getcert"), 404, "NOT_FOUND")
    assert ok(api("GET", "/systeminfo", user="owner")).json()["has_ca_root"] is False
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "tls" / "ca.key").write_bytes(b"canary")
    response = ok(api("GET", "/systeminfo/getcert"))
    assert (response.content, response["Content-Disposition"]) == (
        b"-----BEGIN CERTIFICATE-----\n", "attachment; filename=ca.crt",
    )  # fmt: skip
    assert ok(api("GET", "/systeminfo", user="owner")).json()["has_ca_root"] is True


def test_who_sees_a_project_but_not_its_repositories(
    api: Call, content: dict[str, int], projects: dict[str, int], users: dict[str, int]
) -> None:
    """A custom role may hold so little. No list names what the project's own list refuses."""
    root = Actor("user", users["root"], "root", is_sysadmin=True)
    few = create_role(name="few", description="", permissions=("project:read",), created_by=root)
    ProjectMember.objects.create(
        project_id=projects["private"], user_id=users["stranger"], custom_role_id=few - CUSTOM_ROLE_BASE,
        created_at=timezone.now(),
    )  # fmt: skip
    assert_error(api("GET", "/projects/private/repositories", user="stranger"), 403, "FORBIDDEN")
    assert found(api, "p", "stranger") == (["private", "public"], ["public/app"])
    assert [one["name"] for one in ok(api("GET", "/repositories", user="stranger")).json()] == ["public/app"]
    statistics = ok(api("GET", "/statistics", user="stranger")).json()
    assert (statistics["private_project_count"], statistics["private_repo_count"]) == (1, 0)
    actor = verify_basic("stranger", PASSWORD)
    assert actor is not None
    assert [one.name for one in projects_allowing(actor, PULL)] == ["public"]
