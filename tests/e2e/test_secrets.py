"""No secret that was used on the running stack lies in one of its files or in what its commands print."""

import subprocess
import sys
from pathlib import Path

from tests.support.oci import random_image
from tests.support.stack import HavenServer, child_environment

MEANT_FOR_IT = {"secret-key", "admin-password"}
PASSWORD, WRONG = "Canary-4711-pass", "Canary-4711-wrong"
BIND = "Canary-4711-bind"


def test_nothing_keeps_a_secret(haven: HavenServer, project: str) -> None:
    assert haven.data_dir is not None
    assert haven.log is not None
    secrets = use_secrets(haven, project)
    files = [file for file in haven.data_dir.rglob("*") if file.is_file() and file.name not in MEANT_FOR_IT]
    assert len(files) > 5
    found = [(file.name, name) for file in [*files, haven.log] for name in seen_in(file, secrets)]
    assert found == []
    for words in (("config", "show"), ("logs",)):
        command = [sys.executable, "-m", "haven_project.cli", *words, "--data", str(haven.data_dir)]
        environment = child_environment({"HAVEN_ADMIN_PASSWORD": haven.admin_password})
        printed = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=haven.data_dir.parent
        )
        assert [name for name, secret in secrets.items() if secret in printed.stdout + printed.stderr] == []


def use_secrets(haven: HavenServer, project: str) -> dict[str, str]:
    """Every kind of secret, used as it should be and once wrongly; a job and its log."""
    user = f"u{project}"
    body = {"username": user, "password": PASSWORD, "email": f"{user}@example.com", "realname": "U"}
    assert haven.api("POST", "/users", json=body).status_code == 201
    assert haven.api("GET", "/users/current", auth=(user, WRONG)).status_code == 401
    token = haven.api("POST", "/users/current/tokens", json={"name": "n"}, auth=(user, PASSWORD)).json()["secret"]
    assert haven.api("GET", "/users/current", auth=(user, token)).status_code == 200
    assert haven.api("PUT", "/configurations", json={"ldap_search_password": BIND}).status_code == 200
    access = [{"resource": "repository", "action": action} for action in ("pull", "push")]
    robot = haven.api(
        "POST",
        "/robots",
        json={
            "name": "ci", "level": "project", "duration": 1,
            "permissions": [{"kind": "project", "namespace": project, "access": access}],
        },
    ).json()  # fmt: skip
    client = haven.client(robot["name"], robot["secret"])
    client.push(f"{project}/app", random_image(10_000), "v1")
    bearer = client.token(f"{haven.url}/service/token", scopes=[f"repository:{project}/app:pull"]).json()["token"]
    body = {"schedule": {"type": "Manual"}, "parameters": {"dry_run": True}}
    started = haven.api("POST", "/system/gc/schedule", json=body)
    assert started.status_code == 201
    secrets = {
        "password": PASSWORD, "wrong password": WRONG, "personal token": token, "configuration": BIND,
        "robot": robot["secret"], "registry token": bearer, "administrator": haven.admin_password,
    }  # fmt: skip
    haven.api("PUT", "/configurations", json={"ldap_search_password": ""})
    return secrets


def seen_in(file: Path, secrets: dict[str, str]) -> list[str]:
    try:
        content = file.read_bytes()
    except OSError:
        return []  # gone meanwhile
    return [name for name, secret in secrets.items() if secret.encode() in content]
