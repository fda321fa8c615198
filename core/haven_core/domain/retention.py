"""What retention rules keep (Harbor: src/pkg/retention/policy). Pure: candidates and a time in, decisions out."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from haven_core.domain.selectors import Selector

MAX_COUNT = 32766
MAX_DAYS = 20190904
_NEVER = datetime.min.replace(tzinfo=UTC)


class Action(StrEnum):
    """What happens to a candidate; the words of Harbor's log."""

    RETAIN = "RETAIN"
    DELETE = "DEL"
    IMMUTABLE = "IMMUTABLE"
    ERROR = "ERR"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact with its tags or, where tags are judged one by one, a tag (or an artifact without any).

    pulled_at: None when it never was.
    """

    manifest_id: int
    digest: str
    tags: tuple[str, ...]
    created_at: datetime
    pushed_at: datetime
    pulled_at: datetime | None
    is_immutable: bool = False
    is_restored: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """number: its place in the policy, from 1. parameter: what the template counts; 0 for `always`."""

    number: int
    template: str
    parameter: int
    tag_selectors: tuple[Selector, ...]
    repository_selectors: tuple[Selector, ...]
    is_disabled: bool = False

    def selects_repository(self, name: str) -> bool:
        """Whether the rule is about the repository: all its selectors say so."""
        return not self.is_disabled and all(each.selects_repository(name) for each in self.repository_selectors)


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a candidate, and why."""

    candidate: Candidate
    action: Action
    reason: str


_Keep = Callable[[Sequence[Candidate], int, datetime], Iterable[Candidate]]


def _pulled(candidate: Candidate) -> datetime:
    return candidate.pulled_at or _NEVER


def _cutoff(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days) if days < (now - _NEVER).days else _NEVER


def _latest(time: Callable[[Candidate], datetime]) -> _Keep:
    """The first n by time; of the same time, those made last."""

    def keep(candidates: Sequence[Candidate], n: int, _now: datetime) -> Iterable[Candidate]:
        return sorted(candidates, key=lambda one: (time(one), one.manifest_id, one.tags), reverse=True)[:n]

    return keep


def _within(time: Callable[[Candidate], datetime | None]) -> _Keep:
    """Those of the last n times 24 hours; what has no time is not among them."""

    def keep(candidates: Sequence[Candidate], n: int, now: datetime) -> Iterable[Candidate]:
        since = _cutoff(now, n)
        return [one for one in candidates if (at := time(one)) is not None and at >= since]

    return keep


@dataclass(frozen=True, slots=True)
class Template:
    """unit: COUNT or DAYS; '' takes no parameter. is_shown: in Harbor's list of templates."""

    unit: str
    text: str
    keep: _Keep
    is_shown: bool = True


TEMPLATES: Mapping[str, Template] = {
    "latestPushedK": Template("COUNT", "the most recently pushed # artifacts", _latest(lambda one: one.pushed_at)),
    "latestPulledN": Template("COUNT", "the most recently pulled # artifacts", _latest(_pulled)),
    "nDaysSinceLastPush": Template("DAYS", "pushed within the last # days", _within(lambda one: one.pushed_at)),
    "nDaysSinceLastPull": Template("DAYS", "pulled within the last # days", _within(lambda one: one.pulled_at)),
    "always": Template("", "always", lambda candidates, _n, _now: candidates),
    "latestActiveK": Template(
        "COUNT",
        "the most recently active # artifacts",
        _latest(lambda one: max(one.pushed_at, _pulled(one))),
        is_shown=False,
    ),
    "lastXDays": Template("DAYS", "pushed within the last # days", _within(lambda one: one.pushed_at), is_shown=False),
}


def decide(rules: Iterable[Rule], candidates: Sequence[Candidate], now: datetime) -> list[Decision]:
    """A decision for each candidate of a repository that every one of `rules` selects, in their order.

    A rule keeps, of the candidates that all its tag selectors mean, those its template picks. What any rule keeps
    stays; what none keeps goes, unless it is immutable or somebody brought it back from the trash.
    """
    kept: dict[tuple[int, tuple[str, ...]], str] = {}
    for rule in rules:
        meant = [one for one in candidates if all(selector.selects_tags(one.tags) for selector in rule.tag_selectors)]
        template = TEMPLATES[rule.template]
        why = f"rule {rule.number}: {template.text.replace('#', str(rule.parameter))}"
        for one in template.keep(meant, rule.parameter, now):
            kept.setdefault((one.manifest_id, one.tags), why)
    return [_judge(one, kept.get((one.manifest_id, one.tags))) for one in candidates]


def _judge(candidate: Candidate, kept: str | None) -> Decision:
    if kept is not None:
        return Decision(candidate, Action.RETAIN, kept)
    if candidate.is_immutable:
        return Decision(candidate, Action.IMMUTABLE, "an immutability rule protects a tag")
    if candidate.is_restored:
        return Decision(candidate, Action.RETAIN, "brought back from the trash")
    return Decision(candidate, Action.DELETE, "no rule keeps it")


def find_removable(
    wanted: Collection[int], untagged: Collection[int], parents: Mapping[int, Collection[int]]
) -> set[int]:
    """The manifests of `wanted` that can go, when all of them do: no index that stays names them.

    parents: ids of the live indexes that name a manifest. untagged: manifests without tags; those that an index alone
    keeps go with it.
    """
    removable = set(wanted)
    while True:
        gone = _with_descendants(removable, untagged, parents)
        stuck = {one for one in removable if not gone.issuperset(parents.get(one, ()))}
        if not stuck:
            return removable
        removable -= stuck


def _with_descendants(
    removed: Collection[int], untagged: Collection[int], parents: Mapping[int, Collection[int]]
) -> set[int]:
    gone = set(removed)
    children = [one for one in untagged if parents.get(one)]
    while more := [one for one in children if one not in gone and gone.issuperset(parents[one])]:
        gone.update(more)
    return gone
