"""Harbor's `q` and `sort`, as src/lib/q/builder.go reads them."""

import string
from contextlib import suppress
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven_api.query import parse_conditions, parse_order, parse_query, parse_sort
from haven_core.domain.conditions import Condition, Match
from haven_core.errors import BadRequest

NEEDED = 'the query string must contain "=" and the key/value cannot be empty'


def read(text: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(condition.key, condition.match.value, condition.values) for condition in parse_conditions(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("k=v", [("k", "exact", ("v",))]),
        ("k=v,l=w", [("k", "exact", ("v",)), ("l", "exact", ("w",))]),
        ("k=~v", [("k", "icontains", ("v",))]),
        ("k=~~v", [("k", "icontains", ("~v",))]),
        ("k=a=b", [("k", "exact", ("a=b",))]),
        ("k=1,k=2", [("k", "exact", ("2",))]),
        ("k=[1~3]", [("k", "gte", ("1",)), ("k", "lte", ("3",))]),
        ("k=[1~]", [("k", "gte", ("1",))]),
        ("k=[~3]", [("k", "lte", ("3",))]),
        ("k=[ 1 ~ 'b c' ]", [("k", "gte", ("1",)), ("k", "lte", ("b c",))]),
        ("k=[2026-01-02T03:04:05~]", [("k", "gte", ("2026-01-02T03:04:05",))]),
        ("k={a b  c}", [("k", "in", ("a", "b", "c"))]),
        ("k={'a' \"b\"}", [("k", "in", ("a", "b"))]),
        ("k={}", [("k", "in", ())]),
        ("k=(a b)", [("k", "all", ("a", "b"))]),
        ("k=\\~v", [("k", "exact", ("~v",))]),
        ("k=\\{v}", [("k", "exact", ("{v}",))]),
        ("k=\\\\v", [("k", "exact", ("\\v",))]),
        ("k='v'", [("k", "exact", ("'v'",))]),
        ("k%3Dv", [("k", "exact", ("v",))]),
        ("k=a%2Fb", [("k", "exact", ("a/b",))]),
        ("k=a%252Fb", [("k", "exact", ("a%2Fb",))]),
        ("k=a+b", [("k", "exact", ("a b",))]),
        ("k=100%,l=a+b", [("k", "exact", ("100%",)), ("l", "exact", ("a+b",))]),
        ("RepositoryName=a", [("repository_name", "exact", ("a",))]),
        ("ProjectID=1", [("project_id", "exact", ("1",))]),
        ("k__gte=5", [("k", "gte", ("5",))]),
        ("k__gt=5,k__lt=9", [("k", "gt", ("5",)), ("k", "lt", ("9",))]),
        ("k__icontains=v", [("k", "icontains", ("v",))]),
        ("k__in=v", [("k", "in", ("v",))]),
        ("owner__password=x", []),
        ("k__regex=.*", []),
        ("k__gte=~5", []),
        ("k__gte__in=5", []),
    ],
)
def test_the_grammar(text: str, expected: list[tuple[str, str, tuple[str, ...]]]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("text", ["k", "k=", "=v", "=", ",", "k=v,", ",k=v", "k=v,,l=w", "%2C", " "])
def test_what_is_incomplete(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_conditions(text)
    assert str(caught.value) == NEEDED


@pytest.mark.parametrize(
    "value", ["~", "[", "[]", "[~]", "[~~]", "[1~2~3]", "[1~2", "[ ~ ]", "{", "{a", "{a)", "(", "(a", "(a}"]
)
def test_what_is_malformed(value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_conditions(f"k={value}")
    assert str(caught.value) == f"invalid query string value: {value}"


def test_a_list_that_is_no_queryset_takes_exact_and_fuzzy() -> None:
    found = parse_query("name=~a,public=true,other=[1~2]", ("name", "public"))
    assert found == {
        "name": Condition("name", Match.CONTAINS, ("a",)),
        "public": Condition("public", Match.EXACT, ("true",)),
    }
    for text in ("name=[a~b]", "name={a}", "name=(a)", "name__gte=a"):
        with pytest.raises(BadRequest):
            parse_query(text, ("name",))


def test_sort() -> None:
    assert parse_order("a,-b,,CreationTime,-UpdateTime,--c") == ("a", "-b", "creation_time", "-update_time", "--c")
    assert parse_order("") == ()
    assert parse_sort("a,-b,--a,c", ("a", "b")) == ["a", "-b"]


PLAIN = st.text(min_size=1, max_size=200).filter(lambda text: "," not in text and text[0] not in "~[{(\\")


@given(key=st.text(string.ascii_lowercase, min_size=1), value=PLAIN)
def test_any_value_that_is_escaped_comes_out_as_it_is(key: str, value: str) -> None:
    for escape in (quote, quote_plus):
        assert read(f"{key}={escape(value)}") == [(key, "exact", (value,))]
        assert read(f"{key}=~{escape(value)}") == [(key, "icontains", (value,))]
        assert read(f"{key}=%5C{escape('~' + value)}") == [(key, "exact", ("~" + value,))]


@given(st.text(max_size=300) | st.text("k=~[]{}()\\,%_ '\"+;*1a", max_size=60))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    conditions: tuple[Condition, ...] = ()
    with suppress(BadRequest):
        conditions = parse_conditions(text)
    for condition in conditions:
        assert condition.key == condition.key.lower()
        assert "__" not in condition.key
        assert condition.values or condition.match in (Match.ANY, Match.ALL)
