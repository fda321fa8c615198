"""A proxy in front of an HTTP server (S3) that answers wrongly, late, half or not at all, when it is told to."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 65536


@dataclass
class Fault:
    """What to do to requests whose line (`PUT /bucket/key?query`) matches.

    status: answer with it, asking nobody. delay: seconds to wait first. cut_request: pass on only so many bytes of the
    body, then hang up on both sides. cut_answer: the same with the answer's bytes, head included; 0: the request is done
    and its answer lost. times: how often; None is always. every: only each n-th matching request.
    """

    matches: str = ""
    status: int | None = None
    delay: float = 0.0
    cut_request: int | None = None
    cut_answer: int | None = None
    times: int | None = None
    every: int = 1
    seen: int = 0
    done: int = 0


@dataclass
class FaultProxy:
    """Listens on `port`. `faults` may be changed at any time; the first that matches counts."""

    target: tuple[str, int]
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    is_down: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    @contextmanager
    def broken(self, *faults: Fault) -> Iterator[tuple[Fault, ...]]:
        """These faults while the block runs."""
        self.faults = list(faults)
        try:
            yield faults
        finally:
            self.faults = []

    @contextmanager
    def down(self) -> Iterator[None]:
        """Every connection is closed at once while the block runs."""
        self.is_down = True
        try:
            yield
        finally:
            self.is_down = False

    def _accept(self) -> None:
        with suppress(OSError):  # closed: the end
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request a connection: `Connection: close` is put in, so that each is looked at."""
        with client, suppress(OSError, ValueError):
            try:
                self._serve_one(client)
            finally:  # close() alone does not hang up while another thread reads
                client.shutdown(socket.SHUT_RDWR)

    def _serve_one(self, client: socket.socket) -> None:
        if self.is_down:
            return
        head, rest = _read_head(client)
        line = head.split(b" HTTP/", 1)[0].decode()
        fault = self._choose(line)
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        if fault is not None and fault.status is not None:
            _drain(client, head, rest)
            client.sendall(_refusal(fault.status))
            return
        self._pass_on(client, head, rest, fault)

    def _choose(self, line: str) -> Fault | None:
        with self._lock:
            self.requests.append(line)
            for fault in self.faults:
                if not re.search(fault.matches, line) or (fault.times is not None and fault.done >= fault.times):
                    continue
                fault.seen += 1
                if fault.seen % fault.every == 0:
                    fault.done += 1
                    return fault
        return None

    def _pass_on(self, client: socket.socket, head: bytes, rest: bytes, fault: Fault | None) -> None:
        with socket.create_connection(self.target, timeout=60) as server:
            server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + b"\r\n\r\n")
            limit = None if fault is None else fault.cut_request
            sender = threading.Thread(target=_pump, args=(client, server, rest, limit), daemon=True)
            sender.start()
            if limit is not None:
                sender.join(30)
                return
            _answer(server, client, None if fault is None else fault.cut_answer)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(_PIECE)
        if not piece:
            raise ValueError("no request")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return re.sub(rb"\r\n[Cc]onnection:[^\r]*", b"", head), rest


def _drain(client: socket.socket, head: bytes, rest: bytes) -> None:
    """Take the body, so that the refusal is read and not lost in a reset."""
    found = re.search(rb"\r\nContent-Length: *(\d+)", head, re.IGNORECASE)
    left = (int(found[1]) if found else 0) - len(rest)
    if left > 0 and re.search(rb"\r\nExpect: *100", head, re.IGNORECASE):
        return  # it waits for our word before it sends
    while left > 0 and (piece := client.recv(_PIECE)):
        left -= len(piece)


def _refusal(status: int) -> bytes:
    code = {500: "InternalError", 503: "SlowDown", 507: "InsufficientStorage"}.get(status, "Broken")
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told to</Message></Error>".encode()
    return (
        f"HTTP/1.1 {status} Told to\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _pump(source: socket.socket, sink: socket.socket, rest: bytes, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):
        piece = rest or source.recv(_PIECE)
        while piece:
            if limit is not None and passed + len(piece) >= limit:
                sink.sendall(piece[: limit - passed])
                return
            sink.sendall(piece)
            passed += len(piece)
            piece = source.recv(_PIECE)


def _answer(server: socket.socket, client: socket.socket, limit: int | None) -> None:
    """Back to the client until the server closes; of an answer to be cut only the beginning, but it is waited for."""
    passed = 0
    while piece := server.recv(_PIECE):
        if limit is not None and piece.startswith(b"HTTP/1.1 100"):
            client.sendall(piece)  # the word to go on is no answer
            continue
        allowed = piece if limit is None else piece[: max(0, limit - passed)]
        if allowed:
            client.sendall(allowed)
        passed += len(piece)
        if limit is not None and passed > limit:
            return
