"""A start when nothing can be pushed: whoever may change that needs Haven running, so it starts, and says what it is."""

import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.client import expect
from tests.support.harm import HarmedStack, eventually
from tests.support.oci import random_image

UNUSABLE = 2


def prove(stack: HarmedStack) -> subprocess.CompletedProcess[str]:
    """`haven prove`, the step of `haven up` that pushes and pulls."""
    return stack.command("-m", "haven_project.cli", "prove", "--data", str(stack.data_dir), "--url", stack.url)


def assert_refused(stack: HarmedStack, reason: str) -> None:
    done = prove(stack)
    assert (done.returncode, done.stdout) == (UNUSABLE, ""), (done.returncode, done.stdout, done.stderr)
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("haven: nothing can be pushed now: ")
    assert reason in line


def test_read_only_mode_outlives_a_restart_and_can_be_ended(stack: HarmedStack, repository: str) -> None:
    image = random_image()
    stack.client().push(repository, image, "kept")
    assert stack.api("PUT", "/configurations", json={"read_only": True}).status_code == 200
    try:
        stack.stop()
        stack.start()
        server = stack.server
        assert server is not None
        assert server.log is not None
        assert "nothing can be pushed now: The system is in read only mode" in server.log.read_text()
        assert stack.client().pull(repository, "kept").payload == image.payload
        assert stack.client().start_upload(repository).status_code == 403
    finally:
        assert stack.api("PUT", "/configurations", json={"read_only": False}).status_code == 200
    eventually(lambda: prove(stack).returncode == 0)  # each process reads the configuration every few seconds
    stack.client().push(repository, random_image(), "after")
    stack.assert_clean()


def test_full_quota(stack: HarmedStack) -> None:
    [quota] = [row for row in stack.api("GET", "/quotas?page_size=100").json() if row["ref"]["name"] == "library"]
    expect(stack.api("PUT", f"/quotas/{quota['id']}", json={"hard": {"storage": 10}}), 200)
    try:
        assert_refused(stack, "exceed the configured upper limit of 10 B")
    finally:
        expect(stack.api("PUT", f"/quotas/{quota['id']}", json={"hard": {"storage": -1}}), 200)
    assert prove(stack).returncode == 0
    stack.assert_clean()


def test_no_library(stack: HarmedStack) -> None:
    expect(stack.api("DELETE", "/projects/library"), 200)
    try:
        assert_refused(stack, "the project library was deleted")
    finally:
        stack.api("POST", "/projects", json={"project_name": "library", "metadata": {"public": "true"}})
    # a right in the project that had the name may be remembered for seconds (rbac.access.STALENESS_SECONDS)
    eventually(lambda: prove(stack).returncode == 0, 20)


def test_what_is_no_rule_is_a_failure(stack: HarmedStack) -> None:
    done = stack.command(
        "-m", "haven_project.cli", "prove", "--data", str(stack.data_dir), "--url", "http://127.0.0.1:1"
    )
    assert done.returncode == 1
    assert "does not answer" in done.stderr


def test_another_secret_key_is_named_before_anything_starts(tmp_path: Path, stack: HarmedStack) -> None:
    """The keys that sign tokens would not open."""
    copy = tmp_path / "data"
    copy.mkdir()
    with sqlite3.connect(stack.data_dir / "haven.sqlite3") as database:
        database.execute("VACUUM INTO ?", (str(copy / "haven.sqlite3"),))
    done = stack.command("-m", "haven_project.cli", "setup", "--data", str(copy), extra={"HAVEN_SECRET_KEY": "x" * 40})
    assert done.returncode == UNUSABLE
    assert done.stderr.startswith("haven: HAVEN_SECRET_KEY")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("key", ["HAVEN_S3_ACCESS_KEY", "HAVEN_S3_SECRET_KEY"])
def test_check_names_the_setting(stack: HarmedStack, key: str) -> None:
    done = stack.command(
        "-m", "haven_project.cli", "config", "check", "--data", str(stack.data_dir), extra={key: "alone"}
    )
    assert done.returncode == 1
    assert f"storage    {key}: " in done.stdout
    assert done.stdout.startswith("database   ok\nbroker     ok\n")
