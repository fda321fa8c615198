"""HTTP that is broken, ambiguous or too much (S26, S34): 400 at the first hop, and nothing stored."""

from __future__ import annotations

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check_session
from tests.api.v2.raw import Wire, request_bytes, send
from tests.support.client import RegistryClient, location_of
from tests.support.oci import digest_of
from tests.support.stack import HavenServer

DATA = b"0123456789"
DIGEST = digest_of(DATA)
SMUGGLED = b"DELETE /v2/x/y/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n"

AMBIGUOUS = {
    "length and chunked": (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
    "two lengths": (["Content-Length: 10", "Content-Length: 4"], DATA),
    "two equal lengths": (["Content-Length: 10", "Content-Length: 10"], DATA),
    "a list of lengths": (["Content-Length: 10, 10"], DATA),
    "length with a sign": (["Content-Length: +10"], DATA),
    "negative length": (["Content-Length: -1"], b""),
    "length is no number": (["Content-Length: ten"], b""),
    "length beyond 64 bits": (["Content-Length: 99999999999999999999999"], b""),
    "chunked twice": (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "chunked and identity": (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n"),
    "unknown coding": (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "chunk size is no number": (["Transfer-Encoding: chunked"], b"zz\r\nab\r\n0\r\n\r\n"),
    "chunk size is negative": (["Transfer-Encoding: chunked"], b"-1\r\nab\r\n0\r\n\r\n"),
    "chunk longer than it says": (["Transfer-Encoding: chunked"], b"2\r\nabcdef\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": (["Transfer-Encoding: chunked"], b"fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_ambiguous_bodies(
    haven: HavenServer,
    client: RegistryClient,
    backstage: Backstage,
    project: str,
    repository: str,
    case: str,
    verb: str,
) -> None:
    headers, body = AMBIGUOUS[case]
    location = location_of(client.start_upload(repository))
    path = location.removeprefix(haven.url) + (f"?digest={DIGEST}" if verb == "PUT" else "")
    with backstage.nothing_stored(project), Wire(haven.host_port) as wire:
        wire.send(request_bytes(haven, verb, path, *headers, body=body))
        answer = wire.receive(verb)
        assert answer.status in (400, 501), (answer.status, answer.body)
        assert answer.json["errors"]
        assert wire.is_closed()  # what follows is never read as a request
    assert client.upload_status(location).headers["Range"] == "0-0"


def test_chunk_extensions_and_trailers_are_passed_over(
    haven: HavenServer, client: RegistryClient, repository: str
) -> None:
    location = location_of(client.start_upload(repository))
    body = b"5;a=b\r\n01234\r\n5\r\n56789\r\n0\r\nX-Trailer: y\r\n\r\n"
    answer = send(haven, "PATCH", location.removeprefix(haven.url), "Transfer-Encoding: chunked", body=body)
    assert (answer.status, answer.headers["Range"]) == (202, "0-9")


@pytest.mark.parametrize("line", ["X Y: z", ": z", "Bad\x00Name: z", "X: a\x00b"])
def test_broken_headers_reach_nobody(haven: HavenServer, line: str) -> None:
    answer = send(haven, "GET", "/v2/", line)
    assert answer.status in (200, 400)


@pytest.mark.parametrize(
    "request_line", ["GET", "GET /v2/", "GET /v2/ HTTP/9.9", "G\x01T /v2/ HTTP/1.1", "GET v2/ HTTP/1.1"]
)
def test_broken_request_lines(haven: HavenServer, request_line: str) -> None:
    with Wire(haven.host_port) as wire:
        wire.send(f"{request_line}\r\nHost: {haven.host_port}\r\n\r\n".encode("latin-1"))
        received = wire.socket.recv(65536)
    assert b"root:" not in received
    if received.startswith(b"HTTP/"):
        assert received.split(b" ")[1] in (b"400", b"405", b"505")


def test_no_host_and_two_hosts(haven: HavenServer) -> None:
    for hosts in ("", "Host: a\r\nHost: b\r\n"):
        with Wire(haven.host_port) as wire:
            wire.send(f"GET /v2/ HTTP/1.1\r\n{hosts}\r\n".encode())
            assert wire.receive().status == 400


@pytest.mark.parametrize("query", ["\xe9", "a<b", 'a"b', "a>b", "a`b", "a|b"])
def test_an_address_that_is_none(haven: HavenServer, query: str) -> None:
    """Errors are JSON whoever finds them."""
    answer = send(haven, "GET", f"/v2/p/r/tags/list?last={query}")
    assert answer.status in (400, 401)
    assert answer.json["errors"]
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_an_address_longer_than_any(haven: HavenServer) -> None:
    answer = send(haven, "GET", "/v2/" + "a/" * 20_000 + "tags/list")
    assert (answer.status, answer.json["errors"][0]["code"]) == (414, "BAD_REQUEST")
    long = send(haven, "GET", "/v2/p/r/tags/list?last=" + "a" * 15_000)
    assert long.status in (401, 414)  # there is no such project


def test_too_many_parameters(haven: HavenServer, client: RegistryClient, repository: str) -> None:
    answer = send(haven, "POST", f"/v2/{repository}/blobs/uploads/?" + "&".join(["a=b"] * 400), "Content-Length: 0")
    assert answer.status in (202, 414)
    location = location_of(client.start_upload(repository)).removeprefix(haven.url)
    answer = send(haven, "PUT", location + "?" + "&".join(["a=b"] * 400) + f"&digest={DIGEST}", "Content-Length: 0")
    assert answer.status == 414


def test_requests_share_a_connection_after_an_early_refusal(
    haven: HavenServer, client: RegistryClient, repository: str
) -> None:
    """The body of the refused one is not the next request."""
    location = location_of(client.start_upload(repository)).removeprefix(haven.url)
    with Wire(haven.host_port) as wire:
        for _ in range(3):
            headers = (f"Content-Length: {len(SMUGGLED)}", f"Content-Range: 1-{len(SMUGGLED)}")
            wire.send(request_bytes(haven, "PATCH", location, *headers, body=SMUGGLED))
            assert wire.receive("PATCH").status == 416
        wire.send(request_bytes(haven, "GET", "/v2/"))
        assert wire.receive().status == 200
    check_session(client.upload_status(location), 204, repository, 0)


@pytest.mark.parametrize("size", [100_000, 1_000_000, 3_000_000, 20_000_000])
def test_an_early_refusal_always_arrives(haven: HavenServer, repository: str, size: int) -> None:
    """Never a 503 or a broken connection, while the client is still sending."""
    body = b"x" * size
    for _ in range(5):
        for path, authorization, status in (
            (f"/v2/{repository}/blobs/uploads/?digest=none", None, 400),
            (f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", "Bearer x", 401),
            (f"/v2/{repository}/blobs/uploads/nothing", "", 401),
        ):
            headers = (f"Content-Length: {size}", "Content-Type: application/octet-stream")
            method = "POST" if "?" in path else "PATCH"
            answer = send(haven, method, path, *headers, body=body, authorization=authorization)
            assert answer.status == status, answer.body


def test_a_refused_manifest_arrives_too(haven: HavenServer, repository: str) -> None:
    body = b"x" * 4_000_000
    for _ in range(5):
        headers = (f"Content-Length: {len(body)}", "Content-Type: text/plain")
        answer = send(haven, "PUT", f"/v2/{repository}/manifests/v1", *headers, body=body, authorization="Bearer x")
        assert answer.status == 401


def test_expect_continue(haven: HavenServer, client: RegistryClient, repository: str) -> None:
    location = location_of(client.start_upload(repository)).removeprefix(haven.url)
    with Wire(haven.host_port) as wire:
        wire.send(request_bytes(haven, "PATCH", location, "Content-Length: 10", "Expect: 100-continue"))
        assert wire.socket.recv(1024).startswith(b"HTTP/1.1 100")
        wire.send(DATA)
        assert wire.receive("PATCH").status == 202
