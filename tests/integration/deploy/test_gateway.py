"""The gateway through its port: real nginx, real servers behind it, a stand-in product that shows what reached it."""

import contextlib
import os
import signal
import socket
import time

import pytest
from deploy_support import BLOB, eventually, group_of

from haven_deploy.nginx import ERRORS

# Routing


@pytest.mark.parametrize(
    ("target", "pool"),
    [
        ("/v2", "registry"),
        ("/v2/", "registry"),
        ("/v2/team/app/tags/list", "registry"),
        ("/v2/team/app/manifests/latest", "registry"),
        ("/service/token?service=haven&scope=a:b:c", "uploads"),
        ("/v2/team/app/blobs/uploads/", "uploads"),
        ("/v2/team/app/blobs/uploads", "uploads"),
        ("/v2/team/app/blobs/uploads/6f1c?digest=x", "uploads"),
        ("/v2/team/blobs/uploads/manifests/latest", "registry"),
        ("/v2x", "core"),
        ("/", "core"),
        ("/api/v2.0/projects", "core"),
        ("/c/login", "core"),
        ("/harbor/projects", "core"),
    ],
)
def test_each_address_has_its_pool(gateway, target, pool):
    answer = gateway.ask(target)

    assert (answer.status, answer.json()["pool"]) == (200, pool)
    assert answer.json()["environ"]["QUERY_STRING"] == target.partition("?")[2]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_what_changes_something_takes_no_thread_of_reads(gateway, method):
    """A write that waits for a lock or the disk would hold up pulls."""
    for target in ("/v2/team/app/manifests/latest", "/v2/a/blobs/x"):
        answer = gateway.ask(target, method=method)
        assert (answer.status, answer.json()["pool"]) == (200, "uploads")


@pytest.mark.parametrize(
    ("target", "pool"),
    [
        ("//api", "core"),
        ("/v2/%2e%2e/api", "core"),
        ("/api/..;/v2/", "core"),
        ("/v2//blobs", "registry"),
        ("/v2/a%2Fb/manifests/x", "registry"),
    ],
)
def test_path_reaches_the_application_as_it_was_sent(gateway, target, pool):
    seen = gateway.ask(target).json()

    assert seen["pool"] == pool
    if pool == "core":  # gunicorn shows the raw request target
        assert seen["environ"]["RAW_URI"] == target


# Headers


def test_forged_forwarding_headers_are_overwritten(gateway):
    forged = {
        "X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "gopher", "X_Forwarded_Host": "evil", "X_Real_IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6", "X_Forwarded_Port": "1", "X_Forwarded_Prefix": "/evil", "X_Original_URL": "/evil",
        "X_Rewrite_URL": "/evil", "X_Script_Name": "/evil", "Script_Name": "/evil", "X_HTTP_Method_Override": "DELETE",
        "X_Accel_Redirect": "/_blobs/ab/content", "Proxy": "http://evil",
    }  # fmt: skip
    for target in ("/api/v2.0/systeminfo", "/v2/", "/v2/a/blobs/uploads/", "/v2/a/blobs/x", "/service/token"):
        seen = gateway.ask(target, Host="registry.example:5000", **forged).json()["environ"]

        assert seen["HTTP_HOST"] == "registry.example:5000"
        assert seen["HTTP_X_FORWARDED_HOST"] == "registry.example:5000"
        assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
        assert seen["HTTP_X_REAL_IP"] == "127.0.0.1"
        assert seen["HTTP_X_FORWARDED_PROTO"] == "http"
        kept = {"HOST", "X_FORWARDED_HOST", "X_FORWARDED_FOR", "X_REAL_IP", "X_FORWARDED_PROTO", "X_REQUEST_ID"}
        assert {name for name in seen if name.startswith("HTTP_")} - {"HTTP_ACCEPT_ENCODING"} == {
            f"HTTP_{name}" for name in kept
        }
        assert seen.get("SCRIPT_NAME", "") == ""
        assert seen["REQUEST_METHOD"] == "GET"


def test_headers_with_underscores_are_dropped(gateway):
    answer = gateway.send_raw(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX_Real_IP: 6.6.6.6\r\nConnection: close\r\n\r\n")

    assert answer.json()["environ"]["HTTP_X_REAL_IP"] == "127.0.0.1"


def test_request_id_is_passed_on_or_made(gateway):
    for sent in ("0123abcd-trace", "abc-1:2.3_4", "1", "a" * 128):  # what the API takes, and says it takes
        own = gateway.ask("/v2/", X_Request_Id=sent)
        assert own.headers.get_all("X-Request-Id") == [sent]
        assert own.json()["environ"]["HTTP_X_REQUEST_ID"] == sent
    made = gateway.ask("/v2/")
    replaced = gateway.ask("/v2/", X_Request_Id='bad"id with spaces')
    too_long = gateway.ask("/v2/", X_Request_Id="a" * 129)

    for answer in (made, replaced, too_long):
        (identifier,) = answer.headers.get_all("X-Request-Id")
        assert len(identifier) == 32
        assert answer.json()["environ"]["HTTP_X_REQUEST_ID"] == identifier


def test_every_answer_says_nosniff_once_and_no_version(gateway):
    for target in ("/", "/v2/", BLOB, "/_blobs/ab/content"):
        answer = gateway.ask(target)
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert answer.headers["Server"] in ("nginx", None)


# Errors


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /v2/ HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),  # no Host
        (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "BAD_REQUEST"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17_000 + b"\r\n\r\n", 431, "BAD_REQUEST"),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "UNSUPPORTED"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, "UNSUPPORTED"),
    ],
)
def test_the_gateways_own_errors_are_json(gateway, request_head, status, code):
    answer = gateway.send_raw(request_head)

    assert (answer.status, answer.error_code()) == (status, code)


def test_large_token_passes(gateway):
    token = "Bearer " + "t" * 15_000
    assert gateway.ask("/v2/", Authorization=token).json()["environ"]["HTTP_AUTHORIZATION"] == token


def test_the_applications_own_errors_pass(gateway):
    answer = gateway.ask("/v2/team/broken")

    assert (answer.status, answer.body) == (503, b'{"errors":"own"}')
    assert "Retry-After" not in answer.headers


def test_every_error_of_the_table_is_configured():
    expected = {400, 408, 413, 414, 416, 429, 431, 494, 500, 502, 503, 504}
    assert expected <= set(ERRORS)


def test_many_slow_connections_do_not_hinder_others(gateway):
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(500)]
    try:
        for connection in slow:
            connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begin = time.monotonic()
        assert gateway.ask("/v2/").status == 200
        assert time.monotonic() - begin < 2
    finally:
        for connection in slow:
            connection.close()


def test_log_has_the_path_but_no_secret(gateway):
    gateway.ask("/v2/logged?token=s3cret", Authorization="Bearer s3cret", Referer="http://x/?code=s3cret")
    log = gateway.data_dir / "log" / "access.log"

    eventually(lambda: '"path":"/v2/logged"' in log.read_text())
    assert "s3cret" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


# What changes the stack; each test has its own


def test_service_that_is_down_answers_json_and_comes_back(start_embedded):
    stack = start_embedded()
    os.kill(stack.pid_of("registry"), signal.SIGKILL)
    eventually(lambda: stack.ask("/v2/").status == 503)
    answer = stack.ask("/v2/")

    assert (answer.status, answer.error_code()) == (503, "UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert stack.ask("/api/v2.0/ping").status == 200
    eventually(lambda: stack.ask("/v2/").status == 200, 20)


def test_reload_lets_an_upload_end(start_embedded):
    stack = start_embedded()
    received = stack.data_dir / "received"
    nginx = stack.pid_of("nginx")
    old = {pid for pid, _ in stack.look() if group_of(pid) == nginx}

    def body():
        yield b"a" * 8192
        eventually(lambda: received.exists() and received.read_text() == "8192")
        stack.process.send_signal(signal.SIGHUP)
        eventually(lambda: {pid for pid, _ in stack.look() if group_of(pid) == nginx} - old)
        assert stack.ask("/v2/").status == 200
        yield b"b" * 5000

    answer = stack.ask("/v2/team/app/blobs/uploads/watched", "PATCH", body())

    assert (answer.status, answer.body) == (202, b"13192")


def test_head_that_does_not_end_is_cut(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=40) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begin = time.monotonic()
        while time.monotonic() - begin < 15:  # a byte now and then does not prolong it
            connection.sendall(b"a")
            time.sleep(1)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert 18 < time.monotonic() - begin < 25
