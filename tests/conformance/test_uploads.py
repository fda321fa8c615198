"""Uploads: every way to push a blob, chunks out of order, wrong digests, mounts, cancelling (distribution-spec end-4, 5,
6, 11, 13, 14)."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from tests.support.client import (
    PUSH_METHODS,
    PushMethod,
    RegistryClient,
    error_codes,
    expect,
    location_of,
    pieces,
    range_end,
)
from tests.support.oci import Blob, absent_digest, digest_of, random_blob
from tests.support.stack import HavenServer

CHUNK = 1024


def assert_stored(client: RegistryClient, repository: str, blob: Blob) -> None:
    head = expect(client.head_blob(repository, blob.digest), 200)
    assert int(head.headers["Content-Length"]) == blob.size
    assert head.headers["Docker-Content-Digest"] == blob.digest
    assert head.content == b""
    body = expect(client.get_blob(repository, blob.digest), 200)
    assert body.content == blob.data
    assert body.headers["Docker-Content-Digest"] == blob.digest


def assert_absent(client: RegistryClient, repository: str, digest: str) -> None:
    assert client.head_blob(repository, digest).status_code == 404
    missing = client.get_blob(repository, digest)
    assert missing.status_code == 404
    assert error_codes(missing) in (["BLOB_UNKNOWN"], ["NAME_UNKNOWN"])


@pytest.mark.parametrize("method", PUSH_METHODS)
@pytest.mark.parametrize("size", [0, 2, 512, 3 * CHUNK - 5, 300_000])
def test_push_read_delete(
    client: RegistryClient, repository: str, algorithm: str, method: PushMethod, size: int
) -> None:
    blob = Blob(b"{}", algorithm=algorithm) if size == 2 else random_blob(size, algorithm=algorithm)
    done = client.push_blob(repository, blob, method)
    assert done.headers["Docker-Content-Digest"] == blob.digest
    assert expect(client.request("GET", location_of(done)), 200).content == blob.data
    assert_stored(client, repository, blob)
    expect(client.delete_blob(repository, blob.digest), 202)
    assert_absent(client, repository, blob.digest)
    assert client.delete_blob(repository, blob.digest).status_code == 404


def test_missing_blob(client: RegistryClient, repository: str, algorithm: str) -> None:
    assert_absent(client, repository, absent_digest(algorithm))


def test_session_headers(client: RegistryClient, repository: str) -> None:
    """docker reads Range with a scan of `%d-%d`: no unit before it, and 0-0 when nothing came yet."""
    started = expect(client.start_upload(repository), 202)
    assert started.headers["Range"] == "0-0"
    assert started.headers["Docker-Upload-UUID"]
    assert started.headers["Content-Length"] == "0"
    assert started.headers["Location"].startswith("/v2/"), "a path: no scheme or port can be wrong in it"
    patched = expect(client.patch(location_of(started), b"x" * 10, "0-9"), 202)
    assert patched.headers["Range"] == "0-9"
    status = expect(client.upload_status(location_of(patched)), 204)
    assert range_end(status) == 9
    assert status.headers["Docker-Upload-UUID"] == started.headers["Docker-Upload-UUID"]
    assert location_of(status)


@pytest.mark.parametrize("last_in_put", [False, True], ids=["patch", "put"])
def test_chunks_out_of_order(client: RegistryClient, repository: str, algorithm: str, *, last_in_put: bool) -> None:
    """Before each right chunk a wrong one: 416, nothing taken, the session goes on where it was."""
    blob = random_blob(3 * CHUNK - 5, algorithm=algorithm)
    location = location_of(expect(client.start_upload(repository), 202))
    done = 0
    while done < blob.size:
        part = blob.data[done : done + CHUNK]
        wrong = done + CHUNK if done + CHUNK < blob.size else 0
        bad = blob.data[wrong : wrong + CHUNK]
        span = f"{wrong}-{wrong + len(bad) - 1}"
        if last_in_put and wrong + len(bad) == blob.size:
            refused = client.finish_upload(location, blob.digest, bad, span)
        else:
            refused = client.patch(location, bad, span)
        assert refused.status_code == 416
        assert location_of(refused)
        status = expect(client.upload_status(location_of(refused)), 204)
        if done:
            assert range_end(status) == range_end(refused) == done - 1
        location = location_of(status)
        span = f"{done}-{done + len(part) - 1}"
        done += len(part)
        if last_in_put and done == blob.size:
            expect(client.finish_upload(location, blob.digest, part, span), 201)
        else:
            location = location_of(expect(client.patch(location, part, span), 202))
    if not last_in_put:
        expect(client.finish_upload(location, blob.digest), 201)
    assert_stored(client, repository, blob)


def test_chunk_before_the_first(client: RegistryClient, repository: str) -> None:
    location = location_of(expect(client.start_upload(repository), 202))
    assert client.patch(location, b"x" * 5, "5-9").status_code == 416
    expect(client.patch(location, b"y" * 5, "0-4"), 202)
    expect(client.finish_upload(location, digest_of(b"yyyyy")), 201)


@pytest.mark.parametrize("span", ["0-3", "0-9", "5-0", "a-b", "0", "-5"])
def test_chunk_that_contradicts_its_range(client: RegistryClient, repository: str, span: str) -> None:
    location = location_of(expect(client.start_upload(repository), 202))
    refused = client.patch(location, b"12345", span)
    assert refused.status_code in (400, 416), refused.text
    assert set(error_codes(refused)) <= {"SIZE_INVALID", "RANGE_INVALID", "BLOB_UPLOAD_INVALID"}
    expect(client.patch(location, b"12345", "0-4"), 202)
    expect(client.finish_upload(location, digest_of(b"12345")), 201)


@pytest.mark.parametrize("method", PUSH_METHODS)
def test_wrong_digest(client: RegistryClient, repository: str, algorithm: str, method: PushMethod) -> None:
    """Nothing becomes readable under the name claimed, nor under the true one."""
    sent = random_blob(3 * CHUNK, algorithm=algorithm)
    claimed = absent_digest(algorithm)
    location = "" if method == "single-post" else location_of(expect(client.start_upload(repository), 202))
    if method == "single-post":
        refused = client.post_blob(repository, claimed, sent.data)
    elif method == "post-put":
        refused = client.finish_upload(location, claimed, sent.data)
    elif method == "put-chunk":
        location = location_of(expect(client.patch(location, sent.data[:CHUNK], f"0-{CHUNK - 1}"), 202))
        refused = client.finish_upload(location, claimed, sent.data[CHUNK:], f"{CHUNK}-{3 * CHUNK - 1}")
    else:
        body = pieces(sent.data, CHUNK) if method == "stream" else sent.data
        location = location_of(expect(client.patch(location, body), 202))
        refused = client.finish_upload(location, claimed)
    assert refused.status_code == 400
    assert error_codes(refused) == ["DIGEST_INVALID"]
    assert_absent(client, repository, claimed)
    assert_absent(client, repository, sent.digest)


@pytest.mark.parametrize("digest", ["sha256:short", "sha256:" + "A" * 64, "md5:" + "0" * 32, "nonsense", ""])
def test_digest_that_is_none(client: RegistryClient, repository: str, digest: str) -> None:
    """Refused, and the session is kept: the client may try again."""
    blob = random_blob(100)
    location = location_of(expect(client.start_upload(repository), 202))
    location = location_of(expect(client.patch(location, blob.data), 202))
    refused = client.finish_upload(location, digest)
    assert refused.status_code == 400
    assert error_codes(refused) == ["DIGEST_INVALID"]
    expect(client.finish_upload(location, blob.digest), 201)


def test_put_without_a_digest_keeps_the_session(client: RegistryClient, repository: str) -> None:
    blob = random_blob(100)
    location = location_of(expect(client.start_upload(repository), 202))
    location = location_of(expect(client.patch(location, blob.data), 202))
    assert client.finish_upload(location, None).status_code == 400
    expect(client.finish_upload(location, blob.digest), 201)


def test_digest_algorithm_is_announced(client: RegistryClient, repository: str) -> None:
    blob = random_blob(2000, algorithm="sha512")
    location = location_of(expect(client.start_upload(repository, **{"digest-algorithm": "sha512"}), 202))
    location = location_of(expect(client.patch(location, blob.data), 202))
    expect(client.finish_upload(location, blob.digest), 201)
    assert_stored(client, repository, blob)
    refused = client.start_upload(repository, **{"digest-algorithm": "md5"})
    assert refused.status_code == 400
    assert error_codes(refused) == ["DIGEST_INVALID"]


def test_cancel(client: RegistryClient, repository: str) -> None:
    location = location_of(expect(client.start_upload(repository), 202))
    location = location_of(expect(client.patch(location, b"data"), 202))
    assert expect(client.cancel_upload(location), 204).content == b""
    for answer in (
        client.upload_status(location),
        client.patch(location, b"more"),
        client.finish_upload(location, digest_of(b"data")),
        client.cancel_upload(location),
    ):
        assert answer.status_code == 404
        assert error_codes(answer) == ["BLOB_UPLOAD_UNKNOWN"]
    assert_absent(client, repository, digest_of(b"data"))


@pytest.mark.parametrize("session", ["00000000-0000-4000-8000-000000000000", "nonsense", "a" * 300])
def test_unknown_session(client: RegistryClient, repository: str, session: str) -> None:
    expect(client.start_upload(repository), 202)
    answer = client.patch(f"{client.url}/v2/{repository}/blobs/uploads/{session}", b"data")
    assert answer.status_code == 404
    assert error_codes(answer) == ["BLOB_UPLOAD_UNKNOWN"]


def test_session_belongs_to_its_repository(client: RegistryClient, repository: str, other_repository: str) -> None:
    location = location_of(expect(client.start_upload(repository), 202))
    expect(client.start_upload(other_repository), 202)
    elsewhere = location.replace(f"/v2/{repository}/", f"/v2/{other_repository}/")
    assert elsewhere != location
    assert client.patch(elsewhere, b"data").status_code == 404
    assert client.cancel_upload(elsewhere).status_code == 404
    expect(client.upload_status(location), 204)


def test_mount(client: RegistryClient, repository: str, other_repository: str, algorithm: str) -> None:
    blob = random_blob(512, algorithm=algorithm)
    client.push_blob(other_repository, blob)
    done = expect(client.mount(repository, blob.digest, other_repository), 201)
    assert done.headers["Docker-Content-Digest"] == blob.digest
    assert expect(client.request("GET", location_of(done)), 200).content == blob.data
    assert_stored(client, repository, blob)
    expect(client.delete_blob(repository, blob.digest), 202)
    assert_absent(client, repository, blob.digest)
    assert_stored(client, other_repository, blob)


def test_mount_from_another_project(haven: HavenServer, client: RegistryClient, repository: str, project: str) -> None:
    blob = random_blob(512)
    source = f"{project}/source"
    client.push_blob(source, blob)
    expect(client.mount(repository, blob.digest, source), 201)
    assert_stored(client, repository, blob)


def test_mount_without_a_source(client: RegistryClient, repository: str, other_repository: str, algorithm: str) -> None:
    """Found within the project, and only there."""
    blob = random_blob(512, algorithm=algorithm)
    client.push_blob(other_repository, blob)
    expect(client.mount(repository, blob.digest), 201)
    assert_stored(client, repository, blob)


def test_mount_without_a_source_stays_in_the_project(client: RegistryClient, repository: str, project: str) -> None:
    blob = random_blob(512)
    client.push_blob(f"{project}/source", blob)
    expect(client.mount(repository, blob.digest), 202)
    assert_absent(client, repository, blob.digest)


@pytest.mark.parametrize("source", ["other", "nobodys/thing", "Invalid Name", "a", "library/../x", None])
def test_mount_that_can_not_be_done_opens_a_session(
    client: RegistryClient, repository: str, other_repository: str, source: str | None
) -> None:
    """Never 403 or 404: containerd gives up the push on those."""
    blob = random_blob(512)
    answer = expect(client.mount(repository, blob.digest, other_repository if source == "other" else source), 202)
    assert_absent(client, repository, blob.digest)
    expect(client.finish_upload(location_of(answer), blob.digest, blob.data), 201)
    assert_stored(client, repository, blob)


def test_one_blob_pushed_by_many(haven: HavenServer, repository: str) -> None:
    """A cold base layer: everybody uploads it at once, everybody succeeds."""
    blob = random_blob(200_000)

    def push(method: PushMethod) -> int:
        return haven.client().push_blob(repository, blob, method).status_code

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(push, PUSH_METHODS * 2)) == {201}
    assert_stored(haven.client(), repository, blob)


def test_uploads_without_the_trailing_slash(client: RegistryClient, repository: str) -> None:
    expect(client.request("POST", f"/v2/{repository}/blobs/uploads"), 202)


@pytest.mark.parametrize("refused_for", ["no token", "wrong range"])
def test_refusal_before_the_body_leaves_the_connection_in_order(
    haven: HavenServer, client: RegistryClient, repository: str, refused_for: str
) -> None:
    """The answer may come before the body has; then the connection is good for the next request, or the answer says
    that it closes. Else the next request on it, which no client may repeat if it is a POST, is lost."""
    location = location_of(expect(client.start_upload(repository), 202)).removeprefix(haven.url)
    basic = "Basic " + base64.b64encode(f"{haven.admin_user}:{haven.admin_password}".encode()).decode()
    headers = {"Content-Length": "5", "Content-Type": "application/octet-stream"}
    headers |= {"Content-Range": "5-9", "Authorization": basic} if refused_for == "wrong range" else {}
    host, _, port = haven.host_port.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=20)
    connection.putrequest("PATCH", location)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    time.sleep(0.3)
    connection.send(b"12345")
    refused = connection.getresponse()
    assert refused.status == (416 if refused_for == "wrong range" else 401)
    refused.read()
    if refused.getheader("Connection", "").lower() == "close":
        return
    connection.request("GET", location, headers={"Authorization": basic})
    assert connection.getresponse().status == 204
