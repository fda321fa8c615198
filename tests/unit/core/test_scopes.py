"""Scope strings: any text is taken, only well-formed scopes come out."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven_core.tokens.scopes import MAX_SCOPES, Scope, parse_scopes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["repository:p/r:pull"], [("repository", "p/r", {"pull"})]),
        (["repository:p/r:push,pull"], [("repository", "p/r", {"pull", "push"})]),
        (
            ["repository:p/r:pull repository:q/s:push"],
            [("repository", "p/r", {"pull"}), ("repository", "q/s", {"push"})],
        ),
        (["repository:p/r:pull", "repository:p/r:push"], [("repository", "p/r", {"pull", "push"})]),
        (["repository(plugin):p/r:pull"], [("repository", "p/r", {"pull"})]),
        (["repository:localhost:5000/p/r:pull"], [("repository", "localhost:5000/p/r", {"pull"})]),
        (["registry:catalog:*"], [("registry", "catalog", {"*"})]),
        (["repository:p/r:"], [("repository", "p/r", set())]),
        (["repository:p/r:pull,,PUSH,p5"], [("repository", "p/r", {"pull"})]),
        (["", " ", "repository", "repository:p", "repository::pull", ":p:pull", "Repository:p/r:pull"], []),
        (["repository(:p/r:pull", "repository(a)(b):p/r:pull", "repository\n:p/r:pull"], []),
    ],
)
def test_scope_grammar(values: list[str], expected: list[tuple[str, str, set[str]]]) -> None:
    assert [(s.type, s.name, set(s.actions)) for s in parse_scopes(values)] == expected


@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_text_is_survived_and_reads_back(values: list[str]) -> None:
    scopes = parse_scopes(values)
    assert parse_scopes(str(scope) for scope in scopes) == scopes
    for scope in scopes:
        assert scope.type
        assert scope.name
        assert not any(character.isspace() for character in scope.name)


_word = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
_name = st.lists(_word, min_size=1, max_size=4).map("/".join)
_actions = st.sets(st.sampled_from(["pull", "push", "delete"]))


@given(st.lists(st.tuples(_name, _actions), max_size=MAX_SCOPES), st.randoms())
def test_repeated_and_spaced_mean_the_same(asked: list[tuple[str, set[str]]], random) -> None:
    texts = []
    for name, actions in asked:
        shuffled = sorted(actions)
        random.shuffle(shuffled)
        texts.append(f"repository:{name}:{','.join(shuffled)}")
    merged: dict[str, set[str]] = {}
    for name, actions in asked:
        merged.setdefault(name, set()).update(actions)
    expected = [Scope("repository", name, frozenset(actions)) for name, actions in merged.items()]
    assert parse_scopes(texts) == parse_scopes([" ".join(texts)]) == expected


def test_scopes_are_bounded() -> None:
    assert len(parse_scopes(f"repository:p/r{number}:pull" for number in range(10_000))) == MAX_SCOPES


def test_actions_have_one_order() -> None:
    assert str(Scope("repository", "p/r", frozenset({"push", "delete", "pull"}))) == "repository:p/r:pull,push,delete"
