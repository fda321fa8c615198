"""WSGI applications that echo what they got, and act as the path tells them."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

DIGEST = "sha256:" + "ab" * 32
Start = Callable[[str, list[tuple[str, str]]], object]


def _send(start: Start, status: str, body: bytes = b"", *headers: tuple[str, str]) -> list[bytes]:
    start(status, [("Content-Length", str(len(body))), *headers])
    return [body]


def _echo(environ: dict, start: Start, pool: str) -> list[bytes]:
    length = 0
    while chunk := environ["wsgi.input"].read(65536):
        length += len(chunk)
    seen = {name: value for name, value in environ.items() if name.startswith("HTTP_") or name.isupper()}
    seen = {name: value for name, value in seen.items() if name not in os.environ}
    body = json.dumps({"pool": pool, "environ": seen, "body_length": length}).encode()
    return _send(start, "200 OK", body, ("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))


def _blob(start: Start, target: str, *headers: tuple[str, str]) -> list[bytes]:
    start(
        "200 OK",
        [
            ("X-Accel-Redirect", target),
            ("Content-Type", "application/octet-stream"),
            ("Docker-Content-Digest", DIGEST),
            ("ETag", f'"{DIGEST}"'),
            ("Docker-Distribution-Api-Version", "registry/2.0"),
            ("Cache-Control", "max-age=31536000"),
            *headers,
        ],
    )
    return []


def _then_drain(body: bytes, rest: BinaryIO) -> Iterator[bytes]:
    """Answer first, then read what the gateway is still sending until it hangs up.

    A server that closes with bytes unread breaks the gateway's next write, and the answer is lost with it.
    """
    yield body
    with contextlib.suppress(OSError):
        while rest.read(65536):
            pass


def registry(environ: dict, start: Start) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    pool = Path(environ["SERVER_NAME"]).stem
    name = path.rpartition("/")[2]
    if "/blobs/sha256:" in path and name.endswith("ab"):
        return _blob(start, "/_blobs/ab/content")
    if name == "sha256:missing":
        return _blob(start, "/_blobs/ab/missing")
    if name == "sha256:climbing":
        return _blob(start, "/_blobs/../../haven.json")
    if path.startswith("/v2/accel/"):  # not a blob's address
        return _send(start, "200 OK", b"own answer", ("X-Accel-Redirect", "/_blobs/ab/content"))
    if name == "refused":
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"no","detail":null}]}'
        _send(start, "401 Unauthorized", body, ("Content-Type", "application/json"))
        return _then_drain(body, environ["wsgi.input"])
    if name == "broken":
        return _send(start, "503 Service Unavailable", b'{"errors":"own"}', ("Content-Type", "application/json"))
    if name == "watched":  # shows how much of the body has arrived
        received = 0
        while chunk := environ["wsgi.input"].read(4096):
            received += len(chunk)
            Path(os.environ["DATA"], "received").write_text(str(received))
        return _send(start, "202 Accepted", str(received).encode())
    return _echo(environ, start, pool)


def core(environ: dict, start: Start) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/accel":
        return _send(start, "200 OK", b"own answer", ("X-Accel-Redirect", "/_blobs/ab/content"))
    return _echo(environ, start, "core")


def all_in_one(environ: dict, start: Start) -> Iterable[bytes]:
    return _echo(environ, start, "all_in_one")
