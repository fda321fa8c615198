"""The history of tags does not grow for ever."""

import pytest

from haven_core.configuration import services as settings
from haven_registry.models import TagHistory
from haven_registry.services import history
from haven_registry.services.delete import delete_manifest
from haven_registry.services.history import forget_old_history
from haven_registry.services.restore import restore_manifest
from haven_registry.services.tags import delete_tag, move_tag
from tests.integration.model.conftest import Clock
from tests.support.site import Site


def entries(name: str) -> list[tuple[str | None, str | None]]:
    return list(TagHistory.objects.filter(name=name).order_by("id").values_list("digest", "new_digest"))


def test_old_entries_go_and_the_newest_of_a_tag_stays(site: Site, clock: Clock) -> None:
    one, two = site.push(b"1", "v", "still", "gone"), site.push(b"2")
    for digest in (two, one, two):
        move_tag(repository_id=site.repository, name="v", digest=digest)
    delete_tag(repository_id=site.repository, name="gone")
    clock.advance(days=364)
    assert forget_old_history() == 0
    clock.advance(days=2)
    move_tag(repository_id=site.repository, name="late", digest=one)
    assert forget_old_history() == 5  # three of v, two of gone
    assert entries("v") == [(one, two)]
    assert entries("still") == [(None, one)]
    assert entries("gone") == []
    assert entries("late") == [(None, one)]
    assert forget_old_history() == 0


def test_what_is_restorable_keeps_its_history(site: Site, clock: Clock) -> None:
    settings.update({"tag_history_days": 1})
    digest = site.push(b"a", "v")
    delete_manifest(repository_id=site.repository, digest=digest)
    clock.advance(days=2)
    assert forget_old_history() == 1  # that it was pushed; not what its restore needs
    assert restore_manifest(repository_id=site.repository, digest=digest) == ["v"]
    clock.advance(days=30)
    assert forget_old_history() == 1
    assert entries("v") == [(None, digest)]


def test_zero_keeps_everything(site: Site, clock: Clock) -> None:
    settings.update({"tag_history_days": 0})
    site.push(b"1", "v")
    site.push(b"2", "v")
    clock.advance(days=36_500)
    assert forget_old_history() == 0
    assert len(entries("v")) == 2


def test_many_go_in_batches(site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BATCH", 2)
    monkeypatch.setattr(history, "BATCHES", 3)
    digests = [site.push(b"1"), site.push(b"2")]
    for number in range(10):
        move_tag(repository_id=site.repository, name="v", digest=digests[number % 2])
    clock.advance(days=400)
    assert [forget_old_history(), forget_old_history(), forget_old_history()] == [6, 3, 0]
