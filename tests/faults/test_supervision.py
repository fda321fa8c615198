"""`haven up` as an operator meets it: what it starts it keeps alive and takes along, and what it can't do it says."""

import json
import os
import pwd
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import stack as stacks
from tests.support.client import expect
from tests.support.harm import PASSWORD, HarmedStack, eventually, is_running, kill
from tests.support.oci import random_image

UNUSABLE = 2


def up(
    data_dir: Path, *words: str, environment: Mapping[str, str] | None = None, listen: str = ""
) -> subprocess.CompletedProcess[str]:
    """`haven up` that is expected to refuse: with its exit status and what it said."""
    command = [sys.executable, "-m", "haven_project.cli", "up", "--data", str(data_dir)]
    command += ["--listen", listen or f"127.0.0.1:{stacks.free_port()}", *words]
    surroundings = stacks.child_environment({"HAVEN_ADMIN_PASSWORD": PASSWORD, **(environment or {})})
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=60, check=False, cwd="/")


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2 and one line that holds these words."""
    assert done.returncode == UNUSABLE, (done.returncode, done.stdout, done.stderr)
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("haven: ")
    for word in words:
        assert word in line
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["registry", "uploads", "core", "worker", "beat", "valkey", "nginx"])
def test_crashed_process_is_started_again(stack: HarmedStack, repository: str, name: str) -> None:
    before = stack.state()[name]
    others = {other: state["pid"] for other, state in stack.state().items() if other != name}
    kill([before["pid"]])
    eventually(lambda: stack.state()[name]["restarts"] > before["restarts"])
    stack.wait_running(seconds=60)

    assert stack.pid_of(name) != before["pid"]
    assert {other: state["pid"] for other, state in stack.state().items() if other != name} == others
    if name in ("registry", "uploads", "core", "nginx"):
        stack.client().push(repository, random_image(), name)
        assert stack.api("GET", "/projects").status_code == 200


def test_second_up_on_the_same_folder(stack: HarmedStack) -> None:
    assert_refused(up(stack.data_dir), "already running", str(stack.data_dir), str(stack.pids[0]))
    expect(stack.client().ping(), 200)


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert_refused(up(tmp_path / "data", listen=f"127.0.0.1:{port}"), "in use", str(port))


def test_foreign_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert_refused(up(tmp_path), str(tmp_path), "not Haven's")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_folder_that_cannot_be_written() -> None:
    """As a user who may not write there; who becomes one with the code loaded, which perhaps only root may read."""
    if os.geteuid() != 0:
        pytest.skip("not root, and becoming another user needs it")
    account, data = pwd.getpwnam("nobody"), Path("/var/lib/haven-of-nobody")
    program = (
        "import os, sys, haven_project.cli.stack\n"
        f"os.setgroups([]); os.setgid({account.pw_gid}); os.setuid({account.pw_uid})\n"
        f"sys.exit(haven_project.cli.main(['up', '--data', '{data}', '--listen', '127.0.0.1:{stacks.free_port()}']))"
    )
    surroundings = stacks.child_environment({})
    done = subprocess.run(
        [sys.executable, "-c", program], env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )
    assert_refused(done, str(data), "ermission denied")
    assert not data.exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HAVEN_STORAGE_URL", "ftp://somewhere"),
        ("HAVEN_DATABASE_URL", "mysql://root@localhost/haven"),
        ("HAVEN_REDIS_URL", "localhost:6379"),
        ("HAVEN_UPLOAD_TTL_HOURS", "a day"),
        ("HAVEN_LOG_LEVEL", "LOUD"),
        ("HAVEN_DEBUG", "perhaps"),
        ("HAVEN_SECRET_KEY", "short"),
        ("HAVEN_EXTERNAL_URL", "registry.example.com"),
        ("HAVEN_TOKEN_MINUTES", "0"),
        ("HAVEN_PASSWORT", "typo"),
        ("HAVEN_DATABASE_URL", "postgresql://haven@127.0.0.1:port/haven"),
        ("HAVEN_DATABASE_URL", "postgresql://haven@127.0.0.1/haven?bogus=1"),
        ("HAVEN_DATABASE_URL", "sqlite:///nowhere/haven.sqlite3"),
        ("HAVEN_STORAGE_URL", "file://relative/folder"),
        ("HAVEN_STORAGE_URL", "file:///dev/null/haven"),
        ("HAVEN_STORAGE_URL", "s3://"),
        ("HAVEN_STORAGE_URL", "s3://bucket?enpoint=http://127.0.0.1:1"),
        ("HAVEN_S3_ACCESS_KEY", "alone"),
    ],
)
def test_wrong_setting_is_named(tmp_path: Path, variable: str, value: str) -> None:
    done = up(tmp_path / "data", environment={variable: value})
    assert_refused(done, variable)
    assert value not in done.stderr or variable not in ("HAVEN_SECRET_KEY", "HAVEN_DATABASE_URL")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HAVEN_STORAGE_URL", "s3://bucket?endpoint=http://127.0.0.1:1&connect_timeout=1"),
        ("HAVEN_DATABASE_URL", "postgresql://haven:a-secret-key@127.0.0.1:1/haven"),
    ],
)
def test_server_that_does_not_answer(tmp_path: Path, variable: str, value: str) -> None:
    """Said at the start, by its variable, not first by a push. Exit status 1: an init system is to try again."""
    keys = {"HAVEN_S3_ACCESS_KEY": "someone", "HAVEN_S3_SECRET_KEY": "a-secret-key"}
    done = up(tmp_path / "data", environment={variable: value, **(keys if value.startswith("s3") else {})})
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith(f"haven: {variable}: ")
    assert "secret" not in line


@pytest.mark.parametrize("address", ["8080", "127.0.0.1:http", "127.0.0.1:0", "127.0.0.1:65536", ":8080"])
def test_address_that_is_none(tmp_path: Path, address: str) -> None:
    """Named as it was given: by the option or by the variable."""
    assert_refused(up(tmp_path / "data", listen=address), "--listen takes HOST:PORT")
    command = [sys.executable, "-m", "haven_project.cli", "up", "--data", str(tmp_path / "data")]
    surroundings = stacks.child_environment({"HAVEN_LISTEN": address})
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert_refused(done, "HAVEN_LISTEN takes HOST:PORT")
    assert not (tmp_path / "data").exists()


def test_weak_admin_password(tmp_path: Path) -> None:
    assert_refused(up(tmp_path / "data", environment={"HAVEN_ADMIN_PASSWORD": "weak"}), "HAVEN_ADMIN_PASSWORD")


def test_schema_of_a_newer_version(tmp_path: Path) -> None:
    """Nothing is started, and nothing changed."""
    data = tmp_path / "data"
    assert_refused(
        up(data, environment={"HAVEN_ADMIN_PASSWORD": "weak"}), "HAVEN_ADMIN_PASSWORD"
    )  # migrates, and stops
    database = sqlite3.connect(data / "haven.sqlite3")
    with database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('haven_registry', '9999_future', '2999-01-01')"
        )
    database.close()
    assert_refused(up(data), "newer Haven", "9999_future")


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_stop_leaves_no_process(stack: HarmedStack, number: signal.Signals) -> None:
    """Ctrl-C, or what an init system sends: exit status 0, nobody left, no lock, and it starts again."""
    server = stack._server
    assert server.process is not None
    pids = stack.pids
    assert len(pids) > 10
    server.process.send_signal(number)
    assert server.process.wait(30) == 0
    stack.server = None
    assert not [pid for pid in pids if is_running(pid)]
    with socket.socket() as probe:
        host, _, port = server.host_port.rpartition(":")
        assert probe.connect_ex((host, int(port))) != 0


def test_killed_supervisor_takes_all_along(stack: HarmedStack) -> None:
    pids = stack.pids
    supervisor, *others = pids
    kill([supervisor])
    assert stack._server.process is not None
    stack._server.process.wait(10)
    stack.server = None
    eventually(lambda: not [pid for pid in others if is_running(pid)], 30)
    begin = time.monotonic()
    stack.start()
    assert json.loads((stack.data_dir / "run" / "state.json").read_text())["state"] == "running"
    assert time.monotonic() - begin < 60
    stack.assert_clean()
