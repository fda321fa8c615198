"""Deleting: gone at once, and only what was meant (distribution-spec end-9, end-10)."""

from __future__ import annotations

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check
from tests.api.v2.conftest import DEVELOPER, MAINTAINER, Person
from tests.support.client import RegistryClient
from tests.support.oci import absent_digest, image, index, random_blob, random_image, random_layer
from tests.support.stack import HavenServer


def gone(client: RegistryClient, repository: str, *references: str) -> None:
    for reference in references:
        check(client.head_manifest(repository, reference), 404)
        check(client.get_manifest(repository, reference), 404, "MANIFEST_UNKNOWN")


def test_a_tag_alone(client: RegistryClient, repository: str) -> None:
    manifest = client.push(repository, random_image(), "v1")
    client.put_manifest(repository, manifest, "v2")
    check(client.delete_manifest(repository, "v1"), 202)
    gone(client, repository, "v1")
    assert client.tags(repository) == ["v2"]
    check(client.delete_manifest(repository, "v2"), 202)
    assert client.tags(repository) == []
    assert check(client.get_manifest(repository, manifest.digest), 200).content == manifest.payload
    check(client.delete_manifest(repository, "v1"), 404, "MANIFEST_UNKNOWN")


def test_a_manifest_with_its_tags(client: RegistryClient, repository: str) -> None:
    manifest, other = client.push(repository, random_image(), "v1"), client.push(repository, random_image(), "other")
    client.put_manifest(repository, manifest, "v2")
    check(client.delete_manifest(repository, manifest.digest), 202)
    gone(client, repository, "v1", "v2", manifest.digest)
    assert client.tags(repository) == ["other"]
    assert client.get_manifest(repository, "other").content == other.payload
    for blob in manifest.blobs:
        check(client.head_blob(repository, blob.digest), 404)
    for blob in other.blobs:
        check(client.head_blob(repository, blob.digest), 200)
    check(client.delete_manifest(repository, manifest.digest), 404, "MANIFEST_UNKNOWN")


def test_what_is_not_there(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    check(client.delete_manifest(repository, "v1"), 404, "MANIFEST_UNKNOWN")
    check(client.delete_blob(repository, absent_digest()), 404, "BLOB_UNKNOWN")
    client.push(repository, random_image(), "v1")
    with backstage.nothing_stored(project):
        for reference in ("v2", absent_digest(), "sha256:bad", "-bad"):
            assert client.delete_manifest(repository, reference).status_code in (400, 404)
        check(client.delete_blob(repository, absent_digest()), 404, "BLOB_UNKNOWN")
        check(client.delete_blob(repository, "sha256:bad"), 400, "DIGEST_INVALID")


def test_pushed_again_after_its_delete(client: RegistryClient, repository: str) -> None:
    manifest = client.push(repository, random_image(), "v1")
    check(client.delete_manifest(repository, manifest.digest), 202)
    client.push(repository, manifest, "v1")
    assert client.pull(repository, "v1").payload == manifest.payload


def test_a_child_stays_while_its_index_lives(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    both = client.push(repository, index([random_image(), random_image()]), "v1")
    child = both.children[0]
    with backstage.nothing_stored(project):
        check(client.delete_manifest(repository, child.digest), 405, "UNSUPPORTED")
    assert client.pull(repository, "v1").payload == both.payload
    check(client.delete_manifest(repository, both.digest), 202)
    gone(client, repository, "v1", both.digest, child.digest)


def test_an_index_takes_no_child_that_is_used_elsewhere(client: RegistryClient, repository: str) -> None:
    tagged, shared, own = random_image(), random_image(), random_image()
    one = client.push(repository, index([tagged, shared, own]), "one")
    client.push(repository, index([shared]), "two")
    client.put_manifest(repository, tagged, "tagged")
    check(client.delete_manifest(repository, one.digest), 202)
    gone(client, repository, own.digest)
    assert client.pull(repository, "two").children[0].payload == shared.payload
    assert client.pull(repository, "tagged").payload == tagged.payload


def test_a_blob_that_a_manifest_names(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    manifest = client.push(repository, random_image(), "v1")
    with backstage.nothing_stored(project):
        for blob in manifest.blobs:
            check(client.delete_blob(repository, blob.digest), 405, "UNSUPPORTED")
            check(client.head_blob(repository, blob.digest), 200)


def test_a_blob_on_its_own(client: RegistryClient, project: str, repository: str) -> None:
    blob, sibling = random_blob(), f"{project}/sibling"
    client.push_blob(repository, blob)
    client.push_blob(sibling, blob)
    answer = check(client.delete_blob(repository, blob.digest), 202)
    assert answer.headers["Content-Length"] == "0"
    check(client.head_blob(repository, blob.digest), 404)
    check(client.get_blob(repository, blob.digest), 404, "BLOB_UNKNOWN")
    check(client.delete_blob(repository, blob.digest), 404, "BLOB_UNKNOWN")
    assert client.get_blob(sibling, blob.digest).content == blob.data
    client.push_blob(repository, blob)
    assert client.get_blob(repository, blob.digest).content == blob.data


def test_a_shared_layer_survives_one_of_its_images(client: RegistryClient, repository: str) -> None:
    layer = random_layer()
    one, two = image([layer]), image([layer], annotations={"n": "2"})
    client.push(repository, one, "one")
    client.push(repository, two, "two")
    check(client.delete_manifest(repository, one.digest), 202)
    assert client.pull(repository, "two").payload == two.payload


def test_after_each_manifest_its_blobs_go(client: RegistryClient, repository: str) -> None:
    """The order of the conformance suite: tags, manifests, blobs; each 404 right after."""
    manifest = client.push(repository, random_image(), "v1")
    check(client.delete_manifest(repository, "v1"), 202)
    check(client.delete_manifest(repository, manifest.digest), 202)
    for blob in manifest.blobs:
        assert client.delete_blob(repository, blob.digest).status_code in (202, 404)
        check(client.head_blob(repository, blob.digest), 404)


@pytest.mark.parametrize(("role", "status"), [(DEVELOPER, 401), (MAINTAINER, 202)])
def test_deleting_is_a_right_of_its_own(
    client: RegistryClient, alice: Person, backstage: Backstage, project: str, repository: str, role: int, status: int
) -> None:
    """S9: whoever may push may still not delete, by Bearer or Basic."""
    backstage.member(project, alice.name, role)
    manifest = alice.client.push(repository, random_image(), "v1")
    alice.client.put_manifest(repository, manifest, "latest")
    loose = random_blob()
    alice.client.push_blob(repository, loose)
    paths = [f"manifests/{reference}" for reference in ("v1", "latest", manifest.digest)] + [f"blobs/{loose.digest}"]
    for path in paths:
        before = backstage.contents(project)
        answers = [alice.client.request("DELETE", f"/v2/{repository}/{path}")]
        if status == 401:
            plain = alice.client
            answers.append(plain.session.delete(f"{plain.url}/v2/{repository}/{path}", auth=plain.credentials))
            assert backstage.contents(project) == before
        for answer in answers:
            check(answer, status)


def test_a_project_with_content_stays(
    haven: HavenServer, client: RegistryClient, project: str, repository: str
) -> None:
    manifest = client.push(repository, random_image(), "v1")
    assert haven.api("DELETE", f"/projects/{project}").status_code == 412
    assert client.pull(repository, "v1").payload == manifest.payload
