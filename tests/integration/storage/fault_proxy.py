"""An HTTP proxy between the driver and an S3 server that breaks chosen requests in chosen ways."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Match = Callable[[str, str], bool]
"""Given method and path with query: is this a request to break?"""


@dataclass
class Fault:
    """What to do to the next `times` requests that match.

    - `answer`: status, S3 error code; the server never sees the request
    - `lost`: the server does it, the client's connection closes without an answer
    - `truncated`: the answer's headers, then this share of its body, then the connection closes
    - `hanging`: no answer until the proxy stops
    - `stalled`: like `truncated`, but the connection stays open and silent
    - `length`: the answer with this Content-Length instead of its own (for HEAD)
    """

    match: Match
    answer: tuple[int, str] | None = None
    lost: bool = False
    truncated: float | None = None
    hanging: bool = False
    stalled: float | None = None
    length: int | None = None
    times: int = 1


@dataclass
class FaultProxy:
    """A running proxy: its URL, its faults in order, and every request that came as `METHOD path?query`."""

    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str) -> Fault | None:
        """Note the request; the fault that it meets."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            for fault in self.faults:
                if fault.times and fault.match(method, path):
                    fault.times -= 1
                    return fault
        return None

    def count(self, match: Match) -> int:
        """How many requests so far match."""
        return sum(match(*request.split(" ", 1)) for request in self.requests)


@contextmanager
def run_fault_proxy(host: str, port: int) -> Iterator[FaultProxy]:
    """A proxy on a free port in front of the server at host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = FaultProxy(f"http://127.0.0.1:{server.server_address[1]}")
    server.proxy, server.backend = proxy, (host, port)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopped.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output clean."""

    def handle_one(self) -> None:
        proxy: FaultProxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = proxy.take(self.command, self.path)
        if fault is not None and fault.hanging:
            proxy.stopped.wait()
            self.close_connection = True
            return
        if fault is not None and fault.answer is not None:
            self._answer(*fault.answer)
            return
        response, payload = self._forward(body)
        if fault is not None and fault.lost:
            self.close_connection = True
            return
        self._relay(response, payload, fault)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one  # noqa: N815 - http.server's names

    def _answer(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>AKIATEST broke</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        host, port = self.server.backend
        connection = http.client.HTTPConnection(host, port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        payload = response.read()
        connection.close()
        return response, payload

    def _relay(self, response: http.client.HTTPResponse, payload: bytes, fault: Fault | None) -> None:
        length = response.headers.get("Content-Length", str(len(payload)))
        if fault is not None and fault.length is not None:
            length = str(fault.length)
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        share = None if fault is None else (fault.stalled if fault.truncated is None else fault.truncated)
        self.wfile.write(payload if share is None else payload[: int(len(payload) * share)])
        self.wfile.flush()
        if fault is not None and fault.stalled is not None:
            self.server.proxy.stopped.wait()
        if share is not None:
            self.close_connection = True
