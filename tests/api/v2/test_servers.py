"""The same WSGI callable without the gateway, under each server it may run on: it streams, ranges and refuses itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.api.v2.checks import check, check_created, check_resumable, check_session
from tests.api.v2.raw import Wire, request_bytes, send
from tests.support.client import PUSH_METHODS, RegistryClient, location_of, pieces
from tests.support.oci import EMPTY_BLOB, absent_digest, digest_of, index, random_blob, random_image
from tests.support.stack import ADMIN, ROOT, HavenServer, free_port

PASSWORD = "Served-directly-1"
START_LIMIT = 30.0
SERVERS = {
    "granian": [
        *("-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--workers", "1"),
        *(
            "--blocking-threads",
            "4",
            "--log-level",
            "warning",
            "--no-access-log",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
        ),
    ],
    "gunicorn": [
        *("-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "4", "--keep-alive", "30"),
        *("--no-control-socket", "--log-level", "warning", "--bind", "127.0.0.1:{port}"),
        *("--forwarded-allow-ips", "192.0.2.1"),  # its default trusts every client on this machine
    ],
}
BLOB = random_blob(2048)


@pytest.fixture(scope="module", params=[*SERVERS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenServer]:
    """`haven_project.wsgi:all_in_one` on a port, with data of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    packages = sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HAVEN_", "DJANGO_"))}
    environment = {
        **inherited,
        "PYTHONPATH": os.pathsep.join(packages),
        "HAVEN_DATA_DIR": str(folder / "data"),
        "HAVEN_ADMIN_PASSWORD": PASSWORD,
        "HAVEN_REDIS_URL": f"unix://{folder}/none.sock",  # pull counts wait for it; nothing else needs it here
    }
    subprocess.run([sys.executable, "-m", "haven_project.cli", "setup"], env=environment, check=True, timeout=60)
    port = free_port()
    words = [word.format(port=port) for word in SERVERS[request.param]]
    with (folder / "log").open("wb") as log:
        command = [sys.executable, *words, "haven_project.wsgi:all_in_one"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    found = HavenServer(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", ADMIN, PASSWORD, folder / "data", process)
    try:
        _wait(found, folder / "log")
        found.create_project("direct")
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _wait(server: HavenServer, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{server.url}/v2/", timeout=5).status_code == 401:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def client(server: HavenServer) -> RegistryClient:
    return server.client()


def test_push_and_pull(client: RegistryClient) -> None:
    pushed = client.push("direct/app", index([random_image(200_000), random_image(docker=True)]), "v1")
    pulled = client.pull("direct/app", "v1")
    assert pulled.payload == pushed.payload
    assert client.tags("direct/app") == ["v1"]
    check(client.delete_manifest("direct/app", "v1"), 202)
    check(client.head_manifest("direct/app", "v1"), 404)


@pytest.mark.parametrize("method", PUSH_METHODS)
def test_every_way_to_push(client: RegistryClient, method) -> None:  # type: ignore[no-untyped-def]
    for blob in (random_blob(3_000_000), EMPTY_BLOB):
        check_created(client.push_blob("direct/ways", blob, method), "direct/ways", blob.digest)
        assert client.get_blob("direct/ways", blob.digest).content == blob.data


def test_ranges(client: RegistryClient) -> None:
    client.push_blob("direct/app", BLOB)
    for wanted, first, last in (
        ("bytes=500-1499", 500, 1499),
        ("bytes=-500", 1548, 2047),
        ("bytes=2000-5000", 2000, 2047),
    ):
        answer = check(client.get_blob("direct/app", BLOB.digest, wanted), 206)
        assert answer.content == BLOB.data[first : last + 1]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/2048"
        assert answer.headers["Content-Length"] == str(last - first + 1)
    for wanted in ("bytes=5000-10000", "bytes=500-0", "bytes=-0"):
        answer = check(client.get_blob("direct/app", BLOB.digest, wanted), 416, "RANGE_INVALID")
        assert answer.headers["Content-Range"] == "bytes */2048"
    whole = check(client.get_blob("direct/app", BLOB.digest), 200)
    head = check(client.head_blob("direct/app", BLOB.digest), 200)
    for answer in (whole, head):
        assert (answer.headers["Content-Length"], answer.headers["Accept-Ranges"]) == ("2048", "bytes")
        assert answer.headers["Docker-Content-Digest"] == BLOB.digest
    unchanged = client.request("GET", f"/v2/direct/app/blobs/{BLOB.digest}", headers={"If-None-Match": BLOB.digest})
    check(unchanged, 304)


def test_torn_bytes_are_no_answer(server: HavenServer) -> None:
    client, blob = server.client(), random_blob(300_000)
    check_created(client.push_blob("direct/app", blob), "direct/app", blob.digest)
    assert server.data_dir is not None
    [file] = [path for path in server.data_dir.glob("storage/blobs/*/*") if path.stat().st_size == blob.size]
    os.truncate(file, 290_000)
    check(client.get_blob("direct/app", blob.digest), 404, "BLOB_UNKNOWN")
    check(client.get_blob("direct/app", blob.digest, "bytes=289999-"), 404, "BLOB_UNKNOWN")
    check(client.head_blob("direct/app", blob.digest), 404)
    check_created(client.push_blob("direct/app", blob), "direct/app", blob.digest)
    assert check(client.get_blob("direct/app", blob.digest), 200).content == blob.data


def test_if_range(client: RegistryClient) -> None:
    client.push_blob("direct/app", BLOB)
    path = f"/v2/direct/app/blobs/{BLOB.digest}"
    for tag, status in ((f'"{BLOB.digest}"', 206), ('"sha256:other"', 200)):
        check(client.request("GET", path, headers={"Range": "bytes=0-9", "If-Range": tag}), status)


def test_sessions(client: RegistryClient) -> None:
    location = location_of(client.start_upload("direct/app"))
    check_resumable(client.patch(location, b"56789", "5-9"), 0)
    check_session(client.patch(location, pieces(b"01234", 2)), 202, "direct/app", 5)
    check_resumable(client.patch(location, b"x" * 10, "0-9"), 5)
    check_session(client.upload_status(location), 204, "direct/app", 5)
    check_session(client.patch(location, b"56789", "5-9"), 202, "direct/app", 10)
    check(client.finish_upload(location, None), 400, "DIGEST_INVALID")
    check_created(client.finish_upload(location, digest_of(b"0123456789")), "direct/app", digest_of(b"0123456789"))
    check(client.cancel_upload(location), 404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("size", [1000, 900_000, 8_000_000])
def test_early_refusals_arrive(server: HavenServer, size: int) -> None:
    body = b"x" * size
    for path, authorization, status in (
        ("/v2/direct/app/blobs/uploads/?digest=none", None, 400),
        (f"/v2/direct/app/blobs/uploads/?digest={absent_digest()}", "Bearer x", 401),
        ("/v2/direct/app/blobs/uploads/?digest=none", "", 401),
    ):
        for _ in range(3):
            answer = send(server, "POST", path, f"Content-Length: {size}", body=body, authorization=authorization)
            assert answer.status == status


def test_the_body_of_a_refused_request_is_not_the_next(server: HavenServer, client: RegistryClient) -> None:
    location = location_of(client.start_upload("direct/app")).removeprefix(server.url)
    body = b"DELETE /v2/direct/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n"
    with Wire(server.host_port) as wire:
        headers = (f"Content-Length: {len(body)}", f"Content-Range: 1-{len(body)}")
        wire.send(request_bytes(server, "PATCH", location, *headers, body=body))
        assert wire.receive("PATCH").status == 416
        wire.send(request_bytes(server, "GET", "/v2/"))
        assert wire.receive().status == 200


def test_expect_continue(server: HavenServer, client: RegistryClient) -> None:
    location = location_of(client.start_upload("direct/app")).removeprefix(server.url)
    with Wire(server.host_port) as wire:
        wire.send(request_bytes(server, "PATCH", location, "Content-Length: 10", "Expect: 100-continue"))
        assert wire.socket.recv(1024).startswith(b"HTTP/1.1 100")
        wire.send(b"0123456789")
        assert wire.receive("PATCH").status == 202


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Content-Length: 10", "Content-Length: 4"], b"0123456789"),
        (["Content-Length: +10"], b"0123456789"),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    ],
    ids=["both", "two", "sign", "coding"],
)
def test_ambiguous_bodies_store_nothing(
    server: HavenServer, client: RegistryClient, headers: list[str], body: bytes
) -> None:
    """No gateway has looked before; what it means is decided once, or the request is refused."""
    location = location_of(client.start_upload("direct/app"))
    answer = send(server, "PATCH", location.removeprefix(server.url), *headers, body=body)
    assert answer.status in (400, 501) or (answer.status, answer.headers["Range"]) == (202, "0-0")
    assert client.upload_status(location).headers["Range"] == "0-0"


def test_a_broken_chunk_is_never_more_than_what_came(server: HavenServer, client: RegistryClient) -> None:
    """A server may take it for the end of the body: the digest at the end finds out, and Range tells before."""
    location = location_of(client.start_upload("direct/app"))
    with Wire(server.host_port) as wire:
        path = location.removeprefix(server.url)
        wire.send(request_bytes(server, "PATCH", path, "Transfer-Encoding: chunked", body=b"5\r\n01234\r\nzz\r\n"))
        answer = wire.receive("PATCH")
    held = client.upload_status(location).headers["Range"]
    assert held in ("0-0", "0-4")
    assert answer.status == 400 or (answer.status, answer.headers["Range"]) == (202, held)
    check(client.finish_upload(location, digest_of(b"0123456789")), 400, "DIGEST_INVALID")


def test_a_manifest_over_the_limit(client: RegistryClient) -> None:
    big = random_image(10)
    client.push("direct/app", big)
    answer = client.request("PUT", "/v2/direct/app/manifests/v9", data=b" " * (4 * 1024 * 1024 + 1))
    check(answer, 413, "SIZE_INVALID")


def test_forged_headers_do_not_count_without_a_gateway(server: HavenServer) -> None:
    answer = send(server, "GET", "/v2/", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", authorization="")
    realm = f'Bearer realm="{server.url}/service/token",service="haven-registry"'
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, realm)
