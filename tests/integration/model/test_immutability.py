"""Immutable tags, through every service that could touch one."""

from collections.abc import Callable

import pytest

from haven_core.domain.selectors import Selector
from haven_core.errors import BadRequest, Conflict, NotFound, ProjectUnknown, TagImmutable
from haven_core.models import ImmutableRule, OutboxEvent
from haven_core.policies import immutability
from haven_registry.models import Manifest, Tag, TagHistory
from haven_registry.services import repositories, tags
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.restore import restore_manifest
from tests.support.documents import image, index
from tests.support.site import Site


def protect(project_id: int, tag: str = "v*", repository: str = "**", **more: object) -> int:
    return immutability.create_rule(
        project_id=project_id, repository=Selector("doublestar", "repoMatches", repository),
        tag=Selector("doublestar", "matches", tag), **more,
    )  # fmt: skip


def state() -> list[list[tuple[object, ...]]]:
    return [
        sorted(Tag.objects.values_list("id", "name", "manifest_id", "updated_at")),
        sorted(Manifest.objects.values_list("id", "deleted_at")),
        sorted(TagHistory.objects.values_list("id", "name")),
        sorted(OutboxEvent.objects.values_list("id")),
    ]


def test_what_is_refused_and_changes_nothing(site: Site):
    other = site.new_repository(site.first, "other")
    kept, moving = site.push(b"kept", "v1", "latest"), site.push(b"moving", "dev")
    elsewhere = site.push(b"elsewhere", "v9", repository=other)
    blob = site.upload(b"new")
    protect(site.first)
    before = state()
    attempts: dict[str, Callable[[], object]] = {
        "push": lambda: site.put(image(blob), "v1"),
        "push of the same": lambda: site.put(bytes(Manifest.objects.get(digest=kept).payload), "v1"),
        "push with other tags": lambda: site.put(image(blob), "new", "v1"),
        "push of an index": lambda: site.put(index(moving), "v1"),
        "move": lambda: tags.move_tag(repository_id=site.repository, name="v1", digest=moving),
        "delete the tag": lambda: tags.delete_tag(repository_id=site.repository, name="v1"),
        "delete the artifact": lambda: delete_manifest(repository_id=site.repository, digest=kept),
        "copy onto": lambda: copy_artifact(
            source_repository_id=site.repository, digest=moving, repository_id=other, project_id=site.first, tags=["v9"]
        ),
        "delete the repository": lambda: repositories.delete_repository(site.repository),
    }
    for name, attempt in attempts.items():
        with pytest.raises(TagImmutable) as refusal:
            attempt()
        tag = "other:v9" if name == "copy onto" else "app:v1"
        assert str(refusal.value) == f"Failed to process request due to 'first/{tag}' configured as immutable.", name
        assert state() == before, name
    assert (site.tag("v1"), site.is_live(elsewhere) is False) == (kept, True)


def test_what_goes_on(site: Site):
    old = site.push(b"old", "latest", "dev")
    protect(site.first)
    new = site.push(b"new", "latest", "v1")  # a tag that is new is made, and protected from then on
    assert (site.tag("latest"), site.tag("v1")) == (new, new)
    delete_manifest(repository_id=site.repository, digest=old)
    tags.delete_tag(repository_id=site.repository, name="latest")
    assert tags.move_tag(repository_id=site.repository, name="v2", digest=new) is None
    second = site.new_repository(site.second, "app")
    site.push(b"1", "v1", repository=second)
    site.push(b"2", "v1", repository=second)  # another project's
    repositories.delete_repository(second)


def test_restoring_does_not_move_a_tag(site: Site):
    old = site.push(b"old", "v1", "plain")
    delete_manifest(repository_id=site.repository, digest=old)
    new = site.push(b"new", "v1")
    protect(site.first)
    restore_manifest(repository_id=site.repository, digest=old)
    assert (site.tag("v1"), site.tag("plain")) == (new, old)


@pytest.mark.parametrize(
    ("change", "is_protected"),
    [({}, True), ({"is_disabled": True}, False), ({"repository": "app"}, True), ({"repository": "*/x"}, False),
     ({"tag": "{v1,v2}"}, True), ({"tag": "v"}, False)],
)  # fmt: skip
def test_which_rules_protect(site: Site, change: dict[str, object], is_protected: bool):
    site.push(b"a", "v1")
    protect(site.first, **change)
    if is_protected:
        with pytest.raises(TagImmutable):
            tags.delete_tag(repository_id=site.repository, name="v1")
    tag = site.tag("v1")
    assert tag is not None
    if not is_protected:
        tags.delete_tag(repository_id=site.repository, name="v1")


def test_side_tags_are_rewritten_unless_a_rule_names_them(site: Site):
    side = f"sha256-{'a' * 64}"
    site.push(b"1", side, f"{side}.sig")
    rule = protect(site.first, tag="**")
    new = site.push(b"2", side, f"{side}.sig")
    assert site.tag(side) == new
    immutability.delete_rule(project_id=site.first, rule_id=rule)
    protect(site.first, tag="sha256-*.sig")
    with pytest.raises(TagImmutable):
        site.push(b"3", f"{side}.sig")
    site.push(b"4", side)


def test_rules(site: Site):
    with pytest.raises(BadRequest, match="pattern"):
        protect(site.first, tag="[")
    with pytest.raises(ProjectUnknown):
        protect(999_999)
    rule = protect(site.first)
    with pytest.raises(Conflict):
        protect(site.first, priority=7)
    other = protect(site.second)
    star, tag = Selector("doublestar", "repoMatches", "**"), Selector("doublestar", "matches", "v*")
    change = {"repository": star, "tag": tag, "is_disabled": True}
    with pytest.raises(NotFound):
        immutability.update_rule(project_id=site.first, rule_id=other, **change)
    with pytest.raises(NotFound):
        immutability.delete_rule(project_id=site.first, rule_id=other)
    second = protect(site.first, tag="x")
    with pytest.raises(Conflict):
        immutability.update_rule(project_id=site.first, rule_id=second, **change)
    immutability.update_rule(project_id=site.first, rule_id=rule, **change)
    rules, total = immutability.list_rules(site.first)
    assert ([one.id for one in rules], rules[0].is_disabled, total) == ([rule, second], True, 2)
    immutability.delete_rule(project_id=site.first, rule_id=rule)
    assert ImmutableRule.objects.filter(project_id=site.first).count() == 1


def test_another_process_follows_within_the_bound(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.push(b"a", "v1")
    seconds = [1000.0]
    monkeypatch.setattr(immutability._cache, "_clock", lambda: seconds[0])
    site.push(b"b", "v1")  # this process remembers that there is no rule
    monkeypatch.setattr(immutability, "forget_rules", lambda: None)  # what happens elsewhere
    protect(site.first)
    seconds[0] += immutability.STALENESS_SECONDS - 0.1
    last = site.push(b"c", "v1")
    seconds[0] += 0.2
    with pytest.raises(TagImmutable):
        site.push(b"d", "v1")
    assert site.tag("v1") == last
