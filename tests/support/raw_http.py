"""One HTTP request byte by byte: bodies that are slow, cut short, or never end."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Mapping


class RawRequest:
    """A request whose head is sent at once and whose body by hand. Not thread-safe."""

    def __init__(
        self, address: tuple[str, int], method: str, target: str, headers: Mapping[str, str], timeout: float = 60
    ) -> None:
        """headers: with Content-Length, or Transfer-Encoding: chunked and then each `send` is a chunk."""
        self._is_chunked = headers.get("Transfer-Encoding") == "chunked"
        self._socket = socket.create_connection(address, timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {address[0]}:{address[1]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        """Raises OSError when the other side has gone."""
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._socket.sendall(data)

    def end(self) -> None:
        """The last chunk."""
        if self._is_chunked:
            self._socket.sendall(b"0\r\n\r\n")

    def shutdown(self) -> None:
        """Send nothing more, but go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self) -> http.client.HTTPResponse:
        """Wait for the head of the response. Raises OSError or http.client.HTTPException when none comes."""
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response

    def fileno(self) -> int:
        """For select: readable when the answer begins."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Vanish: RST instead of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
