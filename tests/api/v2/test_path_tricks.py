"""Paths that mean one thing to the gateway and another to the application, names that are none (S11, S47)."""

from __future__ import annotations

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.raw import RawResponse, send
from tests.support.client import RegistryClient
from tests.support.oci import absent_digest, random_image
from tests.support.stack import HavenServer

DIGEST = absent_digest()


def check(answer: RawResponse, status: int, *codes: str) -> None:
    assert answer.status == status, (answer.status, answer.body[:300])
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert answer.codes == list(codes)


BAD_NAMES = [
    "App", "APP", "a..b", "a.-b", "-a", "a-", ".a", "a.", "_a", "a___b", "a/", "/a", "a//b", "a/../b", "..", ".", "a/.",
    "%2e%2e", "%2e%2e/a", "a%2f..%2fb", "a%252fb", "a%00", "a%0a", "a%0d%0aX:%20y", "a%20b", "a%5cb", "a\\b", "a%c3%a9",
    "a%ff", "\xe9", "%E3%80%82", "a:b", "a@b", "a~b", "a*", "a%3Fb", "a%23b", "a;b", "a%3Bx=y", "x" * 256, "a<b", "a`b", 'a"b',
    "a|b", "a{b}", "a^b", "a[b]",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names(haven: HavenServer, backstage: Backstage, project: str, name: str) -> None:
    with backstage.nothing_stored(project):
        for method, rest in (
            ("GET", "manifests/v1"),
            ("GET", "tags/list"),
            ("POST", "blobs/uploads/"),
            ("POST", f"blobs/uploads/?digest={DIGEST}"),
            ("GET", f"blobs/{DIGEST}"),
            ("GET", f"referrers/{DIGEST}"),
        ):
            answer = send(haven, method, f"/v2/{project}/{name}/{rest}", "Content-Length: 0")
            assert answer.status in (400, 404), (answer.status, answer.body[:200])
            if answer.status == 400:
                assert answer.codes in (["NAME_INVALID"], ["BAD_REQUEST"])  # the second: nginx's, no HTTP at all


@pytest.mark.parametrize("length", [255, 256])
def test_longest_name(haven: HavenServer, client: RegistryClient, project: str, length: int) -> None:
    repository = f"{project}/" + "a/" * 20
    repository += "x" * (length - len(repository))
    assert len(repository) == length
    answer = send(haven, "POST", f"/v2/{repository}/blobs/uploads/", "Content-Length: 0")
    if length == 256:
        check(answer, 400, "NAME_INVALID")
        return
    assert answer.status == 202
    client.push(repository, random_image(10), "v1")
    assert client.tags(repository) == ["v1"]


def test_one_component_has_no_project(haven: HavenServer) -> None:
    for method, path in (("GET", "app/manifests/latest"), ("POST", "app/blobs/uploads/")):
        check(send(haven, method, f"/v2/{path}", "Content-Length: 0"), 400, "NAME_INVALID")


def test_an_encoded_slash_is_a_slash_for_everybody(haven: HavenServer, client: RegistryClient, project: str) -> None:
    """Decoded once, by the server; the decision who may what is made on what comes out."""
    client.push(f"{project}/app", random_image(10), "v1")
    encoded = f"/v2/{project}%2Fapp/manifests/v1"
    assert send(haven, "GET", encoded).status == 200
    assert send(haven, "GET", encoded, authorization="").status == 401
    assert send(haven, "GET", f"/v2/{project}%252Fapp/manifests/v1").status == 400


TRICKS = [
    "/v2/%2e%2e/api/v2.0/projects",
    "/v2/../api/v2.0/projects",
    "/v2/..%2fapi/v2.0/projects",
    "/v2/..;/api/v2.0/projects",
    "//v2/_catalog",
    "/v2//_catalog",
    "/v2/./_catalog",
    "/v2/_catalog/",
    "/v2/_catalog/..",
    "/V2/_catalog",
    "/v2%2f_catalog",
    "/v2/_oci/ext/discover/",
    "/v2/%5fcatalog",
    "/api/..;/v2/_catalog",
    "/_blobs/",
    "/_blobs/../haven.sqlite3",
    "/v2/../_blobs/x",
    "/v2/%2e%2e/%2e%2e/etc/passwd",
    "/v2/..%2f..%2f..%2fetc%2fpasswd",
    "/service/token/",
    "/service/../service/token",
    "/%00",
    "/v2/%00/tags/list",
]


@pytest.mark.parametrize("path", TRICKS)
def test_no_path_leads_around(haven: HavenServer, path: str) -> None:
    """Nobody gets anything by any of them."""
    answer = send(haven, "GET", path, authorization="")
    assert answer.status in (400, 401, 403, 404), (answer.status, answer.body[:200])
    if answer.status != 404 or "html" not in answer.headers["Content-Type"]:  # the portal's page for people
        assert answer.json["errors"]


def test_unknown_endpoints(haven: HavenServer) -> None:
    for path in (
        "/v2/x",
        "/v2/p/r/manifests",
        "/v2/p/r/tags",
        "/v2/p/r/blobs/uploads/x/y",
        "/v2/_other",
        "/v2/p/r/nothing/x",
    ):
        check(send(haven, "GET", path), 404, "UNSUPPORTED")


def test_a_full_url_as_target(haven: HavenServer) -> None:
    answer = send(haven, "GET", f"http://evil.example{'/v2/'}", authorization="")
    assert answer.status in (400, 401)
    assert "evil" not in str(answer.body)
