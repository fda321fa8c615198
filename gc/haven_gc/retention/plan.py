"""What a run would do in a repository: the whole of a dry run, and the first half of a real one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from haven_core.domain.retention import Action, Candidate, Decision, Rule, decide, find_removable
from haven_core.policies.immutability import tag_protection
from haven_core.retention.models import RetentionPolicy
from haven_core.retention.rules import parse_rules
from haven_gc.retention.candidates import Contents, load_contents
from haven_registry.models import Repository

IN_INDEX = "part of an index that stays"


class SelectedRepository(NamedTuple):
    """A repository and the enabled rules that select it, one at least."""

    id: int
    name: str
    rules: list[Rule]


@dataclass(frozen=True, slots=True)
class Removal:
    """A tag (tag is set), or a manifest with all its tags. decisions: indexes of those it carries out.

    tags: those the manifest has and when they were pushed, as the decision saw it.
    """

    digest: str
    tags: Mapping[str, datetime]
    tag: str | None
    decisions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """decisions: one for each candidate. removals: in the order in which they succeed, indexes before children."""

    decisions: list[Decision]
    removals: list[Removal]


def select_repositories(project_id: int, stored_rules: Sequence[Mapping[str, Any]]) -> list[SelectedRepository]:
    """The project's live repositories that any enabled rule selects, by name. One SQL statement."""
    rules = parse_rules(stored_rules)
    found = Repository.objects.filter(project_id=project_id, deleted_at=None).order_by("name")
    selected = [
        SelectedRepository(repository_id, name, [rule for rule in rules if rule.selects_repository(name)])
        for repository_id, name in found.values_list("id", "name")
    ]
    return [repository for repository in selected if repository.rules]


def plan_repository(project_id: int, repository: SelectedRepository, mode: str, now: datetime) -> Plan:
    """Decide about everything in the repository. Five SQL statements at most."""
    contents = load_contents(repository.id, tag_protection(project_id, repository.name))
    if mode == RetentionPolicy.TAG:
        return _plan_tags(contents, decide(repository.rules, contents.single_tags(), now))
    return _plan_artifacts(contents, decide(repository.rules, contents.artifacts(), now))


def _plan_artifacts(contents: Contents, decisions: list[Decision]) -> Plan:
    wanted = {number: one.candidate for number, one in enumerate(decisions) if one.action is Action.DELETE}
    ids = {candidate.manifest_id for candidate in wanted.values()}
    removable = find_removable(ids, contents.untagged(), contents.parents)
    removals = []
    for number, candidate in _indexes_first(wanted):
        if candidate.manifest_id in removable:
            tags = contents.pushed_tags(candidate.manifest_id)
            removals.append(Removal(candidate.digest, tags, None, (number,)))
        else:
            decisions[number] = replace(decisions[number], action=Action.RETAIN, reason=IN_INDEX)
    return Plan(decisions, removals)


def _plan_tags(contents: Contents, decisions: list[Decision]) -> Plan:
    """A manifest goes when all its tags do, no index needs it, and none of its accessories has a tag that is protected; else
    they go one by one and it stays, untagged."""
    doomed: dict[int, list[int]] = {}
    for number, one in enumerate(decisions):
        if one.action is Action.DELETE:
            doomed.setdefault(one.candidate.manifest_id, []).append(number)
    whole = {manifest_id for manifest_id, of in doomed.items() if _are_all(contents, manifest_id, of, decisions)}
    whole -= contents.immutable_below | contents.restored_below
    removable = find_removable(whole, contents.untagged(), contents.parents)
    removals = []
    for manifest_id in sorted(doomed, reverse=True):
        numbers, tags = doomed[manifest_id], contents.pushed_tags(manifest_id)
        digest = decisions[numbers[0]].candidate.digest
        if manifest_id in removable:
            removals.append(Removal(digest, tags, None, tuple(numbers)))
        elif not decisions[numbers[0]].candidate.tags:
            decisions[numbers[0]] = replace(decisions[numbers[0]], action=Action.RETAIN, reason=IN_INDEX)
        else:
            removals += [Removal(digest, tags, decisions[number].candidate.tags[0], (number,)) for number in numbers]
    return Plan(decisions, removals)


def _are_all(contents: Contents, manifest_id: int, numbers: list[int], decisions: list[Decision]) -> bool:
    gone = {tag for number in numbers for tag in decisions[number].candidate.tags}
    kept = contents.pushed_tags(manifest_id).keys() - gone
    return not kept  # a side tag keeps its manifest, too


def _indexes_first(wanted: Mapping[int, Candidate]) -> list[tuple[int, Candidate]]:
    # a manifest is pushed before any index that names it, so its id is smaller
    return sorted(wanted.items(), key=lambda item: item[1].manifest_id, reverse=True)
