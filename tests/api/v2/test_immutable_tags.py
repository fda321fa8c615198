"""Immutable tags and retention against the running stack: what a client that pushes, and a worker that removes, see."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check
from tests.support.client import RegistryClient
from tests.support.oci import random_image
from tests.support.stack import HavenServer

STALENESS_SECONDS = 5.0
SCOPE = {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}


def selects(pattern: str) -> dict[str, object]:
    return {
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}],
        "scope_selectors": SCOPE,
    }


def protect(haven: HavenServer, project: str, pattern: str) -> None:
    made = haven.api("POST", f"/projects/{project}/immutabletagrules", json=selects(pattern))
    assert made.status_code == 201, made.text
    time.sleep(STALENESS_SECONDS + 0.5)  # until every process follows it


def test_an_immutable_tag_stands(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    first, second = client.push(repository, random_image(), "v1"), client.push(repository, random_image())
    protect(haven, project, "v*")
    for answer in (
        client.put_manifest(repository, second, "v1"),
        client.put_manifest(repository, first, "v1"),
        client.request("PUT", f"/v2/{repository}/manifests/{second.digest}?tag=new&tag=v1", data=second.payload,
                       headers={"Content-Type": second.media_type}),
        client.delete_manifest(repository, "v1"),
        client.delete_manifest(repository, first.digest),
    ):  # fmt: skip
        refused = check(answer, 412, "DENIED").json()["errors"][0]["message"]
        assert refused == f"Failed to process request due to '{repository}:v1' configured as immutable."
    assert client.tags(repository) == ["v1"]
    assert client.get_manifest(repository, "v1").content == first.payload
    check(client.put_manifest(repository, second, "v2"), 201)


def test_of_many_pushes_of_one_new_tag_one_is_taken(
    haven: HavenServer, client: RegistryClient, project: str, repository: str
) -> None:
    manifests = [client.push(repository, random_image()) for _ in range(6)]
    protect(haven, project, "v*")
    with ThreadPoolExecutor(len(manifests)) as pool:
        answers = list(pool.map(lambda one: client.clone().put_manifest(repository, one, "v1"), manifests))
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 5
    won = next(one for one, answer in zip(manifests, answers, strict=True) if answer.status_code == 201)
    assert client.get_manifest(repository, "v1").content == won.payload


def test_a_run_of_retention_by_the_worker(
    haven: HavenServer, client: RegistryClient, project: str, repository: str
) -> None:
    for tag in ("a", "b", "c"):
        client.push(repository, random_image(), tag)
    project_id = haven.api("GET", f"/projects/{project}").json()["project_id"]
    rule = {**selects("**"), "template": "latestPushedK", "action": "retain", "params": {"latestPushedK": 1}}
    made = haven.api("POST", "/retentions", json={
        "algorithm": "or", "rules": [rule], "trigger": {"kind": "Schedule", "settings": {"cron": ""}},
        "scope": {"level": "project", "ref": project_id},
    })  # fmt: skip
    assert made.status_code == 201, made.text
    path = made.headers["Location"].removeprefix("/api/v2.0")
    for dry_run, tags in ((True, ["a", "b", "c"]), (False, ["c"])):
        assert haven.api("POST", f"{path}/executions", json={"dry_run": dry_run}).status_code == 201
        deadline = time.monotonic() + 60
        while (execution := haven.api("GET", f"{path}/executions").json()[0])["status"] in ("Pending", "Running"):
            assert time.monotonic() < deadline, execution
            time.sleep(0.2)
        assert (execution["status"], execution["dry_run"]) == ("Success", dry_run)
        [task] = haven.api("GET", f"{path}/executions/{execution['id']}/tasks").json()
        assert (task["total"], task["retained"]) == (3, 1)
        assert client.tags(repository) == tags
