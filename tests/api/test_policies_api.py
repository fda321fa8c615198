"""Immutability rules and retention policies over the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from haven_core.models import ImmutableRule, Project, RetentionExecution, RetentionPolicy
from tests.api.artifacts import APP, push
from tests.support.site import Site

pytestmark = pytest.mark.django_db(transaction=True)
Call = Callable[..., HttpResponse]

SCOPES = {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}
TAGS = [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}]
RULE: dict[str, Any] = {"tag_selectors": TAGS, "scope_selectors": SCOPES}


def policy(project_id: int, **change: Any) -> dict[str, Any]:
    rule = {**RULE, "template": "latestPushedK", "action": "retain", "params": {"latestPushedK": 3}}
    return {
        "algorithm": "or", "rules": [rule], "trigger": {"kind": "Schedule", "settings": {"cron": ""}},
        "scope": {"level": "project", "ref": project_id}, **change,
    }  # fmt: skip


def test_immutability_rules(api: Call, projects: dict[str, int]) -> None:
    path = "/projects/private/immutabletagrules"
    made = api("POST", path, RULE, user="owner")
    assert made.status_code == 201, made.content
    assert api("POST", path, RULE, user="owner").status_code == 409
    [rule] = api("GET", path, user="owner").json()
    assert (rule["tag_selectors"], rule["disabled"]) == (TAGS, False)
    assert api("PUT", f"{path}/{rule['id']}", {**rule, "disabled": True}, user="owner").status_code == 200
    assert api("DELETE", f"/projects/public/immutabletagrules/{rule['id']}", user="owner").status_code == 404
    for user, status in (("", 401), ("guest", 403), ("stranger", 403)):
        assert api("DELETE", f"{path}/{rule['id']}", user=user).status_code == status
    assert ImmutableRule.objects.get().is_disabled
    assert api("DELETE", f"{path}/{rule['id']}", user="owner").status_code == 200


def test_retention(api: Call, projects: dict[str, int]) -> None:
    project_id = projects["private"]
    for user, status in (("", 401), ("guest", 403), ("stranger", 403)):
        assert api("POST", "/retentions", policy(project_id), user=user).status_code == status
    assert RetentionPolicy.objects.count() == 0
    made = api("POST", "/retentions", policy(project_id), user="owner")
    assert made.status_code == 201, made.content
    path = made["Location"].removeprefix("/api/v2.0")
    assert api("POST", "/retentions", policy(project_id), user="owner").status_code == 400
    assert Project.objects.get(id=project_id).metadata["retention_id"] == path.rpartition("/")[2]
    assert api("GET", path, user="stranger").status_code == api("GET", "/retentions/999", user="stranger").status_code
    body = api("GET", path, user="owner").json()
    assert body["scope"] == {"level": "project", "ref": project_id}
    assert api("PUT", path, body, user="owner").status_code == 200
    assert api("POST", f"{path}/executions", {"dry_run": True}, user="owner").status_code == 201
    [execution] = api("GET", f"{path}/executions", user="owner").json()
    assert (execution["dry_run"], execution["status"], execution["trigger"]) == (True, "Pending", "MANUAL")
    tasks = api("GET", f"{path}/executions/{execution['id']}/tasks", user="owner")
    assert (tasks.status_code, tasks.json()) == (200, [])
    assert api("POST", "/haven/retentions/preview", policy(project_id), user="owner").json()["is_complete"] is True
    assert len(api("GET", "/retentions/metadatas", user="owner").json()["templates"]) == 5
    assert api("DELETE", path, user="owner").status_code == 200
    assert RetentionExecution.objects.count() == 0


def test_a_preview_of_rules_nobody_saved(api: Call, projects: dict[str, int], site: Site) -> None:
    """Names what would go and why, and what only stays because it is protected; changes nothing."""
    gone, fixed, kept = push(site, "v1", "old", x="1"), push(site, "v2", x="2"), push(site, "v3", x="3")
    path = "/projects/private/immutabletagrules"
    only_v2 = [{"kind": "doublestar", "decoration": "matches", "pattern": "v2"}]
    assert api("POST", path, {"tag_selectors": only_v2, "scope_selectors": SCOPES}, user="owner").status_code == 201
    project_id = projects["private"]
    rule = {**RULE, "template": "latestPushedK", "action": "retain", "params": {"latestPushedK": 1}}

    def previewed(**change: Any) -> dict[str, Any]:
        body = policy(project_id, rules=[rule], **change)
        answer = api("POST", "/haven/retentions/preview", body, user="owner")
        assert answer.status_code == 200, answer.content
        return answer.json()  # type: ignore[no-any-return]

    found = previewed()
    assert (found["total"], found["retained"], found["is_complete"]) == (3, 2, True)
    [repository] = found["repositories"]
    assert repository["name"] == "team/app"
    assert {(one["digest"], tuple(one["tags"]), one["action"], one["reason"]) for one in repository["changes"]} == {
        (gone, ("old", "v1"), "DEL", "no rule keeps it"),
        (fixed, ("v2",), "IMMUTABLE", "an immutability rule protects a tag"),
    }
    [repository] = previewed(mode="tag")["repositories"]
    assert [one["tags"] for one in repository["changes"] if one["action"] == "DEL"] == [["old"], ["v1"]]
    assert [api("GET", f"{APP}/artifacts/{digest}", user="owner").status_code for digest in (gone, fixed, kept)] == [
        200
    ] * 3
    assert (RetentionPolicy.objects.count(), RetentionExecution.objects.count()) == (0, 0)
    for user, status in (("", 401), ("guest", 403), ("stranger", 403)):
        body = policy(project_id, rules=[rule])
        assert api("POST", "/haven/retentions/preview", body, user=user).status_code == status
