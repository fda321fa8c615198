"""Artifacts of all repositories of a project, and icons."""

import base64
import xml.etree.ElementTree as ElementTree

import pytest

from haven_registry.artifacts import icons
from tests.api.artifacts import APP, digests, push
from tests.api.conftest import Call
from tests.support.documents import descriptor, image
from tests.support.site import Site

PATH = "/projects/private/artifacts"
IMAGES = "media_type=application/vnd.oci.image.config.v1%252Bjson"


@pytest.fixture
def other(site: Site, projects: dict[str, int]) -> int:
    """private/other, empty."""
    return site.new_repository(projects["private"], "other")


def test_all_repositories_are_listed_with_their_own_parts(api: Call, site: Site, other: int) -> None:
    push(site, "v1")
    blob = site.upload(b"{}", other)
    digest = site.put(image(blob, nonce=5), "v2", repository=other).digest
    named = descriptor("application/vnd.oci.image.manifest.v1+json", digest)
    signature = image(blob, subject=named, artifactType="application/vnd.cncf.notary.signature")
    signed = site.put(signature, repository=other).digest
    response = api("GET", f"{PATH}?with_accessory=true", user="guest")
    rows = {row["repository_name"]: row for row in response.json()}
    assert set(rows) == {"private/team/app", "private/other"}
    assert [tag["name"] for tag in rows["private/other"]["tags"]] == ["v2"]
    assert [each["digest"] for each in rows["private/other"]["accessories"]] == [signed]
    assert rows["private/team/app"]["accessories"] == []
    assert "accessories" not in api("GET", PATH, user="guest").json()[0]
    assert api("GET", PATH, user="stranger").status_code == 403
    assert api("GET", PATH).status_code == 401


def test_one_digest_in_two_repositories(api: Call, site: Site, other: int) -> None:
    config, second = site.upload(b"{}"), site.upload(b"{}", other)
    assert config == second
    site.put(image(config), "here")
    site.put(image(config), "there", repository=other)
    rows = api("GET", PATH, user="guest").json()
    assert {(row["repository_name"], tuple(tag["name"] for tag in row["tags"])) for row in rows} == {
        ("private/team/app", ("here",)), ("private/other", ("there",)),
    }  # fmt: skip


def test_the_latest_of_each_repository(api: Call, site: Site, other: int) -> None:
    push(site, "old", author="1")
    newest = {push(site, "new", author="2"), site.push(b"{}", "x", repository=other)}
    latest = api("GET", f"{PATH}?latest_in_repository=true&q={IMAGES}", user="guest")
    assert digests(latest) == newest
    assert latest.headers["X-Total-Count"] == "2"
    both = f"{IMAGES},artifact_type=x"
    for query in ("", f"&q={both}"):
        assert api("GET", f"{PATH}?latest_in_repository=true{query}", user="guest").status_code == 400
    assert api("GET", f"{PATH}?latest_in_repository=x", user="guest").status_code == 422


def test_a_deleted_repository_is_not_listed(api: Call, site: Site) -> None:
    push(site, "v1")
    api("DELETE", APP, user="owner")
    assert api("GET", PATH, user="guest").json() == []


@pytest.mark.parametrize("number", [1, 5])
def test_the_list_takes_the_same_number_of_statements(
    api: Call, site: Site, projects: dict[str, int], number: int, django_assert_max_num_queries
) -> None:
    for each in range(number):
        repository = site.new_repository(projects["private"], f"r{each}")
        site.push(b'{"os": "linux"}', "v1", repository=repository)
    api("GET", PATH, user="guest")  # explains them
    with django_assert_max_num_queries(17):
        assert len(api("GET", f"{PATH}?with_label=true&with_accessory=true", user="guest").json()) == number


def test_every_type_has_an_icon_that_runs_nothing(api: Call, site: Site) -> None:
    push(site, "v1")
    digest = api("GET", f"{APP}/artifacts/v1", user="guest").json()["icon"]
    assert digest == icons.icon_of("IMAGE")
    for kind in (*icons._SHAPES, "ROCKET"):
        response = api("GET", f"/icons/{icons.icon_of(kind)}")
        assert response.status_code == 200
        root = ElementTree.fromstring(base64.b64decode(response.json()["content"]))
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {"svg", "path", "circle", "ellipse"}
    assert icons.icon_of("ROCKET") == icons.icon_of("UNKNOWN") != digest
    assert api("GET", "/icons/sha256:" + "0" * 64).status_code == 404
    assert api("GET", "/icons/x").status_code == 400
