"""Immutability rules and retention."""

from typing import Any

from django.http import HttpResponse

from tests.contract.world import World, example
from tests.support.site import seen_repository

SELECTORS: dict[str, Any] = {
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
    "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
}


def _rule(world: World) -> str:
    return world.create("CreateImmuRule", SELECTORS, user="owner", project_name_or_id="private")


def _policy_body(world: World) -> dict[str, Any]:
    rule = {**SELECTORS, "template": "latestPushedK", "action": "retain", "params": {"latestPushedK": 3}}
    return {
        "algorithm": "or", "rules": [rule], "trigger": {"kind": "Schedule", "settings": {"cron": ""}},
        "scope": {"level": "project", "ref": world.projects["private"]},
    }  # fmt: skip


def _policy(world: World) -> str:
    return world.create("createRetention", _policy_body(world), user="owner")


def _execution(world: World) -> dict[str, str]:
    """A policy with a run that has a task."""
    seen_repository(world.projects["private"], "app")
    policy = _policy(world)
    return {"id": policy, "eid": world.create("triggerRetentionExecution", {"dry_run": True}, user="owner", id=policy)}


@example("ListImmuRules")
def rules(world: World) -> HttpResponse:
    _rule(world)
    return world.call("ListImmuRules", user="owner", project_name_or_id="private")


@example("CreateImmuRule")
def rule_created(world: World) -> HttpResponse:
    return world.call("CreateImmuRule", SELECTORS, user="owner", project_name_or_id="private")


@example("UpdateImmuRule")
def rule_updated(world: World) -> HttpResponse:
    rule = _rule(world)
    body = {**SELECTORS, "id": int(rule), "disabled": True}
    return world.call("UpdateImmuRule", body, user="owner", project_name_or_id="private", immutable_rule_id=rule)


@example("DeleteImmuRule")
def rule_deleted(world: World) -> HttpResponse:
    return world.call("DeleteImmuRule", user="owner", project_name_or_id="private", immutable_rule_id=_rule(world))


@example("getRentenitionMetadata")
def metadata(world: World) -> HttpResponse:
    return world.call("getRentenitionMetadata", user="guest")


@example("createRetention")
def policy_created(world: World) -> HttpResponse:
    return world.call("createRetention", _policy_body(world), user="owner")


@example("getRetention")
def policy_read(world: World) -> HttpResponse:
    return world.call("getRetention", user="owner", id=_policy(world))


@example("updateRetention")
def policy_updated(world: World) -> HttpResponse:
    return world.call("updateRetention", _policy_body(world), user="owner", id=_policy(world))


@example("deleteRetention")
def policy_deleted(world: World) -> HttpResponse:
    return world.call("deleteRetention", user="owner", id=_policy(world))


@example("triggerRetentionExecution")
def run_started(world: World) -> HttpResponse:
    return world.call("triggerRetentionExecution", {"dry_run": True}, user="owner", id=_policy(world))


@example("listRetentionExecutions")
def runs(world: World) -> HttpResponse:
    return world.call("listRetentionExecutions", user="owner", id=_execution(world)["id"])


@example("operateRetentionExecution")
def run_stopped(world: World) -> HttpResponse:
    return world.call("operateRetentionExecution", {"action": "stop"}, user="owner", **_execution(world))


@example("listRetentionTasks")
def tasks(world: World) -> HttpResponse:
    return world.call("listRetentionTasks", user="owner", **_execution(world))


@example("getRetentionTaskLog")
def log(world: World) -> HttpResponse:
    ids = _execution(world)
    [task] = world.call("listRetentionTasks", user="owner", **ids).json()  # type: ignore[attr-defined]
    return world.call("getRetentionTaskLog", user="owner", tid=task["id"], **ids)
