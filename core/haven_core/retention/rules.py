"""Rules of retention policies between Harbor's JSON and haven_core.domain.retention."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from haven_core.domain.retention import MAX_COUNT, MAX_DAYS, TEMPLATES, Rule
from haven_core.domain.selectors import (
    REPOSITORY_DECORATIONS,
    TAG_DECORATIONS,
    Selector,
    SelectorInvalid,
    check_selector,
)
from haven_core.errors import BadRequest, Conflict

MAX_RULES = 15
MAX_SELECTORS = 5  # of one kind in a rule; Harbor's page makes one


def check_rules(sent: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules as they are stored. `sent` has the right JSON types already.

    Raises BadRequest for too many or one that can't work, Conflict for two that say the same.
    """
    if len(sent) > MAX_RULES:
        raise BadRequest(f"only {MAX_RULES} rules are allowed at most")
    checked = [_check(rule) for rule in sent]
    seen: dict[str, int] = {}
    for number, rule in enumerate(checked):
        meaning = json.dumps({**rule, "id": 0}, sort_keys=True)
        if meaning in seen:
            raise Conflict(f"rule {number} is conflict with rule {seen[meaning]}")
        seen[meaning] = number
    return checked


def parse_rules(stored: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """What check_rules returned, as rules that decide."""
    return [
        Rule(
            number=number,
            template=rule["template"],
            parameter=rule["params"].get(rule["template"], 0),
            tag_selectors=tuple(Selector(**each) for each in rule["tag_selectors"]),
            repository_selectors=tuple(Selector(**each) for each in rule["scope_selectors"]["repository"]),
            is_disabled=rule["disabled"],
        )
        for number, rule in enumerate(stored, 1)
    ]


def _check(rule: Mapping[str, Any]) -> dict[str, Any]:
    template = rule.get("template") or ""
    if template not in TEMPLATES:
        raise BadRequest(f"there is no rule template {template[:64]!a}")
    if (rule.get("action") or "retain") != "retain":
        raise BadRequest('the action of a rule is "retain"')
    scopes = rule.get("scope_selectors") or {}
    if not set(scopes) <= {"repository"}:
        raise BadRequest('the scope of a rule is "repository"')
    return {
        "id": rule.get("id") or 0,
        "priority": rule.get("priority") or 0,
        "disabled": bool(rule.get("disabled")),
        "action": "retain",
        "template": template,
        "params": _check_parameter(template, rule.get("params") or {}),
        "tag_selectors": _check_selectors(rule.get("tag_selectors") or [], TAG_DECORATIONS),
        "scope_selectors": {
            "repository": _check_selectors(scopes.get("repository") or [], REPOSITORY_DECORATIONS),
        },
    }


def _check_parameter(template: str, params: Mapping[str, Any]) -> dict[str, int]:
    unit = TEMPLATES[template].unit
    if not unit:
        return {}
    value = params.get(template)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    largest = MAX_DAYS if unit == "DAYS" else MAX_COUNT
    if type(value) is not int or not 0 <= value <= largest:
        raise BadRequest(f"the parameter {template} of the rule is a whole number from 0 to {largest}")
    return {template: value}


def _check_selectors(selectors: Sequence[Selector], decorations: Sequence[str]) -> list[dict[str, str]]:
    if not 1 <= len(selectors) <= MAX_SELECTORS:
        raise BadRequest(f"a rule selects repositories and tags, by 1 to {MAX_SELECTORS} selectors each")
    try:
        for selector in selectors:
            check_selector(selector, decorations)
    except SelectorInvalid as error:
        raise BadRequest(str(error)) from error
    return [asdict(selector) for selector in selectors]
