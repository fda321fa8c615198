"""Tag lists, the catalog and referrers (distribution-spec end-8, 12; _catalog of the Docker registry)."""

from __future__ import annotations

import pytest

from tests.support.client import RegistryClient, error_codes, expect
from tests.support.oci import OCI_INDEX, Manifest, absent_digest, artifact, index, random_blob, random_image
from tests.support.stack import HavenServer

# byte order: digits, capitals, underscore, small letters
TAGS = ["0.9", "1.0", "1.0-rc", "10.0", "2.0", "Latest", "Z", "_x", "a", "a-b", "a.b", "ab", "latest"]


@pytest.fixture
def tagged(client: RegistryClient, repository: str) -> str:
    """A repository with TAGS, written in another order, all on one manifest."""
    manifest = client.push(repository, random_image())
    for tag in reversed(TAGS):
        expect(client.put_manifest(repository, manifest, tag), 201)
    return repository


def test_all_tags_in_byte_order(client: RegistryClient, tagged: str) -> None:
    answer = expect(client.list_tags(tagged), 200)
    assert answer.json() == {"name": tagged, "tags": TAGS}
    assert "Link" not in answer.headers


@pytest.mark.parametrize("page", [1, 3, 12, 13, 14])
def test_pages_join_to_the_whole(client: RegistryClient, tagged: str, page: int) -> None:
    first = expect(client.list_tags(tagged, n=page), 200)
    assert first.json()["tags"] == TAGS[:page]
    assert ("next" in first.links) is (page < len(TAGS))
    if page < len(TAGS):
        assert first.links["next"]["url"].startswith("/v2/")
    assert client.tags(tagged, page) == TAGS


def test_after_a_tag_that_need_not_exist(client: RegistryClient, tagged: str) -> None:
    assert client.list_tags(tagged, last="Latest").json()["tags"] == TAGS[6:]
    assert client.list_tags(tagged, last="M", n=2).json()["tags"] == ["Z", "_x"]
    assert client.list_tags(tagged, last="latest").json()["tags"] == []
    assert client.list_tags(tagged, last="zzz").json()["tags"] == []


def test_page_of_none(client: RegistryClient, tagged: str) -> None:
    answer = expect(client.list_tags(tagged, n=0), 200)
    assert answer.json()["tags"] == []
    assert "Link" not in answer.headers


@pytest.mark.parametrize("number", ["-1", "x", "1.5", ""])
def test_page_size_that_is_none(client: RegistryClient, tagged: str, number: str) -> None:
    refused = client.list_tags(tagged, n=number)
    if number == "":
        assert refused.status_code in (200, 400)
        return
    assert refused.status_code == 400
    assert error_codes(refused) == ["PAGINATION_NUMBER_INVALID"]


def test_huge_page_is_cut_not_refused(client: RegistryClient, tagged: str) -> None:
    assert expect(client.list_tags(tagged, n=10**9), 200).json()["tags"] == TAGS


def test_tags_of_a_repository_without_any(client: RegistryClient, repository: str, other_repository: str) -> None:
    client.push(repository, random_image())
    assert client.list_tags(repository).json() == {"name": repository, "tags": []}
    unknown = client.list_tags(other_repository)
    assert unknown.status_code == 404
    assert error_codes(unknown) == ["NAME_UNKNOWN"]


def test_catalog(haven: HavenServer, client: RegistryClient, project: str) -> None:
    names = [f"{project}/{name}" for name in ("a", "a-b", "a/b", "ab", "b")]
    for name in reversed(names):
        client.push(name, random_image(100), "v1")
    found, last = [], ""
    answer = expect(client.catalog(n=2), 200)
    while True:
        page = answer.json()["repositories"]
        assert len(page) <= 2
        found += page
        if "next" not in answer.links:
            break
        assert page[-1] > last
        last = page[-1]
        answer = expect(client.request("GET", answer.links["next"]["url"]), 200)
    assert [name for name in found if name.startswith(f"{project}/")] == names
    assert found == sorted(found)
    assert client.catalog(n=-1).status_code == 400
    refused = haven.anonymous().catalog()
    assert refused.status_code == 401
    assert error_codes(refused) == ["UNAUTHORIZED"]


def test_referrers_of_what_is_not_there(client: RegistryClient, repository: str, algorithm: str) -> None:
    """An empty list, never 404: clients take 404 for a registry without the API and write fallback tags."""
    client.push(repository, random_image())
    answer = expect(client.referrers(repository, absent_digest(algorithm)), 200)
    assert answer.headers["Content-Type"] == OCI_INDEX
    assert answer.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


@pytest.mark.parametrize("digest", ["notadigest", "sha256:short", "latest"])
def test_referrers_of_no_digest(client: RegistryClient, repository: str, digest: str) -> None:
    client.push(repository, random_image())
    refused = client.referrers(repository, digest)
    assert refused.status_code == 400
    assert error_codes(refused) == ["DIGEST_INVALID"]


def test_referrers_with_an_unknown_type(client: RegistryClient, repository: str) -> None:
    subject = client.push(repository, random_image(), "v1")
    client.push(repository, artifact([random_blob()], subject=subject))
    answer = expect(client.referrers(repository, subject.digest, "application/none"), 200)
    assert answer.json()["manifests"] == []
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"


def test_referrers_stay_in_their_repository(client: RegistryClient, repository: str, other_repository: str) -> None:
    subject = client.push(repository, random_image(), "v1")
    client.push(other_repository, subject, "v1")
    referrer = client.push(repository, artifact([random_blob()], subject=subject))
    listed = client.referrers(repository, subject.digest).json()["manifests"]
    assert [entry["digest"] for entry in listed] == [referrer.digest]
    assert client.referrers(other_repository, subject.digest).json()["manifests"] == []


def test_referrers_outlive_and_precede_their_subject(client: RegistryClient, repository: str) -> None:
    subject = random_image()
    referrer = client.push(repository, artifact([random_blob()], subject=subject))
    client.push(repository, subject, "v1")
    assert digests(client, repository, subject) == [referrer.digest]
    expect(client.delete_manifest(repository, referrer.digest), 202)
    assert digests(client, repository, subject) == []


def test_fallback_tag_of_an_older_client_is_read(client: RegistryClient, repository: str) -> None:
    """A list pushed as the tag sha256-<hex> before the API was there: what it names is a referrer by its own subject."""
    subject = client.push(repository, random_image(), "v1")
    referrer = client.push(repository, artifact([random_blob()], subject=subject))
    client.push(repository, index([referrer]), subject.digest.replace(":", "-"))
    assert digests(client, repository, subject) == [referrer.digest]


def test_many_referrers(client: RegistryClient, repository: str) -> None:
    subject = client.push(repository, random_image(), "v1")
    blob = random_blob()
    client.push_blob(repository, blob)
    expected = set()
    for number in range(40):
        kind = f"application/vnd.example.{number % 2}"
        referrer = artifact([blob], artifact_type=kind, annotations={"number": str(number)}, subject=subject)
        expected.add(client.push(repository, referrer).digest)
    assert set(digests(client, repository, subject)) == expected
    assert len(client.referrers(repository, subject.digest, "application/vnd.example.1").json()["manifests"]) == 20


def digests(client: RegistryClient, repository: str, subject: Manifest) -> list[str]:
    found: list[str] = []
    answer = expect(client.referrers(repository, subject.digest), 200)
    while True:
        found += [entry["digest"] for entry in answer.json()["manifests"]]
        if "next" not in answer.links:
            return found
        answer = expect(client.request("GET", answer.links["next"]["url"]), 200)
