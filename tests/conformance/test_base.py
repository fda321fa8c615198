"""The base endpoint, challenges, errors and paths (distribution-spec end-1; the token specification)."""

from __future__ import annotations

import re

import pytest
import requests

from tests.support.client import RegistryClient, error_codes, expect
from tests.support.oci import OCI_MANIFEST, absent_digest, random_image
from tests.support.stack import HavenServer

VERSION = "Docker-Distribution-Api-Version"
CHALLENGE = re.compile(r'Bearer (?:[a-z]+="[^"]*",?)+')


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_base(client: RegistryClient, path: str) -> None:
    answer = expect(client.request("GET", path, allow_redirects=False), 200)
    assert answer.json() == {}
    assert answer.headers[VERSION] == "registry/2.0"
    assert expect(client.request("HEAD", path, allow_redirects=False), 200).content == b""


def test_base_challenges_everyone_without_a_token(haven: HavenServer) -> None:
    """docker and podman decide by this answer whether they will ever send a token."""
    answer = requests.get(f"{haven.url}/v2/", timeout=10)
    assert answer.status_code == 401
    assert error_codes(answer) == ["UNAUTHORIZED"]
    assert answer.headers[VERSION] == "registry/2.0"
    challenge = answer.headers["WWW-Authenticate"]
    assert CHALLENGE.fullmatch(challenge), challenge
    assert f'realm="{haven.url}/service/token"' in challenge
    assert "scope=" not in challenge
    assert "error=" not in challenge, "containerd gives up when told the same error twice"


@pytest.mark.parametrize(
    ("method", "path", "actions"),
    [
        ("GET", "manifests/latest", "pull"),
        ("HEAD", "manifests/latest", "pull"),
        ("GET", "tags/list", "pull"),
        ("POST", "blobs/uploads/", "pull,push"),
        ("PUT", "manifests/latest", "pull,push"),
        ("DELETE", "manifests/latest", "delete"),
    ],
)
def test_challenge_names_the_scope(haven: HavenServer, repository: str, method: str, path: str, actions: str) -> None:
    answer = requests.request(method, f"{haven.url}/v2/{repository}/{path}", timeout=10)
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert CHALLENGE.fullmatch(challenge), challenge
    assert f'scope="repository:{repository}:{actions}"' in challenge
    assert answer.headers[VERSION] == "registry/2.0"


def test_challenge_of_a_mount_names_the_source_too(haven: HavenServer, repository: str, other_repository: str) -> None:
    """A client answers one challenge; a second 401 is an error to it."""
    query = {"mount": absent_digest(), "from": other_repository}
    answer = requests.post(f"{haven.url}/v2/{repository}/blobs/uploads/", params=query, timeout=10)
    challenge = answer.headers["WWW-Authenticate"]
    assert f"repository:{repository}:pull,push" in challenge
    assert f"repository:{other_repository}:pull" in challenge


def test_wrong_password_is_not_anonymous(haven: HavenServer) -> None:
    for user, password in ((haven.admin_user, "wrong"), ("nobody-here", "wrong"), (haven.admin_user, "")):
        stranger = haven.client(user, password)
        assert stranger.token(f"{haven.url}/service/token", "haven-registry").status_code == 401
        answer = requests.get(f"{haven.url}/v2/", auth=(user, password), timeout=10)
        assert answer.status_code == 401
        assert "WWW-Authenticate" in answer.headers


def test_basic_is_accepted(haven: HavenServer, repository: str) -> None:
    haven.client().push(repository, random_image(), "v1")
    url = f"{haven.url}/v2/{repository}/manifests/v1"
    answer = requests.get(
        url, auth=(haven.admin_user, haven.admin_password), headers={"Accept": OCI_MANIFEST}, timeout=10
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "", "eyJhbGciOiJub25lIn0.e30."])
def test_forged_token(haven: HavenServer, repository: str, token: str) -> None:
    url = f"{haven.url}/v2/{repository}/tags/list"
    answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.status_code == 401
    assert error_codes(answer) == ["UNAUTHORIZED"]


def test_token_is_bound_to_its_scope(haven: HavenServer, repository: str, other_repository: str) -> None:
    """A pull token pushes nothing, and a token for one repository opens no other."""
    client = haven.client()
    client.push(repository, random_image(), "v1")
    client.push(other_repository, random_image(), "v1")
    answer = client.token(f"{haven.url}/service/token", "haven-registry", [f"repository:{repository}:pull"])
    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}

    def status(method: str, path: str) -> int:
        return requests.request(method, f"{haven.url}/v2/{path}", headers=bearer, timeout=10).status_code

    assert status("GET", f"{repository}/tags/list") == 200
    assert status("POST", f"{repository}/blobs/uploads/") == 401
    assert status("DELETE", f"{repository}/manifests/v1") == 401
    assert status("GET", f"{other_repository}/tags/list") == 401
    assert client.tags(repository) == ["v1"]


@pytest.mark.parametrize(
    "name",
    ["UPPER/case", "a//b", "a/../b", "-a/b", "a_/b", "a/b-", "a/b..c", "ü/b", "a b/c", "a/" + "b" * 300, "."],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_name_that_is_none(client: RegistryClient, name: str, method: str) -> None:
    """Sent raw: nothing between may tidy it up into another name."""
    path = "manifests/v1" if method == "GET" else "blobs/uploads/"
    prepared = requests.Request(method, client.url, auth=client.credentials).prepare()
    prepared.url = f"{client.url}/v2/{name}/{path}"
    answer = client.session.send(prepared, timeout=10, allow_redirects=False)
    assert answer.status_code in (400, 404), answer.text
    assert set(error_codes(answer)) <= {"NAME_INVALID", "NAME_UNKNOWN", "UNSUPPORTED", "MANIFEST_UNKNOWN"}


@pytest.mark.parametrize("name", ["blobs", "tags/list", "manifests/manifests", "a__b/c---d.e", "0/1"])
def test_repositories_named_like_parts_of_the_api(client: RegistryClient, shared_project: str, name: str) -> None:
    repository = f"{shared_project}/{name}"
    image = client.push(repository, random_image(100), "list")
    assert client.pull(repository, "list").payload == image.payload
    assert client.tags(repository) == ["list"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nothing"),
        ("PATCH", "manifests/v1"),
        ("POST", "tags/list"),
        ("PUT", "blobs/sha256:" + "0" * 64),
        ("DELETE", "tags/list"),
        ("GET", "blobs/uploads/"),
    ],
)
def test_what_the_api_does_not_know(client: RegistryClient, repository: str, method: str, path: str) -> None:
    client.push(repository, random_image(100), "v1")
    answer = client.request(method, f"/v2/{repository}/{path}")
    assert answer.status_code in (404, 405), answer.text
    assert error_codes(answer)
    assert answer.headers[VERSION] == "registry/2.0"


def test_push_into_a_project_that_is_not_there(client: RegistryClient) -> None:
    answer = client.start_upload("no-such-project-here/app")
    assert answer.status_code in (401, 403, 404)
    assert error_codes(answer)


def test_anonymous_in_public_and_private(haven: HavenServer, public_project: str, project: str) -> None:
    client, stranger = haven.client(), haven.anonymous()
    image = client.push(f"{public_project}/app", random_image(), "v1")
    client.push(f"{project}/app", random_image(), "v1")
    assert stranger.pull(f"{public_project}/app", "v1").payload == image.payload
    assert stranger.tags(f"{public_project}/app") == ["v1"]
    for refused in (
        stranger.get_manifest(f"{project}/app", "v1"),
        stranger.get_manifest(f"{project}/missing", "v1"),
        stranger.get_manifest("no-such-project-here/app", "v1"),
        stranger.start_upload(f"{public_project}/app"),
        stranger.put_manifest(f"{public_project}/app", image, "v2"),
        stranger.delete_manifest(f"{public_project}/app", "v1"),
    ):
        assert refused.status_code == 401
        assert error_codes(refused) == ["UNAUTHORIZED"]
    assert client.tags(f"{public_project}/app") == ["v1"]
