"""Lists by allow-list: every value is a value, whatever language it looks like."""

import contextlib
from datetime import UTC, datetime

import pytest
from django.db import connection, reset_queries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haven_api.query import parse_conditions, parse_order
from haven_core.accounts.models import User
from haven_core.accounts.services import create_user
from haven_core.db.lists import MAX_VALUES, Column, Kind, Listing
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.domain.roles import Role
from haven_core.errors import BadRequest
from haven_core.projects.models import Project, ProjectMember

pytestmark = pytest.mark.django_db(transaction=True)

PROJECTS = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "name": Column("name"),
        "public": Column("is_public", Kind.BOOLEAN),
        "created": Column("created_at", Kind.MOMENT),
        "member": Column("user_id", Kind.NUMBER, many=(ProjectMember, "project_id")),
        "access": Column("is_public", Kind.BOOLEAN, replace={"open": True, "closed": False}),
    },
    sorts={"name": "name", "created": "created_at"},
    order=("-id",),
)
NAMES = ("a", "B", "a%b", "a_b", "100%", "x'; drop table user; --", "*)(uid=*", "a\\b", 'q"', "ä", "ß", "\U0001f600")


@pytest.fixture
def rows() -> list[Project]:
    """One project of each name, the second half of them public, a day apart."""
    made = []
    for number, name in enumerate(NAMES):
        project = Project.objects.create(name=name, is_public=number >= len(NAMES) // 2)
        Project.objects.filter(pk=project.pk).update(created_at=datetime(2026, 1, 1 + number, tzinfo=UTC))
        made.append(project)
    return made


def found(text: str, sort: str = "") -> list[str]:
    query = ListQuery(parse_conditions(text), parse_order(sort))
    return list(PROJECTS.page(PROJECTS.narrow(Project.objects.all(), query), query).values_list("name", flat=True))


def test_each_kind_of_condition(rows: list[Project]) -> None:
    first, second = rows[0], rows[1]
    assert found("name=a") == ["a"]
    assert found("name=~A%25") == ["a%b"]
    assert found("name=~A_") == ["a_b"]
    assert found(f"id=[{first.pk}~{second.pk}]") == ["B", "a"]
    assert found(f"id=[~{first.pk}]") == ["a"]
    assert found(f"id__lt={second.pk}") == ["a"]
    assert found("name={a B}") == ["B", "a"]
    assert found("name={}") == found("") == list(reversed(NAMES))
    assert found("name=(a B)") == found("")  # a project has one name: Harbor takes it and ignores it
    assert found("public=true") == list(reversed(NAMES[6:]))
    assert found("public=F,name=~a%25") == ["a%b"]
    assert found("access=open") == found("public=1")
    assert found("created=[2026-01-12~]") == ["\U0001f600"]
    assert found("created=[2026-01-11T23:59:59~2026-01-12 00:00:00]") == ["\U0001f600"]
    assert found("created=2026-01-12T02:00:00%2B02:00") == ["\U0001f600"]
    assert found("unknown=1,name=a,password=~x") == ["a"]
    assert found("name=a,name=B") == ["B"]


def test_all_of_many(rows: list[Project]) -> None:
    people = [create_user(username=name, password="Correct1horse") for name in ("one", "two", "three")]
    for project, members in ((rows[0], people), (rows[1], people[:1])):
        for user_id in members:
            ProjectMember.objects.create(
                project=project, user_id=user_id, role=Role.GUEST, created_at=datetime(2026, 1, 1, tzinfo=UTC)
            )
    one, two, three = people
    assert found(f"member=({one} {two} {three})") == ["a"]
    assert found(f"member=({one})") == ["B", "a"]
    assert found("member=()") == found("")
    assert found(f"member={two}") == ["a"]
    assert found(f"member={{{one} {two}}}") == ["B", "a"]


def test_order(rows: list[Project]) -> None:
    assert found("", "created") == list(NAMES)
    assert found("", "-created,created") == list(reversed(NAMES))
    assert found("", "password,--name,owner__password") == list(reversed(NAMES))
    assert found("", "name") == list(Project.objects.order_by("name", "-id").values_list("name", flat=True))


@pytest.mark.parametrize(
    "text",
    [
        "id=x", "id=1.5", "id=1e3", "id=" + "9" * 5000, "id=9223372036854775808", "id=~1", "id={1 x}", "id=[a~b]",
        "public=maybe", "public=~t", "created=yesterday", "created=[0001-01-01T00:00:00%2B23:00~]", "created=~2026",
        "name=a%00b", "name=~%00", "name=" + "a" * 5000, "name={" + "a " * (MAX_VALUES + 1) + "}", "id=١",
    ],
)  # fmt: skip
def test_what_a_column_can_not_be_is_refused(rows: list[Project], text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        found(text)
    assert str(caught.value).startswith("invalid query string value")
    assert len(str(caught.value)) < 200


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(NAMES) | st.text(st.sampled_from("%_\\'\"*()&|!;-aAb\n"), min_size=1, max_size=8))
def test_metacharacters_are_characters(rows: list[Project], text: str) -> None:
    def matches(match: Match) -> set[str]:
        query = ListQuery((Condition("name", match, (text,)),))
        return set(PROJECTS.narrow(Project.objects.all(), query).values_list("name", flat=True))

    assert matches(Match.EXACT) == {name for name in NAMES if name == text}
    assert matches(Match.ANY) == matches(Match.EXACT)
    if text.isascii():
        assert matches(Match.CONTAINS) == {name for name in NAMES if text.lower() in name.lower()}
    assert User.objects.count() == 0
    assert Project.objects.count() == len(NAMES)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(
        st.tuples(
            st.sampled_from(["id", "name", "public", "created", "member", "access", "name__gt", "password"]),
            st.text("~[]{}()\\%_'\"019aT:-.", max_size=12),
        ).map("=".join),
        max_size=3,
    ).map(",".join),
    sort=st.text("-,_abcdeilmnpt", max_size=20),
)  # fmt: skip
def test_any_query_is_one_statement_or_a_bad_request(rows: list[Project], text: str, sort: str) -> None:
    connection.force_debug_cursor = True
    reset_queries()
    try:
        with contextlib.suppress(BadRequest):
            found(text, sort)
        assert len(connection.queries) <= 1
    finally:
        connection.force_debug_cursor = False
