"""Blobs: GET, HEAD, ranges (distribution-spec end-2; RFC 9110, 14)."""

from __future__ import annotations

import pytest

from tests.api.v2.checks import check
from tests.support.client import RegistryClient, expect
from tests.support.oci import EMPTY_BLOB, Blob, absent_digest, random_blob

BLOB = random_blob(2048, seed="ranges")
HEADERS = ("Docker-Content-Digest", "ETag", "Cache-Control", "Accept-Ranges", "Content-Length", "Content-Type")


@pytest.fixture
def pushed(client: RegistryClient, repository: str) -> str:
    """The repository, with BLOB in it."""
    client.push_blob(repository, BLOB)
    return repository


@pytest.mark.parametrize(
    "blob", [BLOB, EMPTY_BLOB, random_blob(5, algorithm="sha512")], ids=["some", "empty", "sha512"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head(client: RegistryClient, repository: str, blob: Blob, method: str) -> None:
    client.push_blob(repository, blob)
    answer = check(client.request(method, f"/v2/{repository}/blobs/{blob.digest}"), 200)
    assert {name: answer.headers[name] for name in HEADERS} == {
        "Docker-Content-Digest": blob.digest,
        "ETag": f'"{blob.digest}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "Accept-Ranges": "bytes",  # exactly: oras seeks only then
        "Content-Length": str(blob.size),
        "Content-Type": "application/octet-stream",
    }
    assert "Last-Modified" not in answer.headers
    assert answer.content == (blob.data if method == "GET" else b"")


def test_no_content_coding(client: RegistryClient, repository: str) -> None:
    blob = Blob(b"a" * 100_000)
    client.push_blob(repository, blob)
    headers = {"Accept-Encoding": "zstd,gzip,deflate", "Accept": "application/vnd.oci.image.layer.v1.tar+gzip, */*"}
    answer = check(client.request("GET", f"/v2/{repository}/blobs/{blob.digest}", headers=headers), 200)
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == "100000"
    assert answer.content == blob.data


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 2047),
        ("bytes=-500", 1548, 2047),
        ("bytes=2000-5000", 2000, 2047),
        ("bytes=0-0", 0, 0),
        ("bytes=-5000", 0, 2047),
    ],
)
def test_one_range(client: RegistryClient, pushed: str, wanted: str, first: int, last: int) -> None:
    answer = check(client.get_blob(pushed, BLOB.digest, wanted), 206)
    assert answer.content == BLOB.data[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/2048"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["Docker-Content-Digest"] == BLOB.digest
    assert answer.headers["ETag"] == f'"{BLOB.digest}"'


@pytest.mark.parametrize("wanted", ["bytes=5000-10000", "bytes=2048-", "bytes=500-0", "bytes=-0"])
def test_a_range_outside(client: RegistryClient, pushed: str, wanted: str) -> None:
    answer = check(client.get_blob(pushed, BLOB.digest, wanted), 416, "RANGE_INVALID")
    assert answer.headers["Content-Range"] == "bytes */2048"


@pytest.mark.parametrize("wanted", ["items=0-5", "0-5"])
def test_what_is_no_byte_range_is_ignored(client: RegistryClient, pushed: str, wanted: str) -> None:
    assert check(client.get_blob(pushed, BLOB.digest, wanted), 200).content == BLOB.data


def test_several_ranges(client: RegistryClient, pushed: str) -> None:
    answer = check(client.get_blob(pushed, BLOB.digest, "bytes=0-9,100-109"), 206)
    assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert BLOB.data[:10] in answer.content
    assert BLOB.data[100:110] in answer.content
    assert answer.content.count(b"Content-Range: bytes ") == 2


def test_head_ignores_range(client: RegistryClient, pushed: str) -> None:
    answer = client.request("HEAD", f"/v2/{pushed}/blobs/{BLOB.digest}", headers={"Range": "bytes=0-9"})
    assert check(answer, 200).headers["Content-Length"] == "2048"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("spelling", ['"{}"', "{}", 'W/"{}"', '"sha256:other", "{}"', "*"])
def test_if_none_match(client: RegistryClient, pushed: str, spelling: str, method: str) -> None:
    headers = {"If-None-Match": spelling.format(BLOB.digest)}
    answer = check(client.request(method, f"/v2/{pushed}/blobs/{BLOB.digest}", headers=headers), 304)
    assert answer.headers["ETag"] == f'"{BLOB.digest}"'
    assert answer.content == b""
    other = client.request(method, f"/v2/{pushed}/blobs/{BLOB.digest}", headers={"If-None-Match": '"sha256:other"'})
    check(other, 200)


def test_if_range(client: RegistryClient, pushed: str) -> None:
    path, headers = f"/v2/{pushed}/blobs/{BLOB.digest}", {"Range": "bytes=0-9"}
    same = client.request("GET", path, headers={**headers, "If-Range": f'"{BLOB.digest}"'})
    assert check(same, 206).content == BLOB.data[:10]
    other = client.request("GET", path, headers={**headers, "If-Range": '"sha256:other"'})
    assert check(other, 200).content == BLOB.data


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_missing_and_malformed(client: RegistryClient, pushed: str, method: str) -> None:
    def ask(repository: str, digest: str):  # type: ignore[no-untyped-def]
        return client.request(method, f"/v2/{repository}/blobs/{digest}")

    check(ask(pushed, absent_digest()), 404, "BLOB_UNKNOWN")
    check(ask(pushed, "blake3:" + "0" * 64), 404, "BLOB_UNKNOWN")  # well formed, of an algorithm that is not stored
    for digest in ("sha256:abc", "sha256:" + "A" * 64, "nodigest", BLOB.digest + "%0A", BLOB.digest + "%20"):
        check(ask(pushed, digest), 400, "DIGEST_INVALID")
    unknown = ask(pushed.replace("/app", "/nothing"), BLOB.digest)
    assert check(unknown, 404).status_code == 404


def test_head_of_an_error_has_the_length_of_its_body(client: RegistryClient, pushed: str) -> None:
    path = f"/v2/{pushed}/blobs/{absent_digest()}"
    head, got = client.request("HEAD", path), client.request("GET", path)
    assert head.content == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.content))
    assert head.headers["Content-Type"] == "application/json"


def test_a_blob_shows_in_its_own_repository_only(client: RegistryClient, pushed: str, public_project: str) -> None:
    sibling = pushed.replace("/app", "/sibling")
    client.push_blob(sibling, random_blob(10))
    for repository in (sibling, f"{public_project}/app"):
        check(client.head_blob(repository, BLOB.digest), 404)
        check(client.get_blob(repository, BLOB.digest), 404, "BLOB_UNKNOWN")


def test_a_manifest_is_no_blob_and_a_blob_no_manifest(client: RegistryClient, pushed: str) -> None:
    check(client.get_manifest(pushed, BLOB.digest), 404, "MANIFEST_UNKNOWN")


def test_the_file_cannot_be_asked_for(client: RegistryClient, pushed: str) -> None:
    for path in ("/_blobs/00/x", "/_error/500", "/_error/blob-404"):
        assert expect(client.session.get(client.url + path), 404).headers["Content-Type"] == "application/json"
