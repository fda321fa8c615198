"""Each of Harbor's rule templates, and what rules are together."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven_core.domain.retention import TEMPLATES, Action, Candidate, Rule, decide, find_removable
from haven_core.domain.selectors import Selector
from haven_core.errors import BadRequest, Conflict
from haven_core.retention.rules import check_rules, parse_rules

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
ALL = (Selector("doublestar", "matches", "**"),)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def artifact(number: int, *tags: str, pushed: float = 0, pulled: float | None = None, **more: bool) -> Candidate:
    pulled_at = None if pulled is None else ago(pulled)
    return Candidate(number, f"sha256:{number}", tags, ago(pushed), ago(pushed), pulled_at, **more)


def rule(template: str, parameter: int = 0, tags: tuple[Selector, ...] = ALL) -> Rule:
    return Rule(1, template, parameter, tags, ())


# id: days since the push, days since the last pull
A, B, C, D = (
    artifact(1, "a", pushed=40, pulled=1),
    artifact(2, "b", pushed=10, pulled=20),
    artifact(3, "c", pushed=5),
    artifact(4, pushed=30, pulled=30),
)


@pytest.mark.parametrize(
    ("template", "parameter", "kept"),
    [
        ("latestPushedK", 0, ""), ("latestPushedK", 1, "C"), ("latestPushedK", 2, "BC"), ("latestPushedK", 3, "BCD"),
        ("latestPushedK", 9, "ABCD"),
        ("latestPulledN", 1, "A"), ("latestPulledN", 2, "AB"), ("latestPulledN", 3, "ABD"),
        ("latestPulledN", 4, "ABCD"),  # what was never pulled comes last, and still fills up
        ("latestActiveK", 1, "A"), ("latestActiveK", 2, "AC"), ("latestActiveK", 3, "ABC"),
        ("nDaysSinceLastPush", 0, ""), ("nDaysSinceLastPush", 5, "C"), ("nDaysSinceLastPush", 9, "C"),
        ("nDaysSinceLastPush", 30, "BCD"), ("nDaysSinceLastPush", 20190904, "ABCD"),
        ("nDaysSinceLastPull", 0, ""), ("nDaysSinceLastPull", 1, "A"), ("nDaysSinceLastPull", 20, "AB"),
        ("nDaysSinceLastPull", 20190904, "ABD"),  # never pulled is never within
        ("lastXDays", 10, "BC"), ("lastXDays", 39, "BCD"),
        ("always", 0, "ABCD"),
    ],
)  # fmt: skip
def test_templates(template: str, parameter: int, kept: str) -> None:
    decisions = decide([rule(template, parameter)], [A, B, C, D], NOW)
    names = {1: "A", 2: "B", 3: "C", 4: "D"}
    assert "".join(names[one.candidate.manifest_id] for one in decisions if one.action is Action.RETAIN) == kept
    assert {one.action for one in decisions} <= {Action.RETAIN, Action.DELETE}


def test_of_the_same_time_those_made_last_are_kept() -> None:
    decisions = decide([rule("latestPushedK", 2)], [artifact(number, pushed=1) for number in (7, 3, 9)], NOW)
    assert [one.action for one in decisions] == [Action.RETAIN, Action.DELETE, Action.RETAIN]


def test_tag_selectors_are_joined_by_and_before_the_template() -> None:
    both = (Selector("doublestar", "matches", "v*"), Selector("doublestar", "excludes", "*-rc"))
    found = [artifact(1, "v1", pushed=3), artifact(2, "v2-rc", pushed=2), artifact(3, "x", pushed=1)]
    decisions = decide([rule("latestPushedK", 1, both)], found, NOW)
    assert [one.action for one in decisions] == [Action.RETAIN, Action.DELETE, Action.DELETE]


def test_rules_are_joined_by_or() -> None:
    rules = [rule("latestPushedK", 1), rule("nDaysSinceLastPull", 1)]
    decisions = decide(rules, [A, B, C, D], NOW)
    assert [one.action is Action.RETAIN for one in decisions] == [True, False, True, False]


def test_rules_that_keep_nothing_empty_the_repository() -> None:
    none = (Selector("doublestar", "matches", "nothing", '{"untagged":false}'),)
    assert {one.action for one in decide([rule("always", 0, none)], [A, B, C, D], NOW)} == {Action.DELETE}


def test_what_is_protected_stays_and_says_why() -> None:
    found = [artifact(1, "a", is_immutable=True), artifact(2, "b", is_restored=True), artifact(3, "c")]
    decisions = decide([rule("latestPushedK", 0)], found, NOW)
    assert [(one.action, one.reason) for one in decisions] == [
        (Action.IMMUTABLE, "an immutability rule protects a tag"),
        (Action.RETAIN, "brought back from the trash"),
        (Action.DELETE, "no rule keeps it"),
    ]


_days = st.floats(0, 60, allow_nan=False)
_candidates = st.lists(
    st.tuples(st.lists(st.sampled_from(["a", "b", "v1", "v2"]), unique=True, max_size=3), _days, st.none() | _days,
              st.booleans(), st.booleans()),
    max_size=12,
)  # fmt: skip
_rules = st.lists(
    st.builds(
        lambda template, n, decoration, pattern: Rule(
            1, template, n, (Selector("doublestar", decoration, pattern),), ()
        ),
        st.sampled_from(sorted(TEMPLATES)), st.integers(0, 12), st.sampled_from(["matches", "excludes"]),
        st.sampled_from(["**", "v*", "a"]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@given(_candidates, _rules)
def test_no_rules_remove_what_is_protected(
    found: list[tuple[list[str], float, float | None, bool, bool]], rules: list[Rule]
):
    candidates = [
        artifact(number, *tags, pushed=pushed, pulled=pulled, is_immutable=immutable, is_restored=restored)
        for number, (tags, pushed, pulled, immutable, restored) in enumerate(found)
    ]
    decisions = decide(rules, candidates, NOW)
    assert [one.candidate for one in decisions] == candidates
    for one in decisions:
        if one.candidate.is_immutable or one.candidate.is_restored:
            assert one.action is not Action.DELETE
    more = decide([*rules, rule("always")], candidates, NOW)
    assert {one.action for one in more} <= {Action.RETAIN}  # one more rule never removes more


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_what_can_go_leaves_no_index_without_its_child(
    wanted: set[int], untagged: set[int], links: set[tuple[int, int]]
):
    parents: dict[int, set[int]] = {}
    for child, parent in links:
        if child < parent:  # an index is younger
            parents.setdefault(child, set()).add(parent)
    removable = find_removable(wanted, untagged - wanted, parents)
    assert removable <= wanted
    gone: set[int] = set()
    for manifest in sorted(range(10), reverse=True):  # as the service does: indexes first
        named_by = parents.get(manifest, set())
        if manifest in removable:
            assert named_by <= gone
            gone.add(manifest)
        elif manifest in untagged and named_by and named_by <= gone:
            gone.add(manifest)


def stored(**change: object) -> dict[str, object]:
    return {
        "template": "latestPushedK", "action": "retain", "params": {"latestPushedK": 10}, "tag_selectors": list(ALL),
        "scope_selectors": {"repository": [Selector("doublestar", "repoMatches", "**")]}, **change,
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"template": "nothing"}, {"template": ""}, {"action": "delete"}, {"params": {}}, {"params": {"latestPushedK": -1}},
        {"params": {"latestPushedK": 32767}}, {"params": {"latestPushedK": "3"}}, {"params": {"latestPushedK": 1.5}},
        {"params": {"latestPushedK": True}}, {"tag_selectors": []}, {"scope_selectors": {}},
        {"template": "nDaysSinceLastPull", "params": {"nDaysSinceLastPull": 20190905}},
        {"tag_selectors": [Selector("doublestar", "matches", "[")]}, {"tag_selectors": [Selector("regex", "matches", "a")]},
        {"scope_selectors": {"repository": [Selector("doublestar", "matches", "**")]}},
        {"scope_selectors": {"project": [Selector("doublestar", "repoMatches", "**")]}},
        {"tag_selectors": [*ALL] * 6},
    ],
)  # fmt: skip
def test_rules_that_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        check_rules([stored(**change)])


def test_rules_that_are_stored() -> None:
    with pytest.raises(BadRequest, match="only 15 rules"):
        check_rules([stored(params={"latestPushedK": number}) for number in range(16)])
    with pytest.raises(Conflict, match="rule 1 is conflict with rule 0"):
        check_rules([stored(id=1), stored(id=2)])
    [always, pushed] = parse_rules(check_rules([stored(template="always"), stored(params={"latestPushedK": 3.0})]))
    assert (always.template, always.parameter, pushed.parameter, pushed.number) == ("always", 0, 3, 2)
    assert pushed.selects_repository("a/b")
