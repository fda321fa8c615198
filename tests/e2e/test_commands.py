"""The words of the `haven` command around a running stack, as an operator types them."""

import json
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.support.client import RegistryClient, expect
from tests.support.harm import eventually, is_running
from tests.support.oci import random_image
from tests.support.stack import ADMIN, _family, child_environment, free_port

PROCESSES = ["valkey", "registry", "uploads", "core", "worker", "beat", "nginx"]
REVOKED_SECONDS = 10
GIVEN = "A-given-One-1"  # a password


@dataclass
class Place:
    """A data folder, and the command for it."""

    data: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        return self.data / "admin-password"

    def haven(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        surroundings = child_environment({"HAVEN_DATA_DIR": str(self.data), **environment})
        if "HAVEN_ADMIN_PASSWORD" not in environment:
            surroundings.pop("HAVEN_ADMIN_PASSWORD", None)
        command = [sys.executable, "-m", "haven_project.cli", *words]
        return subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=150, check=False)

    def up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.haven("up", "--detach", "--listen", f"127.0.0.1:{self.port}", **environment)

    def login(self, password: str) -> int:
        answer = requests.get(f"{self.url}/service/token", auth=(ADMIN, password), timeout=30)
        return answer.status_code


@pytest.fixture(scope="module")
def fresh() -> Iterator[Place]:
    """A folder where nothing was ever started."""
    with tempfile.TemporaryDirectory(prefix="hc-") as folder:
        place = Place(Path(folder) / "data")
        yield place
        place.haven("down")


@pytest.fixture
def place(fresh: Place) -> Place:
    """The stack, running, started with --detach."""
    if fresh.haven("status").returncode != 0:
        done = fresh.up()
        assert done.returncode == 0, done.stderr
    return fresh


def test_the_first_start_says_all_that_is_needed(fresh: Place) -> None:
    done = fresh.up()
    assert (done.returncode, done.stderr) == (0, "")
    registry = f"127.0.0.1:{fresh.port}"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert lines == [
        f"Haven is ready at http://{registry}",
        "user      admin",
        f"password  in {fresh.password_file}",
        f"docker login {registry} -u admin",
        f"docker tag IMAGE {registry}/library/IMAGE",
        f"docker push {registry}/library/IMAGE",
    ]
    assert stat.S_IMODE(fresh.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(fresh.password_file.stat().st_mode) == 0o600
    password = fresh.password_file.read_text().strip()
    assert fresh.login(password) == 200
    client = RegistryClient(fresh.url, ADMIN, password)
    image = client.push("library/first", random_image(), "v1")
    assert client.pull("library/first", "v1").payload == image.payload
    assert client.catalog().json() == {"repositories": ["library/first"]}  # the proof has left nothing behind


def test_status(place: Place) -> None:
    done = place.haven("status")
    assert done.returncode == 0
    head, *rest = done.stdout.splitlines()
    assert head.startswith("running for ")
    assert [line.split()[:2] for line in rest] == [[name, "running"] for name in PROCESSES]
    told = json.loads(place.haven("status", "--json").stdout)
    assert told["state"] == "running"
    assert [process["name"] for process in told["processes"]] == PROCESSES
    assert all(is_running(process["pid"]) and process["restarts"] == 0 for process in told["processes"])


def test_logs(place: Place) -> None:
    expect(requests.get(f"{place.url}/v2/", headers={"X-Request-Id": "find-me-in-the-log"}, timeout=30), 401)
    eventually(lambda: "find-me-in-the-log" in place.haven("logs", "-n", "5", "access").stdout, pause=0.5)
    shown = place.haven("logs", "-n", "2").stdout.splitlines()
    assert {line.split()[0] for line in shown} >= {"access", "supervisor", "valkey"}
    only = place.haven("logs", "-n", "3", "supervisor").stdout.splitlines()
    assert [line.split()[0] for line in only] == ["supervisor"] * 3
    assert "stack_ready" in only[-1]


def test_version_and_settings(place: Place) -> None:
    assert place.haven("version").stdout.startswith("haven ")
    shown = place.haven("config", "show").stdout
    assert f"HAVEN_STORAGE_URL            file://{place.data}/storage  (default)" in shown
    secret = (place.data / "secret-key").read_text()
    assert secret not in shown
    checked = place.haven("config", "check")
    assert (checked.returncode, checked.stdout) == (0, "database   ok\nbroker     ok\nstorage    ok\n")


def test_a_new_password_for_the_administrator(place: Place) -> None:
    """It works while Haven runs; the old one is void within seconds, in every process."""
    old = place.password_file.read_text().strip()
    assert place.login(old) == 200
    done = place.haven("admin", "reset-password")
    assert (done.returncode, done.stdout) == (0, f"admin has a new password, in {place.password_file}\n")
    new = place.password_file.read_text().strip()
    assert stat.S_IMODE(place.password_file.stat().st_mode) == 0o600
    assert new != old
    assert place.login(new) == 200
    eventually(lambda: place.login(old) == 401, REVOKED_SECONDS, pause=0.5)

    assert place.haven("admin", "reset-password", HAVEN_ADMIN_PASSWORD="weak").returncode == 2
    given = place.haven("admin", "reset-password", HAVEN_ADMIN_PASSWORD=GIVEN)
    assert (given.returncode, given.stdout) == (0, "admin has the password of HAVEN_ADMIN_PASSWORD\n")
    assert not place.password_file.exists()  # nothing wrong lies about
    assert place.login(GIVEN) == 200


def test_a_new_token_key_logs_nobody_out(place: Place) -> None:
    def ping(token: str) -> int:
        return requests.get(f"{place.url}/v2/", headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code

    def token() -> str:
        answer = requests.get(f"{place.url}/service/token", auth=(ADMIN, GIVEN), timeout=30)
        return str(answer.json()["token"])

    assert place.haven("admin", "reset-password", HAVEN_ADMIN_PASSWORD=GIVEN).returncode == 0
    old = token()
    done = place.haven("rotate-token-key")
    assert done.returncode == 0, done.stderr
    assert "older tokens stay good" in done.stdout
    assert (ping(old), ping(token())) == (200, 200)


def test_up_again_while_it_runs(place: Place) -> None:
    before = place.haven("status", "--json").stdout
    done = place.up()
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert line.startswith(f"haven: Haven is already running in {place.data} (process ")
    assert json.loads(place.haven("status", "--json").stdout)["processes"] == json.loads(before)["processes"]


def test_down_and_up_again(place: Place) -> None:
    supervisor = json.loads(place.haven("status", "--json").stdout)["pid"]
    pids = _family(supervisor)
    assert len(pids) > len(PROCESSES)
    done = place.haven("down")
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert not [pid for pid in pids if is_running(pid)]

    stopped = place.haven("status")
    assert (stopped.returncode, stopped.stdout) == (1, f"Haven is not running in {place.data}\n")
    again = place.haven("down")
    assert (again.returncode, again.stderr) == (2, f"haven: Haven is not running in {place.data}.\n")

    begin = time.monotonic()
    assert place.up().returncode == 0
    print(f"second start: {time.monotonic() - begin:.1f} s")
    assert time.monotonic() - begin < 30  # a loaded machine; docs/performance.md has the figure of a quiet one
    assert not place.password_file.exists()


@pytest.mark.parametrize("words", [["nonsense"], ["up", "--nonsense"], ["logs", "-n", "many"], []])
def test_what_is_no_command(fresh: Place, words: list[str]) -> None:
    done = fresh.haven(*words)
    assert done.returncode == 2
    assert "usage: haven" in done.stderr
