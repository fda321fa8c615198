"""What clients send through the gateway: streams, bodies that are too large, refused or framed ambiguously."""

import socket

import pytest
from deploy_support import eventually


def test_chunked_upload_streams(gateway):
    received = gateway.data_dir / "received"

    def body():
        yield b"a" * 8192
        eventually(lambda: received.exists() and received.read_text() == "8192")
        yield b"b" * 5000

    answer = gateway.ask("/v2/team/app/blobs/uploads/watched", "PATCH", body())

    assert (answer.status, answer.body) == (202, b"13192")


def test_upload_may_be_large(gateway):
    answer = gateway.ask("/v2/team/app/blobs/uploads/6f1c", "PUT", b"x" * 20_000_000)

    assert (answer.status, answer.json()["body_length"]) == (200, 20_000_000)
    assert not any((gateway.data_dir / "run" / "nginx" / "body").iterdir())  # nothing was buffered


@pytest.mark.parametrize("target", ["/v2/team/app/manifests/latest", "/api/v2.0/projects"])
def test_body_that_is_too_large_is_refused_in_json(gateway, target):
    assert gateway.ask(target, "PUT", b"x" * 5 * 1024 * 1024).json()["body_length"] == 5 * 1024 * 1024
    answer = gateway.send_raw(
        f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 5242881\r\nConnection: close\r\n\r\n".encode()
    )

    assert (answer.status, answer.error_code()) == (413, "SIZE_INVALID")


def test_chunked_body_that_is_too_large_is_refused_in_json(gateway):
    answer = gateway.ask("/v2/team/app/manifests/latest", "PUT", iter([b"x" * 1_000_000] * 5 + [b"x" * 300_000]))

    assert (answer.status, answer.error_code()) == (413, "SIZE_INVALID")


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_early_refusal_of_a_large_upload_arrives(gateway, expect):
    answer = gateway.send_raw(
        b"PATCH /v2/team/app/blobs/uploads/refused HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n"
        + expect
        + b"\r\n"
        + b"x" * 100_000
    )

    assert (answer.status, answer.error_code()) == (401, "UNAUTHORIZED")


def test_refused_uploads_hold_no_thread(gateway):
    """Thirty refused clients that neither read nor hang up; the pool has eight threads."""
    head = b"PATCH /v2/team/app/blobs/uploads/refused HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(30)]
    try:
        for client in clients:
            client.sendall(head + b"x" * 100_000)
        assert gateway.ask("/v2/team/app/blobs/uploads/6f1c", "PUT", b"body").json()["body_length"] == 4
    finally:
        for client in clients:
            client.close()


def test_unread_body_does_not_become_the_next_request(gateway):
    smuggled = b"GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(
            b"PATCH /v2/a/blobs/uploads/refused HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
        )
        connection.sendall(smuggled)
        connection.sendall(b"GET /v2/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk

    assert b"401 Unauthorized" in received
    assert b"smuggled" not in received


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
)
def test_ambiguous_framing_is_refused(gateway, framing):
    answer = gateway.send_raw(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n0\r\n\r\n")

    assert answer.status in (400, 501)
    assert answer.error_code() in ("BAD_REQUEST", "UNSUPPORTED")
    assert answer.headers["Connection"] == "close"
