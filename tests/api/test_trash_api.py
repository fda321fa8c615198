"""The trash and the history of tags over the REST API."""

import pytest

from haven_registry.models import Manifest, Repository, Tag, TagHistory
from tests.api.artifacts import APP, push
from tests.api.conftest import Call
from tests.support.site import Site, seen_repository

TRASH = "/projects/private/trash"


def state() -> list[object]:
    """What a refusal leaves alone."""
    return [
        list(model._default_manager.order_by("id").values_list()) for model in (Manifest, Tag, TagHistory, Repository)
    ]


def in_trash(api: Call, **query: str) -> list[dict[str, object]]:
    asked = "&".join(f"{key}={value}" for key, value in {"page_size": "100", **query}.items())
    response = api("GET", f"{TRASH}?{asked}", user="owner")
    assert response.status_code == 200, response.content
    rows: list[dict[str, object]] = response.json()
    assert response.headers["X-Total-Count"] == str(len(rows))
    return rows


def test_an_artifact_is_listed_restored_and_purged(api: Call, site: Site) -> None:
    digest = push(site, "v1", "v2")
    assert api("DELETE", f"{APP}/artifacts/v1", user="owner").status_code == 200
    [item] = in_trash(api)
    assert (item["item"], item["repository_name"], item["digest"]) == ("artifact", "private/team/app", digest)
    assert (item["tags"], item["type"], item["deleted_by"], item["days_left"]) == (["v1", "v2"], "IMAGE", "owner", 7)
    path = f"{TRASH}/artifact/{item['id']}"
    response = api("POST", f"{path}/restore", {}, user="owner")
    assert (response.status_code, response.json()) == (200, {"tags": ["v1", "v2"]})
    assert api("GET", f"{APP}/artifacts/v2", user="guest").json()["digest"] == digest
    assert in_trash(api) == []
    assert api("POST", f"{path}/restore", {}, user="owner").status_code == 404
    assert api("DELETE", path, user="owner").status_code == 404
    assert api("DELETE", f"{APP}/artifacts/v1", user="owner").status_code == 200
    assert api("DELETE", path, user="owner").status_code == 200
    assert in_trash(api) == []
    assert not Manifest.objects.exists()


@pytest.mark.parametrize("days", [0, 3])
def test_the_restore_window_is_configured(api: Call, site: Site, days: int) -> None:
    """For artifacts, tags and repositories; 0 turns it off."""
    push(site, "v1", "v2")
    push(site, "w", author="x")
    change = {"restore_window_days": days}
    assert api("PUT", "/configurations", change, user="owner").status_code == 403
    assert api("GET", "/configurations", user="root").json()["restore_window_days"] == {"value": 7, "editable": True}
    assert api("PUT", "/configurations", change, user="root").status_code == 200
    for path in (f"{APP}/artifacts/v1/tags/v2", f"{APP}/artifacts/v1"):
        assert api("DELETE", path, user="owner").status_code == 200
    expected = {"artifact", "tag"} if days else set()
    assert {(item["item"], item["days_left"]) for item in in_trash(api)} == {(item, days) for item in expected}
    assert api("DELETE", APP, user="owner").status_code == 200
    expected = {"repository"} if days else set()
    assert {(item["item"], item["days_left"]) for item in in_trash(api)} == {(item, days) for item in expected}
    assert api("PUT", "/configurations", {"restore_window_days": 7}, user="root").status_code == 200


def test_a_taken_name(api: Call, site: Site) -> None:
    old = push(site, "v1")
    api("DELETE", f"{APP}/artifacts/v1", user="owner")
    new = push(site, "v1", author="x")
    [item] = in_trash(api)
    path = f"{TRASH}/artifact/{item['id']}/restore"
    before = state()
    refused = api("POST", path, {}, user="owner")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "CONFLICT")
    assert "v1" in refused.json()["errors"][0]["message"]
    for body, status in (({"taken": "x"}, 422), ({"taken": 1}, 422), ({"name": "v3"}, 400), ([], 422)):
        assert api("POST", path, body, user="owner").status_code == status, body
    assert state() == before
    assert api("POST", path, {"taken": "keep"}, user="owner").json() == {"tags": []}
    assert site_tag(api) == new
    assert api("GET", f"{APP}/artifacts/{old}", user="guest").status_code == 200


def site_tag(api: Call) -> str:
    return str(api("GET", f"{APP}/artifacts/v1", user="guest").json()["digest"])


def test_a_tag_and_a_repository(api: Call, site: Site, projects: dict[str, int]) -> None:
    digest = push(site, "v1", "v2")
    assert api("DELETE", f"{APP}/artifacts/v1/tags/v2", user="owner").status_code == 200
    [tag] = in_trash(api, item="tag", repository="team/app")
    path = f"{TRASH}/tag/{tag['id']}/restore"
    assert api("POST", path, {"name": "-"}, user="owner").status_code == 400
    assert api("POST", path, {"name": "v3"}, user="owner").json() == {"tags": ["v3"]}
    assert api("GET", f"{APP}/artifacts/v3", user="guest").json()["digest"] == digest
    assert api("DELETE", APP, user="owner").status_code == 200
    seen_repository(projects["private"], "team/app")
    [repository] = in_trash(api)
    assert (repository["item"], repository["repository_name"]) == ("repository", "private/team/app")
    path = f"{TRASH}/repository/{repository['id']}/restore"
    assert api("POST", path, {}, user="owner").status_code == 409
    assert api("POST", path, {"name": "Team/App"}, user="owner").status_code == 400
    assert api("POST", path, {"name": "team/old"}, user="owner").status_code == 200
    old = "/projects/private/repositories/team%252Fold/artifacts/v1"
    assert api("GET", old, user="guest").json()["digest"] == digest


def test_all_is_purged(api: Call, site: Site) -> None:
    push(site, "v1", "v2")
    api("DELETE", f"{APP}/artifacts/v1/tags/v2", user="owner")
    api("DELETE", f"{APP}/artifacts/v1", user="owner")
    assert len(in_trash(api)) == 2
    assert api("DELETE", TRASH, user="owner").status_code == 200
    assert in_trash(api) == []


def test_others_see_and_change_nothing(api: Call, site: Site) -> None:
    push(site, "v1")
    api("DELETE", f"{APP}/artifacts/v1", user="owner")
    [item] = in_trash(api)
    before = state()
    for user, status in (("guest", 403), ("stranger", 403), ("", 401)):
        path = f"{TRASH}/artifact/{item['id']}"
        assert api("GET", TRASH, user=user).status_code == status
        assert api("DELETE", TRASH, user=user).status_code == status
        assert api("DELETE", path, user=user).status_code == status
        assert api("POST", f"{path}/restore", {}, user=user).status_code == status
    # another project's is not there, whoever asks
    assert api("GET", "/projects/public/trash", user="owner").json() == []
    assert api("POST", f"/projects/public/trash/artifact/{item['id']}/restore", {}, user="owner").status_code == 404
    assert api("DELETE", f"/projects/public/trash/artifact/{item['id']}", user="owner").status_code == 404
    assert api("DELETE", f"{TRASH}/blob/1", user="owner").status_code == 404
    assert api("GET", f"{TRASH}?item=blob", user="owner").status_code == 422
    assert state() == before


@pytest.mark.parametrize("number", [1, 6])
def test_the_list_takes_the_same_number_of_statements(
    api: Call, site: Site, number: int, django_assert_max_num_queries
) -> None:
    for each in range(number):
        push(site, f"a{each}", f"b{each}", author=str(each))
        api("DELETE", f"{APP}/artifacts/a{each}/tags/b{each}", user="owner")
        api("DELETE", f"{APP}/artifacts/a{each}", user="owner")
    with django_assert_max_num_queries(14):
        assert len(in_trash(api)) == 2 * number


def test_the_history_of_a_tag(api: Call, site: Site) -> None:
    old, new = push(site, "v1"), push(site, "v1", author="x")
    assert api("DELETE", f"{APP}/artifacts/v1/tags/v1", user="owner").status_code == 200
    history = f"{APP}/tags/v1/history"
    rows = api("GET", history, user="guest").json()
    assert [(row["how"], row["from"], row["to"], row["by"]) for row in rows] == [
        ("delete", new, None, "owner"),
        ("push", old, new, "somebody"),
        ("push", None, old, "somebody"),
    ]
    assert [(row["from_state"], row["to_state"]) for row in rows] == [("live", None), ("live", "live"), (None, "live")]
    page = api("GET", f"{history}?page=2&page_size=2", user="guest")
    assert (page.headers["X-Total-Count"], page.json()) == ("3", rows[2:])
    assert api("GET", f"{APP}/tags/no/history", user="guest").json() == []
    assert api("GET", history, user="stranger").status_code == 403
    assert api("GET", history).status_code == 401


def test_a_rollback(api: Call, site: Site) -> None:
    old, new = push(site, "v1"), push(site, "v1", author="x")
    path = f"{APP}/tags/v1/rollback"
    before = state()
    for body, status in (
        ({"digest": "x"}, 400), ({}, 422), ({"digest": "sha256:" + "0" * 64}, 404),
        ({"digest": old, "expected": old}, 412),
    ):  # fmt: skip
        assert api("POST", path, body, user="owner").status_code == status, body
    assert api("POST", path, {"digest": old}, user="guest").status_code == 403
    assert state() == before
    response = api("POST", path, {"digest": old, "expected": new}, user="owner")
    assert (response.status_code, response.json()) == (200, {"from": new, "to": old})
    assert site_tag(api) == old
    api("DELETE", f"{APP}/artifacts/{new}", user="owner")
    assert api("POST", path, {"digest": new}, user="owner").status_code == 200
    assert site_tag(api) == new
