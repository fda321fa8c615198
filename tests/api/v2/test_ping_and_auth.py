"""GET /v2/, challenges, who may what, and what a stranger can't learn (protocol of the token specification; Harbor)."""

from __future__ import annotations

import time
import uuid

import pytest
import requests

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import challenge_of, check
from tests.api.v2.conftest import DEVELOPER, GUEST, MAINTAINER, PROJECT_ADMIN, Person
from tests.api.v2.raw import basic, send
from tests.support.client import RegistryClient, location_of
from tests.support.oci import absent_digest, random_blob, random_image
from tests.support.stack import HavenServer


def bare(haven: HavenServer, method: str, path: str, **headers: str) -> requests.Response:
    """Exactly this request, nothing answered by itself."""
    session = requests.Session()
    session.trust_env = False
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return session.request(method, haven.url + path, headers=sent, timeout=20)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_ping(haven: HavenServer, client: RegistryClient, path: str, method: str) -> None:
    refused = bare(haven, method, path)
    assert challenge_of(refused) == {"realm": f"{haven.url}/service/token", "service": "haven-registry"}
    answer = check(client.request(method, path), 200)
    assert answer.content == (b"{}" if method == "GET" else b"")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == "2"
    assert answer.history == []
    assert "X-Registry-Supports-Signatures" not in answer.headers
    plain = bare(haven, method, path, Authorization=basic(haven.admin_user, haven.admin_password))
    check(plain, 200)


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic !!!",
        "Basic",
        "Basic " + "QQ==",
        "Digest x",
        "x",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "bearer a.b.c",
        "Negotiate y",
    ],
)
def test_credentials_that_cannot_be_read(haven: HavenServer, authorization: str) -> None:
    for path in ("/v2/", "/v2/p/r/tags/list"):
        challenge = challenge_of(bare(haven, "GET", path, Authorization=authorization))
        assert challenge.get("error") == ("invalid_token" if authorization.lower().startswith("bearer") else None)


def test_wrong_password(haven: HavenServer, alice: Person) -> None:
    """A Bearer challenge again, without error: containerd gives up when one comes twice."""
    for name, password in (
        (alice.name, "Wrong-password-1"),
        ("nobody-of-that-name", "Wrong-password-1"),
        (alice.name, ""),
    ):
        challenge = challenge_of(bare(haven, "GET", "/v2/", Authorization=basic(name, password)))
        assert "error" not in challenge


REQUESTS = [
    ("GET", "manifests/v1", "pull"),
    ("HEAD", "manifests/v1", "pull"),
    ("PUT", "manifests/v1", "pull,push"),
    ("DELETE", "manifests/v1", "delete"),
    ("GET", f"blobs/{absent_digest()}", "pull"),
    ("HEAD", f"blobs/{absent_digest()}", "pull"),
    ("DELETE", f"blobs/{absent_digest()}", "delete"),
    ("POST", "blobs/uploads/", "pull,push"),
    ("POST", f"blobs/uploads/?digest={absent_digest()}", "pull,push"),
    ("GET", f"blobs/uploads/{uuid.uuid4()}", "pull,push"),
    ("PATCH", f"blobs/uploads/{uuid.uuid4()}", "pull,push"),
    ("PUT", f"blobs/uploads/{uuid.uuid4()}?digest={absent_digest()}", "pull,push"),
    ("DELETE", f"blobs/uploads/{uuid.uuid4()}", "pull,push"),
    ("GET", "tags/list", "pull"),
    ("GET", f"referrers/{absent_digest()}", "pull"),
]


@pytest.mark.parametrize(
    ("method", "path", "actions"), REQUESTS, ids=[f"{n}-{m}" for n, (m, _, _) in enumerate(REQUESTS)]
)
def test_the_challenge_names_what_is_needed(
    haven: HavenServer, public_repository: str, method: str, path: str, actions: str
) -> None:
    """Public or not: a request without Authorization is always challenged."""
    challenge = challenge_of(bare(haven, method, f"/v2/{public_repository}/{path}"))
    assert challenge == {
        "realm": f"{haven.url}/service/token",
        "service": "haven-registry",
        "scope": f"repository:{public_repository}:{actions}",
    }


def test_the_challenge_of_a_mount_names_both_repositories(haven: HavenServer) -> None:
    path = f"/v2/one/target/blobs/uploads/?mount={absent_digest()}&from=two/source"
    scope = challenge_of(bare(haven, "POST", path))["scope"]
    assert scope == "repository:one/target:pull,push repository:two/source:pull"
    hostile = '/v2/one/target/blobs/uploads/?mount=x&from=a/b",error="c'
    assert challenge_of(bare(haven, "POST", hostile))["scope"] == "repository:one/target:pull,push"


def test_anybody_pulls_what_is_public_with_an_anonymous_token(
    haven: HavenServer, client: RegistryClient, public_repository: str
) -> None:
    manifest = client.push(public_repository, random_image(), "v1")
    visitor = haven.anonymous()
    assert visitor.pull(public_repository, "v1").payload == manifest.payload
    assert visitor.tags(public_repository) == ["v1"]
    assert check(visitor.referrers(public_repository, manifest.digest), 200).json()["manifests"] == []
    for refused in (
        visitor.put_manifest(public_repository, manifest, "v2"),
        visitor.start_upload(public_repository),
        visitor.delete_manifest(public_repository, "v1"),
        visitor.delete_blob(public_repository, manifest.blobs[0].digest),
    ):
        check(refused, 401, "UNAUTHORIZED")
    assert client.tags(public_repository) == ["v1"]


def test_a_private_project_looks_like_none(
    haven: HavenServer, client: RegistryClient, alice: Person, backstage: Backstage, project: str
) -> None:
    """§5.2: nobody and whoever may not pull get the same answer, but for the name, whatever they ask."""
    manifest = client.push(f"{project}/app", random_image(), "v1")
    missing = project[::-1]
    paths = [
        *REQUESTS,
        ("GET", f"manifests/{manifest.digest}", "pull"),
        ("GET", f"blobs/{manifest.blobs[0].digest}", "pull"),
        ("POST", f"blobs/uploads/?mount={manifest.blobs[0].digest}&from={project}/app", "pull,push"),
    ]
    token = "Bearer " + backstage.sign(
        backstage.claims(alice.name, [(f"{name}/app", ["pull", "push", "delete"]) for name in (project, missing)])
    )
    anonymous = "Bearer " + backstage.sign(backstage.claims(None))
    with backstage.nothing_stored(project):
        for authorization in ("", anonymous, token, basic(*alice.client.credentials)):  # type: ignore[misc]
            for method, path, _ in paths:
                seen = []
                for name in (project, missing):
                    asked = path.replace(f"from={project}", f"from={name}")
                    answer = send(haven, method, f"/v2/{name}/app/{asked}", authorization=authorization)
                    assert answer.status == 401
                    headers = [
                        (key.lower(), value.replace(name, "NAME"))
                        for key, value in answer.headers.items()
                        if key.lower() not in ("date", "x-request-id")
                    ]
                    seen.append((headers, answer.body.replace(name.encode(), b"NAME")))
                assert seen[0] == seen[1]


PERMITTED = {
    None: set[str](),
    GUEST: {"pull"},
    DEVELOPER: {"pull", "push"},
    MAINTAINER: {"pull", "push", "delete"},
    PROJECT_ADMIN: {"pull", "push", "delete"},
}


@pytest.mark.parametrize("role", PERMITTED, ids=["none", "guest", "developer", "maintainer", "admin"])
@pytest.mark.parametrize("scheme", ["token", "basic"])
def test_roles(
    client: RegistryClient,
    alice: Person,
    backstage: Backstage,
    project: str,
    repository: str,
    role: int | None,
    scheme: str,
) -> None:
    manifest = client.push(repository, random_image(), "v1")
    backstage.member(project, alice.name, role)
    person = alice.client
    assert person.credentials
    headers = {"Authorization": basic(*person.credentials)} if scheme == "basic" else {}

    def ask(method: str, path: str, **options: object) -> int:
        return person.request(method, f"/v2/{repository}/{path}", headers=dict(headers), **options).status_code  # type: ignore[arg-type]

    may = PERMITTED[role]
    digest = manifest.blobs[0].digest
    for method, path in (
        ("GET", "manifests/v1"),
        ("HEAD", f"manifests/{manifest.digest}"),
        ("GET", f"blobs/{digest}"),
        ("GET", "tags/list"),
        ("GET", f"referrers/{manifest.digest}"),
    ):
        assert ask(method, path) == (200 if "pull" in may else 401)
    assert ask("POST", "blobs/uploads/") == (202 if "push" in may else 401)
    payload = {"data": manifest.payload}
    assert ask("PUT", "manifests/v2", **payload) == (201 if "push" in may else 401)
    assert ask("DELETE", "manifests/v1") == (202 if "delete" in may else 401)
    remaining = client.tags(repository)
    assert ("v2" in remaining, "v1" in remaining) == ("push" in may, "delete" not in may)


def test_a_token_is_good_for_its_repository_and_actions_only(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, project: str
) -> None:
    """The administrator may do anything; what the token was issued for still bounds it."""
    one, two = f"{project}/one", f"{project}/two"
    for name in (one, two, f"{project}/one-more", f"{project}/one/more"):
        client.push(name, random_image(), "v1")
    pull_one = backstage.sign(backstage.claims(haven.admin_user, [(one, ["pull"])]))
    headers = {"Authorization": f"Bearer {pull_one}"}
    check(client.request("GET", f"/v2/{one}/manifests/v1", headers=headers), 200)
    for name in (two, f"{project}/one-more", f"{project}/one/more"):
        answer = client.request("GET", f"/v2/{name}/manifests/v1", headers=headers)
        assert challenge_of(answer)["error"] == "insufficient_scope"
    push_one = backstage.sign(backstage.claims(haven.admin_user, [(one, ["pull", "push"])]))
    for token, method, path in (
        (pull_one, "POST", "blobs/uploads/"),
        (pull_one, "PUT", "manifests/v2"),
        (pull_one, "DELETE", "manifests/v1"),
        (push_one, "DELETE", "manifests/v1"),
    ):
        answer = client.request(method, f"/v2/{one}/{path}", headers={"Authorization": f"Bearer {token}"})
        assert challenge_of(answer)["error"] == "insufficient_scope"
    assert client.tags(one) == ["v1"]


def test_a_right_that_is_taken_away(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, project: str, public_project: str
) -> None:
    """S10: a token outlives the right it came from by seconds, never by its lifetime."""
    name = f"u{uuid.uuid4().hex[:8]}"
    backstage.ask("user", name=name, password="Correct-horse-9")
    backstage.member(project, name, DEVELOPER)
    person, visitor = haven.client(name, "Correct-horse-9"), haven.anonymous()
    private, public = f"{project}/app", f"{public_project}/app"
    client.push(private, random_image(), "v1")
    client.push(public, random_image(), "v1")
    location = location_of(check(person.start_upload(private), 202))
    check(person.get_manifest(private, "v1"), 200)
    check(visitor.get_manifest(public, "v1"), 200)
    other = haven.client(name, "Correct-horse-9")
    check(other.get_manifest(public, "v1"), 200)
    backstage.member(project, name, None)
    backstage.ask("set_public", project=public_project, value=False)
    deadline = time.monotonic() + 8
    waiting = {
        "pull": lambda: person.get_manifest(private, "v1"),
        "push": lambda: person.patch(location, b"x"),
        "public": lambda: visitor.get_manifest(public, "v1"),
    }
    while waiting and time.monotonic() < deadline:
        waiting = {what: ask for what, ask in waiting.items() if ask().status_code != 401}
        time.sleep(0.2)
    assert not waiting
    check(haven.client(name, "Correct-horse-9").ping(), 200)
    backstage.ask("disable", name=name)
    check(haven.client(name, "Correct-horse-9").ping(), 401)  # a login at once


def test_what_is_forged_in_headers_counts_for_nothing(
    haven: HavenServer, client: RegistryClient, repository: str
) -> None:
    """S27, S28."""
    forged = [
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Port: 444",
        "X-Forwarded-Prefix: /evil",
        "Forwarded: host=evil.example;proto=https",
        "X-Real-IP: 10.0.0.1",
        "X-Original-URL: /v2/evil/manifests/x",
        "X-Rewrite-URL: /v2/evil/manifests/x",
        "X-Script-Name: /evil",
        "X-HTTP-Method-Override: DELETE",
        "X-Accel-Redirect: /_blobs/x",
        "X-Accel-Buffering: no",
        "X_Forwarded_Host: evil.example",
    ]
    answer = send(haven, "GET", "/v2/", *forged, authorization="")
    realm = f'Bearer realm="{haven.url}/service/token",service="haven-registry"'
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, realm)
    blob = random_blob()
    client.push_blob(repository, blob)
    answer = send(haven, "GET", f"/v2/{repository}/blobs/{blob.digest}", *forged)
    assert (answer.status, answer.body) == (200, blob.data)
    started = send(haven, "POST", f"/v2/{repository}/blobs/uploads/", *forged, "Content-Length: 0")
    assert started.headers["Location"].startswith(f"/v2/{repository}/blobs/uploads/")
    for one in (answer, started):
        assert "evil" not in str(one.headers.items())
        assert not [name for name in one.headers if name.lower().startswith("x-accel")]
    check(client.head_blob(repository, blob.digest), 200)


def test_the_realm_follows_the_host_that_was_asked_for(haven: HavenServer) -> None:
    answer = bare(haven, "GET", "/v2/", Host="registry.example:8443")
    assert challenge_of(answer)["realm"] == "http://registry.example:8443/service/token"
    for host in ('evil"x', "a\\b"):
        response = bare(haven, "GET", "/v2/", Host=host)
        assert response.status_code in (400, 401)
        if response.status_code == 401:
            challenge_of(response)


OTHER_METHODS = [
    ("/v2/", "GET, HEAD"),
    ("/v2/_catalog", "GET, HEAD"),
    ("/v2/p/r/tags/list", "GET, HEAD"),
    ("/v2/p/r/referrers/x", "GET, HEAD"),
    ("/v2/p/r/manifests/v1", "GET, HEAD, PUT, DELETE"),
    ("/v2/p/r/blobs/x", "GET, HEAD, DELETE"),
    ("/v2/p/r/blobs/uploads/", "POST"),
    ("/v2/p/r/blobs/uploads/x", "GET, HEAD, PATCH, PUT, DELETE"),
]


@pytest.mark.parametrize(("path", "allowed"), OTHER_METHODS)
def test_other_methods(haven: HavenServer, path: str, allowed: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        if method in allowed:
            continue
        answer = send(haven, method, path, "Content-Length: 0")
        assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
        assert answer.headers["Allow"] == allowed
        assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
        assert "Access-Control-Allow-Origin" not in answer.headers
