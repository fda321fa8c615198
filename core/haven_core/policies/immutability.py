"""Immutable tags (Harbor: src/pkg/immutable): a tag that exists, and that a rule of its project means, is neither moved
nor removed by anybody."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.selectors import (
    REPOSITORY_DECORATIONS,
    TAG_DECORATIONS,
    Selector,
    SelectorInvalid,
    check_selector,
)
from haven_core.domain.side_tags import is_side_tag
from haven_core.errors import BadRequest, Conflict, NotFound, ProjectUnknown, TagImmutable
from haven_core.events.outbox import publish
from haven_core.policies import hooks
from haven_core.policies.models import ImmutableRule
from haven_core.projects.models import Project

STALENESS_SECONDS = 5.0  # how long another process may go on by the rules from before a change
MAX_RULES = 100  # of a project; Harbor's page shows 15
_LIMIT = 5000

_cache: "TimedCache[int, tuple[_Compiled, ...]]" = TimedCache(seconds=STALENESS_SECONDS, limit=_LIMIT)


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as the API shows it."""

    id: int
    is_disabled: bool
    priority: int
    params: Mapping[str, Any]
    repository: Selector
    tag: Selector


@dataclass(frozen=True, slots=True)
class _Compiled:
    repository: Selector
    tag: Selector

    def protects(self, repository: str, tag: str) -> bool:
        # clients rewrite side tags by design: a rule has to name them
        is_meant = self.tag.pattern.startswith("sha") or not is_side_tag(tag)
        return is_meant and self.repository.selects_repository(repository) and self.tag.selects_tags([tag])


def tag_protection(project_id: int, repository: str) -> Callable[[str], bool] | None:
    """Whether a tag, once it exists, is immutable in the repository (its name below the project); None when no tag is.
    At most STALENESS_SECONDS old. One SQL statement, or none."""
    rules = [rule for rule in _rules_of(project_id) if rule.repository.selects_repository(repository)]
    if not rules:
        return None
    return lambda tag: any(rule.protects(repository, tag) for rule in rules)


def would_protect(repository: Selector, tag: Selector) -> Callable[[str, str], bool]:
    """Whether a rule of these selectors means a tag (its repository's name below the project, and its own). Raises
    BadRequest for selectors that can't be used."""
    _check(repository, tag)
    return _Compiled(repository, tag).protects


def refuse_immutable(repository: hooks.HeldRepository, tags: Iterable[str]) -> None:
    """The hook: raises TagImmutable when one of the existing tags is immutable."""
    is_immutable = tag_protection(repository.project_id, repository.name)
    if is_immutable is None:
        return
    for tag in tags:
        if is_immutable(tag):
            raise TagImmutable(
                f"Failed to process request due to '{repository.full_name}:{tag}' configured as immutable."
            )


def register() -> None:
    """At start."""
    hooks.before_push.register("immutability", refuse_immutable)
    hooks.before_delete.register("immutability", refuse_immutable)


def create_rule(
    *,
    project_id: int,
    repository: Selector,
    tag: Selector,
    is_disabled: bool = False,
    priority: int = 0,
    params: Mapping[str, Any] | None = None,
    by: str = "",
) -> int:
    """Add a rule; returns its id. Other processes follow it after STALENESS_SECONDS at most.

    Raises ProjectUnknown, BadRequest (selectors, too many rules), Conflict when the project has the same rule.
    Locks: project (NO KEY UPDATE), which also keeps the count right.
    """
    _check(repository, tag)

    def work() -> int:
        now = timezone.now()
        _hold_project(project_id)
        if ImmutableRule.objects.filter(project_id=project_id).count() >= MAX_RULES:
            raise BadRequest(f"a project has {MAX_RULES} immutability rules at most")
        rows = backend.insert(
            ImmutableRule,
            ["project", "is_disabled", "priority", "params", "repository", "tag", "fingerprint"],
            [(project_id, is_disabled, priority, dict(params or {}), asdict(repository), asdict(tag),
              _fingerprint(repository, tag))],
            on_conflict="(project_id, fingerprint) DO NOTHING",
        )  # fmt: skip
        if not rows:
            raise Conflict("the project already has this immutability rule")
        rule_id = int(rows[0][0])
        publish("immutable_rule.created", now, project=project_id, rule=rule_id, by=by)
        transaction.on_commit(forget_rules)
        return rule_id

    return run_write(work)


def update_rule(
    *,
    project_id: int,
    rule_id: int,
    repository: Selector,
    tag: Selector,
    is_disabled: bool,
    priority: int = 0,
    params: Mapping[str, Any] | None = None,
    by: str = "",
) -> None:
    """Replace a rule. Raises NotFound (also for a rule of another project), BadRequest, Conflict."""
    _check(repository, tag)

    def work() -> None:
        changed = ImmutableRule.objects.filter(id=rule_id, project_id=project_id).update(
            is_disabled=is_disabled, priority=priority, params=dict(params or {}), repository=asdict(repository),
            tag=asdict(tag), fingerprint=_fingerprint(repository, tag),
        )  # fmt: skip
        if not changed:
            raise NotFound("immutability rule not found")
        publish("immutable_rule.updated", timezone.now(), project=project_id, rule=rule_id, by=by)
        transaction.on_commit(forget_rules)

    try:
        run_write(work)
    except IntegrityError:  # the one constraint that this can break is the fingerprint's
        raise Conflict("the project already has this immutability rule") from None


def delete_rule(*, project_id: int, rule_id: int, by: str = "") -> None:
    """Remove a rule. Raises NotFound, also for a rule of another project."""

    def work() -> None:
        if not ImmutableRule.objects.filter(id=rule_id, project_id=project_id).delete()[0]:
            raise NotFound("immutability rule not found")
        publish("immutable_rule.deleted", timezone.now(), project=project_id, rule=rule_id, by=by)
        transaction.on_commit(forget_rules)

    run_write(work)


def list_rules(project_id: int, *, offset: int = 0, limit: int = MAX_RULES) -> tuple[list[RuleView], int]:
    """A page of the project's rules, oldest first, and how many there are. Two SQL statements."""
    rules = ImmutableRule.objects.filter(project_id=project_id)
    page = rules.order_by("id")[offset : offset + limit]
    return [
        RuleView(
            rule.pk, rule.is_disabled, rule.priority, rule.params, Selector(**rule.repository), Selector(**rule.tag)
        )
        for rule in page
    ], rules.count()


def forget_rules() -> None:
    """Drop the rules this process remembers; called after a change of its own."""
    _cache.clear()


def _rules_of(project_id: int) -> tuple[_Compiled, ...]:
    rules = _cache.get(project_id)
    if rules is None:
        rows = ImmutableRule.objects.filter(project_id=project_id, is_disabled=False).values_list("repository", "tag")
        rules = tuple(_Compiled(Selector(**repository), Selector(**tag)) for repository, tag in rows)
        _cache.put(project_id, rules)
    return rules


def _check(repository: Selector, tag: Selector) -> None:
    try:
        check_selector(repository, REPOSITORY_DECORATIONS)
        check_selector(tag, TAG_DECORATIONS)
    except SelectorInvalid as error:
        raise BadRequest(str(error)) from error


def _hold_project(project_id: int) -> None:
    projects = Project.objects.filter(id=project_id, deleted_at=None)
    if not backend.locked(projects.values_list("id"), "NO KEY UPDATE"):
        raise ProjectUnknown


def _fingerprint(repository: Selector, tag: Selector) -> bytes:
    return hashlib.sha256(json.dumps([asdict(repository), asdict(tag)], sort_keys=True).encode()).digest()
