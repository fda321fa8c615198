"""Pulls day by day, over the REST API."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from haven_registry.models import PullDaily
from haven_registry.pull_series import MAX_TAGS, daily_pulls
from tests.api.artifacts import APP, push
from tests.api.conftest import Call
from tests.support.site import Site


def pulled(site: Site, digest: str, tag: str, days_ago: int, number: int) -> None:
    now = timezone.now()
    PullDaily.objects.create(
        repository_id=site.repository, manifest_digest=digest, tag_name=tag, pulls=number, last_pulled_at=now,
        day=now.date() - timedelta(days=days_ago),
    )  # fmt: skip


@pytest.fixture
def history(site: Site) -> tuple[str, str]:
    one, other = push(site, "v1", "latest"), push(site, "v2", author="x")
    pulled(site, one, "v1", 0, 5)
    pulled(site, one, "v1", 2, 1)
    pulled(site, one, "latest", 1, 2)
    pulled(site, one, "", 1, 4)
    pulled(site, one, "v1", 40, 100)
    pulled(site, other, "latest", 0, 7)
    pulled(site, other, "", 0, 0)
    return one, other


def read(api: Call, path: str, user: str = "owner") -> Any:
    response = api("GET", path, user=user)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_repositorys_days(api: Call, history: tuple[str, str]) -> None:
    found = read(api, f"{APP}/pulls?days=3")
    today = timezone.now().date()
    assert (found["first_day"], found["last_day"]) == (str(today - timedelta(days=2)), str(today))
    assert (found["pull_count"], found["total"], found["daily"]) == (119, 19, [1, 6, 12])
    assert (found["by_digest"]["total"], found["by_digest"]["daily"]) == (4, [0, 4, 0])
    assert [(tag["name"], tag["total"], tag["daily"]) for tag in found["tags"]] == [
        ("latest", 9, [0, 2, 7]), ("v1", 6, [1, 0, 5]),
    ]  # fmt: skip
    assert read(api, APP)["pull_count"] == 119
    assert len(read(api, f"{APP}/pulls")["daily"]) == 30
    assert read(api, f"{APP}/pulls?days=41")["total"] == 119


def test_an_artifacts_days(api: Call, history: tuple[str, str]) -> None:
    _, other = history
    for reference in ("v2", other):
        found = read(api, f"{APP}/artifacts/{reference}/pulls?days=2", user="guest")
        assert (found["pull_count"], found["daily"], [tag["name"] for tag in found["tags"]]) == (7, [0, 7], ["latest"])
    assert read(api, f"{APP}/artifacts/v1/pulls?days=1")["by_digest"]["pull_time"].startswith("0001")


@pytest.mark.parametrize("days", ["0", "401", "-1", "x", "", "1e3", "٣", "9" * 5000])
def test_days_are_bounded(api: Call, site: Site, days: str) -> None:
    assert api("GET", f"{APP}/pulls?days={days}", user="owner").status_code == 422


def test_who_may_see_it(api: Call, site: Site) -> None:
    push(site, "v1")
    for path in (f"{APP}/pulls", f"{APP}/artifacts/v1/pulls"):
        assert api("GET", path, user="stranger").status_code == 403
        assert api("GET", path).status_code == 401
    assert api("GET", f"{APP}/artifacts/none/pulls", user="owner").status_code == 404


def test_statements_do_not_grow(api: Call, site: Site) -> None:
    digest = push(site, "v1")
    pulled(site, digest, "v1", 0, 1)
    read(api, f"{APP}/pulls")  # fills caches
    counts = []
    for tags in (0, MAX_TAGS + 5):
        for number in range(tags):
            pulled(site, digest, f"t{number}", 0, 2)
        with CaptureQueriesContext(connection) as captured:
            found = read(api, f"{APP}/pulls")
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert len(found["tags"]) == MAX_TAGS


def test_sparklines_of_many_repositories(site: Site, history: tuple[str, str]) -> None:
    other = site.new_repository(site.project_of(), "other")
    with CaptureQueriesContext(connection) as captured:
        found = daily_pulls([site.repository, other], days=3, today=timezone.now().date())
    assert found == {site.repository: [1, 6, 12], other: [0, 0, 0]}
    assert len(captured) == 1
