"""What the portal lists: tags with what is known of them, repositories to compare, what is searched for."""

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from haven_core.accounts.services import create_user
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.conditions import ListQuery
from haven_core.domain.selectors import Selector
from haven_core.models import Project
from haven_registry.models import PullDaily
from haven_registry.repository_summary import (
    artifact_pulls,
    find_named_artifact,
    list_names,
    pulls_by_day,
    summarise_repositories,
)
from haven_registry.rule_preview import preview_rule
from haven_registry.search import search_artifacts, search_tags
from haven_registry.services.artifacts import delete_artifact
from haven_registry.services.repositories import delete_repository
from haven_registry.tag_list import Order, list_repository_tags, list_untagged, newest_tag_names, sister_tags
from tests.support.documents import image, index
from tests.support.site import Site


def names(site: Site, **how: object) -> list[str]:
    rows, total = list_repository_tags(site.repository, site.driver, **{"offset": 0, "limit": 50, **how})  # type: ignore[arg-type]
    assert total >= len(rows)
    return [row.name for row in rows]


def pull(site: Site, digest: str, tag: str, *, days: int, pulls: int) -> None:
    moment = timezone.now() - timedelta(days=days)
    PullDaily.objects.create(
        repository_id=site.repository, manifest_digest=digest, tag_name=tag, day=moment.date(), pulls=pulls,
        last_pulled_at=moment,
    )  # fmt: skip


def test_tags(site: Site) -> None:
    first = site.push(b'{"os": "linux", "architecture": "arm64"}', "v1.9", "latest")
    second = site.push(b'{"os": "linux", "architecture": "amd64"}', "v1.10")
    both = site.put(index(first, second), "multi").digest
    site.put(image(site.upload(b"signature"), nonce=1), f"sha256-{first[7:]}.sig", f"sha256-{second[7:]}")
    bare = site.push(b"{}")
    assert names(site) == ["multi", "v1.10", "v1.9", "latest"]
    assert names(site, order=Order.NAME, descends=False) == ["latest", "multi", "v1.10", "v1.9"]
    assert names(site, order=Order.VERSION) == ["v1.10", "v1.9", "latest", "multi"]
    assert names(site, order=Order.VERSION, offset=1, limit=2) == ["v1.9", "latest"]
    assert names(site, text="V1") == ["v1.10", "v1.9"]
    assert len(names(site, with_side_tags=True)) == 6
    assert newest_tag_names(site.repository, limit=2) == ["multi", "v1.10"]
    pull(site, first, "v1.9", days=2, pulls=7)
    pull(site, first, "v1.9", days=40, pulls=100)
    pull(site, first, "", days=1, pulls=1)
    rows = {row.name: row for row in list_repository_tags(site.repository, site.driver, offset=0, limit=50)[0]}
    old = rows["v1.9"]
    assert (old.pulls, old.platforms, old.by, old.row.kind) == (7, ("linux/arm64",), "somebody", "IMAGE")
    assert old.pulled_at is not None
    assert (rows["latest"].pulls, rows["latest"].pulled_at) == (0, None)
    multi = rows["multi"]
    assert multi.row.digest == both
    assert multi.size == multi.row.payload_size + old.size + rows["v1.10"].size
    untagged, total = list_untagged(site.repository, site.driver, offset=0, limit=50)
    assert ([row.row.digest for row in untagged], total) == ([bare], 1)
    assert sister_tags(site.repository, ["v1.9", "multi", "nothing"]) == {first: ["latest", "v1.9"], both: ["multi"]}
    assert artifact_pulls(site.repository, first)[-3:] == (7, 1, 0)
    assert pulls_by_day([site.repository])[site.repository][-3:] == (7, 1, 0)


def test_statements_are_constant(site: Site) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            list_repository_tags(site.repository, site.driver, offset=0, limit=50)
            summarise_repositories(site.first, ListQuery(order=("-size", "-pulls"), limit=50))
        return len(queries)

    first = site.push(b"{}", "v1")
    site.put(index(first), "multi")
    count()
    before = count()
    for number in range(10):
        site.push(f'{{"a": {number}}}'.encode(), f"x{number}")
        repository = site.new_repository(site.first, f"r{number}")
        site.push(b"{}", "v1", repository=repository)
    count()
    assert count() == before


def test_repositories(site: Site) -> None:
    digest = site.push(b"shared", "v1")
    site.push(b"own" * 100, "v2")
    other = site.new_repository(site.first, "deep/other")
    site.push(b"shared", "w1", repository=other)
    empty = site.new_repository(site.first, "void")
    pull(site, digest, "v1", days=0, pulls=3)
    found, total = summarise_repositories(site.first, ListQuery(order=("-size",), limit=50))
    assert total == 3
    assert [each.row.name for each in found] == ["app", "deep/other", "void"]
    app, deep, void = found
    assert (app.size, app.unique, app.artifacts, app.newest_tag, sum(app.pulls)) == (306, 300, 2, "v2", 3)
    assert (deep.size, deep.unique, deep.type) == (6, 0, "IMAGE")
    assert (void.size, void.artifacts, void.type, void.newest_tag, sum(void.pulls)) == (0, 0, "", "", 0)
    for order, first in (("-pulls", "app"), ("name", "app"), ("-name", "void"), ("pushed", "app"), ("size", "void")):
        assert summarise_repositories(site.first, ListQuery(order=(order,), limit=1))[0][0].row.name == first, order
    assert list_names(site.first, limit=2) == ["app", "deep/other"]
    delete_repository(empty)
    assert list_names(site.first, limit=9) == ["app", "deep/other"]
    repository, row = find_named_artifact(site.first, "app", "v1")
    assert (repository.full_name, row.digest) == ("first/app", digest)
    assert find_named_artifact(site.first, "app", digest)[1] == row


def test_search(site: Site) -> None:
    digest = site.push(b"{}", "release-1", "Release-2")
    hidden = site.new_repository(site.second, "app")
    site.push(b"{}", "release-1", repository=hidden)
    Project.objects.filter(id=site.first).update(is_public=True)
    user_id = create_user(username="root", password="Correct1horse", is_sysadmin=True)
    root = Actor("user", user_id, "root", is_sysadmin=True)
    assert [found.repository for found in search_tags(root, "release", limit=9)] == ["first/app", "second/app"]
    assert [found.repository for found in search_tags(ANONYMOUS, "release", limit=9)] == ["first/app"]
    assert [found.tag for found in search_tags(ANONYMOUS, "R", limit=9)] == ["Release-2"]
    assert search_tags(ANONYMOUS, "elease", limit=9) == []
    for text in (digest, digest[:14], digest[7:13], digest[7:20].upper()):
        assert [found.repository for found in search_artifacts(ANONYMOUS, text, limit=9)] == ["first/app"], text
        assert len(search_artifacts(root, text, limit=9)) == 2
        assert len(search_artifacts(root, text, limit=1)) == 1
    for text in (digest[:12], "sha512:" + digest[7:20], "zzzzzz", digest + "0", ""):
        assert search_artifacts(root, text, limit=9) == [], text
    delete_artifact(repository_id=site.repository, digest=digest)
    assert search_artifacts(ANONYMOUS, digest, limit=9) == search_tags(ANONYMOUS, "release", limit=9) == []


def test_a_rules_preview(site: Site) -> None:
    digest = site.push(b"{}", "v1", "v2", "edge")
    site.put(image(site.upload(b"signature"), nonce=1), f"sha256-{digest[7:]}.sig")
    where, tags = Selector("doublestar", "repoMatches", "**"), Selector("doublestar", "matches", "v*")
    preview = preview_rule(site.first, where, tags, limit=1)
    assert (preview.names, preview.matched, preview.is_complete) == (("app:v1",), 2, True)
    assert preview_rule(site.second, where, tags, limit=9).matched == 0
    everything = preview_rule(site.first, where, Selector("doublestar", "matches", "**"), limit=9)
    assert everything.names == ("app:edge", "app:v1", "app:v2")  # a rule has to name side tags
