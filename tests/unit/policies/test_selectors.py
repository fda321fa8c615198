"""Which repositories and tags a selector means (Harbor: src/lib/selector/selectors/doublestar)."""

import pytest

from haven_core.domain.selectors import (
    REPOSITORY_DECORATIONS,
    TAG_DECORATIONS,
    Selector,
    SelectorInvalid,
    check_selector,
)
from haven_core.domain.side_tags import is_side_tag


@pytest.mark.parametrize(
    ("decoration", "pattern", "extras", "tags", "is_meant"),
    [
        ("matches", "v*", "", ["v1"], True), ("matches", "v*", "", ["x", "v1"], True), ("matches", "v*", "", ["x"], False),
        ("excludes", "v*", "", ["v1"], False), ("excludes", "v*", "", ["x", "v1"], True),
        ("excludes", "v*", "", ["x"], True),
        ("matches", "v*", "", [], True), ("excludes", "v*", "", [], True),
        ("matches", "v*", '{"untagged":true}', [], True), ("matches", "v*", '{"untagged":false}', [], False),
        ("excludes", "v*", '{"untagged":true}', [], False), ("excludes", "v*", '{"untagged":false}', [], True),
        ("matches", "v*", "{}", [], False), ("excludes", "v*", "{}", [], True),
        ("matches", "v*", "no json", [], True), ("matches", "v*", '{"untagged":"yes"}', [], True),
        ("matches", "v*", "[" * 5000, [], True),
    ],
)  # fmt: skip
def test_tags(decoration: str, pattern: str, extras: str, tags: list[str], is_meant: bool) -> None:
    assert Selector("doublestar", decoration, pattern, extras).selects_tags(tags) is is_meant


@pytest.mark.parametrize(
    ("decoration", "pattern", "name", "is_meant"),
    [("repoMatches", "**", "a/b", True), ("repoMatches", "*", "a/b", False), ("repoExcludes", "a/**", "a/b", False),
     ("repoExcludes", "a/**", "c", True), ("repoMatches", "{app,db}", "db", True)],
)  # fmt: skip
def test_repositories(decoration: str, pattern: str, name: str, is_meant: bool) -> None:
    assert Selector("doublestar", decoration, pattern).selects_repository(name) is is_meant


@pytest.mark.parametrize(
    "selector",
    [Selector("regex", "matches", "**"), Selector("doublestar", "repoMatches", "**"), Selector("doublestar", "matches", ""),
     Selector("doublestar", "matches", "["), Selector("doublestar", "", "**")],
)  # fmt: skip
def test_what_can_not_be_used(selector: Selector) -> None:
    with pytest.raises(SelectorInvalid):
        check_selector(selector, TAG_DECORATIONS)
    check_selector(Selector("doublestar", "repoExcludes", "{a,b}"), REPOSITORY_DECORATIONS)


def test_side_tags() -> None:
    hexadecimal = "0123456789abcdef" * 4
    for name in (f"sha256-{hexadecimal}", f"sha256-{hexadecimal}.sig", f"sha512-{hexadecimal}"):
        assert is_side_tag(name)
    for name in ("sha256-abc", f"sha256-{hexadecimal}.zip", f"sha256-{hexadecimal}\n", "latest"):
        assert not is_side_tag(name)
