"""HTTP as bytes, for what well-behaved clients can't send."""

from __future__ import annotations

import base64
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from typing import Any

from tests.support.stack import HavenServer


@dataclass(frozen=True)
class RawResponse:
    """One answer, headers as they were sent."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def codes(self) -> list[str]:
        """Of the envelope that every error is in."""
        assert (self.headers["Content-Type"] or "").startswith("application/json"), self.headers.items()
        return [entry["code"] for entry in self.json["errors"]]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, host_port: str, timeout: float = 20) -> None:
        host, _, port = host_port.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the refusal may have come before the last byte
            self.socket.sendall(data)

    def receive(self, method: str = "GET") -> RawResponse:
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        return RawResponse(response.status, response.msg, response.read())

    def is_closed(self) -> bool:
        """Whether the server ends the connection, with nothing more said."""
        with suppress(ConnectionResetError):
            return self.socket.recv(1) == b""
        return True


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def request_bytes(
    server: HavenServer, method: str, target: str, *headers: str, body: bytes = b"", authorization: str | None = None
) -> bytes:
    """A request of the administrator. `target` goes out as it stands, in Latin-1; '' sends no Authorization."""
    if authorization is None:
        authorization = basic(server.admin_user, server.admin_password)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {server.host_port}", *headers]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def send(
    server: HavenServer, method: str, target: str, *headers: str, body: bytes = b"", authorization: str | None = None
) -> RawResponse:
    """One request on a connection of its own."""
    with Wire(server.host_port) as wire:
        wire.send(request_bytes(server, method, target, *headers, body=body, authorization=authorization))
        return wire.receive(method)
