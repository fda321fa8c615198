"""Totals of lists: small ones are exact, big ones are counted once in a while."""

from collections.abc import Iterator
from typing import Any

import pytest

from haven_core.db import lists
from haven_core.models import User


@pytest.fixture(autouse=True)
def small_is_big(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[None]:
    monkeypatch.setattr(lists, "BIG_TOTAL", 3)
    lists.forget_totals()
    yield
    lists.forget_totals()


def make(*names: str) -> None:
    User.objects.bulk_create(User(username=name) for name in names)


def test_a_small_total_is_counted_each_time(django_assert_num_queries: Any) -> None:
    make("a", "b")
    with django_assert_num_queries(2):
        assert lists.total(User.objects.all()) == 2
        assert lists.total(User.objects.order_by("id")) == 2


def test_a_big_total_is_counted_once_for_each_question(django_assert_num_queries: Any) -> None:
    make("a", "b", "c", "d")
    with django_assert_num_queries(2):
        assert lists.total(User.objects.all()) == 4
        assert lists.total(User.objects.order_by("-username")) == 4
        assert lists.total(User.objects.filter(username="a")) == 1
    make("e")
    assert lists.total(User.objects.all()) == 4
    assert lists.total(User.objects.exclude(username="a")) == 4
    lists.forget_totals()
    assert lists.total(User.objects.all()) == 5


def test_nothing_is_asked_for_what_can_be_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert lists.total(User.objects.none()) == 0
