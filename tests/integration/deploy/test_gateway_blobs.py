"""Blobs through the gateway: whole, in part, not changed, missing, and nothing else of the file system."""

import email

import pytest
from deploy_support import BLOB, CONTENT, DIGEST


def assert_blob_headers(answer):
    assert answer.headers.get_all("Docker-Content-Digest") == [DIGEST]
    assert answer.headers.get_all("ETag") == [f'"{DIGEST}"']
    assert answer.headers.get_all("Docker-Distribution-Api-Version") == ["registry/2.0"]
    assert answer.headers.get_all("Cache-Control") == ["private, max-age=31536000, immutable"]
    assert answer.headers.get_all("Accept-Ranges") in (["bytes"], None)
    assert len(answer.headers.get_all("X-Request-Id")) == 1
    assert "Last-Modified" not in answer.headers
    assert "Content-Encoding" not in answer.headers


def test_blob_is_sent_whole(gateway):
    answer = gateway.ask(BLOB, Accept_Encoding="zstd,gzip,deflate")

    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert_blob_headers(answer)


def test_head_of_a_blob_has_its_length(gateway):
    answer = gateway.ask(BLOB, "HEAD")

    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "2048", b"")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert_blob_headers(answer)


@pytest.mark.parametrize(
    ("asked", "sent", "expected"),
    [
        ("500-1499", "bytes 500-1499/2048", CONTENT[500:1500]),
        ("500-", "bytes 500-2047/2048", CONTENT[500:]),
        ("-500", "bytes 1548-2047/2048", CONTENT[-500:]),
        ("2000-5000", "bytes 2000-2047/2048", CONTENT[2000:]),
        ("0-0", "bytes 0-0/2048", CONTENT[:1]),
    ],
)
def test_range_of_a_blob(gateway, asked, sent, expected):
    answer = gateway.ask(BLOB, Range=f"bytes={asked}")

    assert (answer.status, answer.headers["Content-Range"], answer.body) == (206, sent, expected)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert_blob_headers(answer)


@pytest.mark.parametrize("asked", ["500-0", "5000-10000", "-0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_range_outside_a_blob(gateway, asked, method):
    answer = gateway.ask(BLOB, method, Range=f"bytes={asked}")

    assert answer.status == 416
    assert answer.headers.get_all("Content-Range") == ["bytes */2048"]
    assert len(answer.headers.get_all("X-Request-Id")) == 1
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_all("Docker-Distribution-Api-Version") == ["registry/2.0"]
    if method == "GET":
        assert answer.error_code() == "RANGE_INVALID"


def test_several_ranges_of_a_blob(gateway):
    answer = gateway.ask(BLOB, Range="bytes=0-9,100-109")

    assert answer.status == 206
    message = email.message_from_bytes(
        b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + answer.body
    )
    assert message.get_content_type() == "multipart/byteranges"
    parts = [(part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()]
    assert parts == [("bytes 0-9/2048", CONTENT[:10]), ("bytes 100-109/2048", CONTENT[100:110])]


def test_range_only_if_the_digest_is_the_same(gateway):
    same = gateway.ask(BLOB, Range="bytes=0-9", If_Range=f'"{DIGEST}"')
    other = gateway.ask(BLOB, Range="bytes=0-9", If_Range='"sha256:other"')

    assert (same.status, same.body) == (206, CONTENT[:10])
    assert (other.status, other.body) == (200, CONTENT)


def test_blob_whose_file_is_missing_is_unknown(gateway):
    answer = gateway.ask("/v2/team/app/blobs/sha256:missing")

    assert (answer.status, answer.error_code()) == (404, "BLOB_UNKNOWN")
    assert "Docker-Content-Digest" not in answer.headers


def test_files_cannot_be_reached_directly(gateway):
    for target in ("/_blobs/ab/content", "/%5fblobs/ab/content", "//_blobs/ab/content", "/_error/413"):
        answer = gateway.ask(target)
        assert CONTENT not in answer.body
        assert answer.status == 404 or answer.json()["pool"] == "core"
    assert gateway.ask("/_blobs/ab/content").error_code() == "BLOB_UNKNOWN"
    assert gateway.ask("/_error/413").error_code() == "NOT_FOUND"


def test_files_outside_the_blobs_cannot_be_reached(gateway):
    answer = gateway.ask("/v2/team/app/blobs/sha256:climbing")

    assert answer.status >= 400
    assert b"haven" not in answer.body


def test_only_a_blob_answer_may_name_a_file(gateway):
    for target in ("/v2/accel/tags/list", "/accel"):
        answer = gateway.ask(target)
        assert (answer.status, answer.body) == (200, b"own answer")
