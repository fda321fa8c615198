"""The matcher of policies, against what doublestar's documentation says and against a slow reader of the same language."""

import contextlib
import re
import time

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from haven_core.domain.doublestar import MAX_PATTERN_LENGTH, PatternInvalid, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("", "", True), ("", "a", False), ("abc", "abc", True), ("abc", "abcd", False), ("abc", "Abc", False),
        ("*", "abc", True), ("*", "", True), ("*", "a/b", False), ("*c", "abc", True), ("a*", "a", True),
        ("a*", "ab/c", False), ("a*/b", "abc/b", True), ("a*/b", "a/c/b", False), ("a*b*c*d*e*", "axbxcxdxe", True),
        ("a*b?c*x", "abxbbxdbxebxczzx", True), ("a*b?c*x", "abxbbxdbxebxczzy", False), ("a?c", "abc", True),
        ("a?c", "a/c", False), ("a?c", "ac", False), ("v[0-9]", "v7", True), ("v[0-9]", "vx", False),
        ("v[^0-9]", "vx", True), ("v[^0-9]", "v3", False), ("[a\\-z]", "-", True), ("[a\\-z]", "b", False),
        ("[\\]a]", "]", True), ("a\\*b", "a*b", True), ("a\\*b", "axb", False), ("[x-]a]", None, None),
        ("**", "", True), ("**", "a/b/c", True), ("a/**", "a/b/c", True), ("a/**", "a", False), ("a/**", "a/", True),
        ("**/c", "a/b/c", True), ("**/c", "c", True), ("**/c", "b", False), ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True), ("a/**/c", "a/b/d", False), ("a**c", "abbc", True), ("a**c", "ab/c", False),
        ("**/**", "a", True), ("{a,b}", "b", True), ("{a,b}c", "ac", True), ("{a,b}c", "a", False), ("a{,x}", "a", True),
        ("{a{1,2},b}", "a2", True), ("{a{1,2},b}", "a", False), ("{lib/**,app}", "lib/x/y", True),
        ("{lib/**,app}", "app", True), ("{lib/**,app}", "other", False), ("{v*,latest}", "v1.2", True),
        ("a\\{b", "a{b", True), ("[{]", "{", True), ("a}", "a}", True), ("{a,b\\,c}", "b,c", True), ("☃?", "☃é", True),
        ("*/*{*}/**", "/", False), ("{**,b}/a", "x/y/a", False), ("{**,b}/a", "x/a", True),
        ("{*}{*}/a", "x/y/a", False), ("a\0", None, None),
        ("a\1", None, None), ("{**,b}", "x/y", False), ("{**,b}", "x", True), ("**{}/a", "x/y/a", False),
        ("{a/**,b}", "a/x/y", True), ("{a/{b/**,c}}", "a/b/x/y", True), ("{a/,b}**", "a/x/y", True),
        ("{a/*,b}*", "a/x/y", True), ("a/{**}", "a/x/y", False), ("a/**{}", "a/x/y", False),
        ("[", None, None), ("[a", None, None), ("[]a]", None, None), ("[^]", None, None), ("{a", None, None),
        ("{a,{b}", None, None), ("a\\", None, None), ("[-]", None, None), ("[a-]", None, None), ("[a/b]", None, None),
        ("x" * (MAX_PATTERN_LENGTH + 1), None, None), ("{a,b}" * 20, None, None),
    ],
)  # fmt: skip
def test_examples(pattern: str, name: str | None, matches: bool | None) -> None:
    if name is None:
        with pytest.raises(PatternInvalid):
            compile_pattern(pattern)
    else:
        assert compile_pattern(pattern).matches(name) is matches


# A pattern as a tree of (text, regular expression): whoever writes both can't make the matcher's mistakes.
_ALPHABET = "ab-/"
_plain = st.sampled_from([("a", "a"), ("b", "b"), ("\\*", "\\*"), ("-", "-")])
_wild = st.sampled_from([("*", "[^/]*"), ("?", "[^/]")])
_class = st.sampled_from([("[ab]", "[ab]"), ("[^a]", "[^a/]"), ("[a-b]", "[ab]"), ("[\\-x]", "[\\-x]")])


def _joined(parts: list[tuple[str, str]]) -> tuple[str, str]:
    return "".join(text for text, _ in parts), "".join(expression for _, expression in parts)


def _braces(options: list[tuple[str, str]]) -> tuple[str, str]:
    return "{" + ",".join(text for text, _ in options) + "}", "(?:" + "|".join(e for _, e in options) + ")"


_piece = st.lists(st.one_of(_plain, _wild, _class), max_size=3).map(_joined)
_braced = st.lists(_piece, min_size=1, max_size=3).map(_braces)
_component = st.lists(st.one_of(_plain, _wild, _class, _braced), min_size=1, max_size=4).map(_joined)
_components = st.lists(st.one_of(_component, st.just(("**", ""))), min_size=1, max_size=4)


def _reference(components: list[tuple[str, str]]) -> re.Pattern[str]:
    expression = ""
    for position, (text, part) in enumerate(components):
        is_last = position == len(components) - 1
        if text == "**":
            expression += "[^/]*(?:/[^/]*)*" if is_last else "(?:[^/]*/)*"
        else:
            expression += part + ("" if is_last else "/")
    return re.compile(expression)


@given(_components, st.text(_ALPHABET + "*", max_size=9))
def test_against_a_slow_reference(components: list[tuple[str, str]], name: str) -> None:
    text = "/".join(text for text, _ in components)
    wanted = [(part, e) for part, e in components]
    # `**` made of two stars of a component is a doublestar only when it is the whole component
    wanted = [("**", "") if part == "**" else (part, e) for part, e in wanted]
    try:
        pattern = compile_pattern(text)
    except PatternInvalid as error:
        assert "too many alternatives" in str(error)  # noqa: PT017  # the one reason for which a good pattern is refused
        reject()
    assert pattern.matches(name) is bool(_reference(wanted).fullmatch(name))


@given(st.text("a*?[]{},\\/-^", max_size=40), st.text("a/-", max_size=12))
def test_any_text_is_matched_or_refused(pattern: str, name: str) -> None:
    with contextlib.suppress(PatternInvalid):
        assert compile_pattern(pattern).matches(name) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("*a" * 250 + "b", "a" * 255), ("**/" * 170 + "b", "a/" * 127 + "a"), ("{a*,*}" * 6 + "b", "a" * 128),
     ("{" * 250 + "}" * 250, "a"), ("*?" * 256, "a" * 255)],
)  # fmt: skip
def test_hostile_patterns_take_no_time(pattern: str, name: str) -> None:
    start = time.process_time()
    assert compile_pattern(pattern).matches(name) is False
    assert time.process_time() - start < 1
