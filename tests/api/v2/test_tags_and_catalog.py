"""Lists of tags and repositories: order, pages, and who sees what (distribution-spec end-8; Docker's catalog)."""

from __future__ import annotations

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import challenge_of, check
from tests.api.v2.conftest import GUEST, Person
from tests.support.client import RegistryClient
from tests.support.oci import random_image
from tests.support.stack import HavenServer

TAGS = ["latest", "V2", "v1", "v10", "v2", "_x", "a-b", "a.b", "a_b", "0", "Z"]
ORDERED = sorted(TAGS)  # by bytes: capitals, then _, then small letters


@pytest.fixture
def tagged(client: RegistryClient, repository: str) -> str:
    manifest = client.push(repository, random_image())
    check(client.put_manifest(repository, manifest, tags=TAGS), 201)
    return repository


def test_all_tags_in_byte_order(client: RegistryClient, tagged: str) -> None:
    answer = check(client.list_tags(tagged), 200)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"name": tagged, "tags": ORDERED}
    assert "Link" not in answer.headers
    head = client.request("HEAD", f"/v2/{tagged}/tags/list")
    assert check(head, 200).headers["Content-Length"] == str(len(answer.content))


@pytest.mark.parametrize("size", [1, 3, 10, 11, 12])
def test_pages(client: RegistryClient, tagged: str, size: int) -> None:
    first = check(client.list_tags(tagged, n=size), 200)
    assert first.json()["tags"] == ORDERED[:size]
    if size < len(TAGS):
        assert first.headers["Link"] == f'</v2/{tagged}/tags/list?n={size}&last={ORDERED[size - 1]}>; rel="next"'
    else:
        assert "Link" not in first.headers
    assert client.tags(tagged, page=size) == ORDERED


def test_n_zero(client: RegistryClient, tagged: str) -> None:
    for parameters in ({"n": 0}, {"n": 0, "last": "a"}):
        answer = check(client.list_tags(tagged, **parameters), 200)  # type: ignore[arg-type]
        assert answer.json()["tags"] == []
        assert "Link" not in answer.headers


def test_n_beyond_all_measure_is_clamped(client: RegistryClient, tagged: str) -> None:
    for n in (10_001, 999_999_999_999):
        assert check(client.list_tags(tagged, n=n), 200).json()["tags"] == ORDERED


@pytest.mark.parametrize("n", ["-1", "", "x", "1.5", "0x10", "1e3", " 1", "9" * 5000, "\u0663"])
def test_n_that_is_no_number(client: RegistryClient, tagged: str, n: str) -> None:
    for answer in (client.list_tags(tagged, n=n), client.catalog(n=n)):
        check(answer, 400, "PAGINATION_NUMBER_INVALID")


@pytest.mark.parametrize("last", ["a.b", "a", "zzz", "", "V2", "!", "no such tag", "\0", "a\0b", "\ud7ff", "x" * 3000])
def test_last_is_any_text(client: RegistryClient, tagged: str, last: str) -> None:
    answer = check(client.list_tags(tagged, last=last), 200)
    assert answer.json()["tags"] == [tag for tag in ORDERED if tag > last]


def test_tags_of_nothing(client: RegistryClient, repository: str) -> None:
    check(client.list_tags(repository), 404, "NAME_UNKNOWN")
    manifest = client.push(repository, random_image())
    assert check(client.list_tags(repository), 200).json() == {"name": repository, "tags": []}
    client.put_manifest(repository, manifest, "v1")
    client.delete_manifest(repository, "v1")
    assert client.list_tags(repository).json()["tags"] == []


def catalog(client: RegistryClient, page: int = 1000) -> list[str]:
    answer = check(client.catalog(n=page), 200)
    found: list[str] = answer.json()["repositories"]
    while "next" in answer.links:
        answer = check(client.request("GET", answer.links["next"]["url"]), 200)
        found += answer.json()["repositories"]
    return found


def test_catalog_order_and_pages(client: RegistryClient, haven: HavenServer, project: str) -> None:
    """Byte order of full names, which is not that of (project, name)."""
    dashed = haven.create_project(f"{project}-b")
    names = [f"{project}/a", f"{project}/a-b", f"{project}/a/b", f"{dashed}/c"]
    for name in names:
        client.push(name, random_image(10), "v1")
    found = catalog(client)
    assert found == sorted(found)
    assert [name for name in found if name.startswith(project)] == sorted(names)
    assert catalog(client, page=2) == found
    first = check(client.catalog(n=1), 200)
    assert first.headers["Link"].startswith("</v2/_catalog?n=1&last=")
    assert check(client.catalog(n=0), 200).json() == {"repositories": []}
    assert check(client.catalog(last=sorted(names)[1], n=1), 200).json()["repositories"] == [sorted(names)[2]]
    check(client.catalog(n=10**11), 200)


def test_catalog_hides_what_holds_nothing(client: RegistryClient, project: str) -> None:
    client.start_upload(f"{project}/begun")
    manifest = client.push(f"{project}/deleted", random_image(10), "v1")
    client.push(f"{project}/untagged", random_image(10))
    assert {f"{project}/deleted", f"{project}/untagged"} <= set(catalog(client))
    check(client.delete_manifest(f"{project}/deleted", manifest.digest), 202)
    assert [name for name in catalog(client) if name.startswith(project)] == [f"{project}/untagged"]


def test_everybody_lists_what_they_may_pull(
    client: RegistryClient,
    haven: HavenServer,
    alice: Person,
    backstage: Backstage,
    project: str,
    public_project: str,
) -> None:
    secret = haven.create_project(f"{project}-secret")
    for name in (f"{project}/app", f"{public_project}/app", f"{secret}/app"):
        client.push(name, random_image(10), "v1")
    backstage.member(project, alice.name, GUEST)
    with_token = catalog(alice.client)
    assert f"{project}/app" in with_token
    assert f"{public_project}/app" in with_token
    assert not [name for name in with_token if name.startswith(secret)]
    paged = catalog(alice.client, page=1)
    assert paged == with_token  # a page of one never shows a gap
    plain = alice.client.session.get(f"{haven.url}/v2/_catalog?n=1000", auth=alice.client.credentials)
    assert check(plain, 200).json()["repositories"] == with_token


def test_nobody_lists_nothing(haven: HavenServer, client: RegistryClient, public_repository: str) -> None:
    client.push(public_repository, random_image(10), "v1")
    bare = challenge_of(haven.anonymous().session.get(f"{haven.url}/v2/_catalog"))
    assert bare["scope"] == "registry:catalog:*"
    assert "error" not in bare
    token = haven.anonymous().token(f"{haven.url}/service/token", "x", ["registry:catalog:*"]).json()["token"]
    answer = haven.anonymous().request("GET", "/v2/_catalog", headers={"Authorization": f"Bearer {token}"})
    check(answer, 401, "UNAUTHORIZED")


def test_a_token_for_a_repository_opens_no_catalog(
    haven: HavenServer, backstage: Backstage, client: RegistryClient, repository: str
) -> None:
    token = backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull", "push", "delete"])]))
    answer = client.request("GET", "/v2/_catalog", headers={"Authorization": f"Bearer {token}"})
    assert challenge_of(answer)["error"] == "insufficient_scope"


def test_extensions(client: RegistryClient) -> None:
    assert check(client.request("GET", "/v2/_oci/ext/discover"), 200).json() == {"extensions": []}
