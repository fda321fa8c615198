"""Immutability rules and retention policies over the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from haven_core.models import ImmutableRule, Project, RetentionExecution, RetentionPolicy

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
