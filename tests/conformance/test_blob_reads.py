"""Reading blobs: ranges, conditions, content coding (distribution-spec end-2, RFC 9110)."""

from __future__ import annotations

import pytest

from tests.support.client import RegistryClient, error_codes, expect
from tests.support.oci import random_blob

BLOB = random_blob(2048, seed="ranges")


@pytest.fixture
def stored(client: RegistryClient, repository: str) -> str:
    """The repository, holding BLOB."""
    client.push_blob(repository, BLOB)
    return repository


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("500-1499", 500, 1499),
        ("500-", 500, 2047),
        ("-500", 1548, 2047),
        ("2000-5000", 2000, 2047),
        ("0-0", 0, 0),
        ("2047-2047", 2047, 2047),
        ("-5000", 0, 2047),
    ],
)
def test_range(client: RegistryClient, stored: str, asked: str, start: int, end: int) -> None:
    part = expect(client.get_blob(stored, BLOB.digest, f"bytes={asked}"), 206)
    assert part.content == BLOB.data[start : end + 1]
    assert part.headers["Content-Range"] == f"bytes {start}-{end}/2048"
    assert int(part.headers["Content-Length"]) == end - start + 1
    assert part.headers["Docker-Content-Digest"] == BLOB.digest


@pytest.mark.parametrize("asked", ["500-0", "5000-10000", "2048-", "-0"])
def test_range_outside(client: RegistryClient, stored: str, asked: str) -> None:
    refused = expect(client.get_blob(stored, BLOB.digest, f"bytes={asked}"), 416)
    assert refused.headers["Content-Range"] == "bytes */2048"
    assert error_codes(refused)


def test_several_ranges(client: RegistryClient, stored: str) -> None:
    """podman's partial pulls ask for many at once, and take multipart or the whole."""
    answer = client.get_blob(stored, BLOB.digest, "bytes=0-99,200-299")
    if answer.status_code == 200:
        assert answer.content == BLOB.data
        return
    assert answer.status_code == 206
    assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert BLOB.data[:100] in answer.content
    assert BLOB.data[200:300] in answer.content


def test_ranges_are_offered_and_content_is_not_coded(client: RegistryClient, stored: str) -> None:
    headers = {"Accept-Encoding": "zstd, gzip, deflate"}
    for method in ("HEAD", "GET"):
        answer = expect(client.request(method, f"/v2/{stored}/blobs/{BLOB.digest}", headers=headers), 200)
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert "Content-Encoding" not in answer.headers
        assert int(answer.headers["Content-Length"]) == BLOB.size
        assert BLOB.digest in answer.headers["ETag"]
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_not_modified(client: RegistryClient, stored: str) -> None:
    etag = client.head_blob(stored, BLOB.digest).headers["ETag"]
    same = client.request("GET", f"/v2/{stored}/blobs/{BLOB.digest}", headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")
    other = client.request("GET", f"/v2/{stored}/blobs/{BLOB.digest}", headers={"If-None-Match": '"other"'})
    assert other.content == BLOB.data


def test_range_only_if_unchanged(client: RegistryClient, stored: str) -> None:
    etag = client.head_blob(stored, BLOB.digest).headers["ETag"]
    for condition, expected in ((etag, 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        answer = client.request("GET", f"/v2/{stored}/blobs/{BLOB.digest}", headers=headers)
        assert answer.status_code == expected


@pytest.mark.parametrize("digest", ["sha256:short", "sha256:" + "G" * 64, "notadigest", "sha256"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_malformed_digest(client: RegistryClient, stored: str, digest: str, method: str) -> None:
    answer = client.request(method, f"/v2/{stored}/blobs/{digest}")
    assert answer.status_code in (400, 404)
    if method != "HEAD":
        assert set(error_codes(answer)) <= {"DIGEST_INVALID", "BLOB_UNKNOWN", "UNSUPPORTED"}


def test_membership_is_per_repository(client: RegistryClient, stored: str, other_repository: str) -> None:
    """Content known to the registry is not content of this repository."""
    client.push_blob(other_repository, random_blob())
    assert client.head_blob(other_repository, BLOB.digest).status_code == 404
    assert error_codes(client.get_blob(other_repository, BLOB.digest)) == ["BLOB_UNKNOWN"]


def test_unknown_repository(client: RegistryClient, repository: str) -> None:
    missing = expect(client.get_blob(repository, BLOB.digest), 404)
    assert error_codes(missing) in (["NAME_UNKNOWN"], ["BLOB_UNKNOWN"])
