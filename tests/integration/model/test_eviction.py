"""What a push that lacks quota takes out of the trash: what was deleted first, whatever it is."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from haven_core.errors import QuotaExceeded
from haven_registry.models import Manifest, Repository
from haven_registry.services import room
from haven_registry.services.delete import delete_manifest
from haven_registry.services.repositories import delete_repository
from tests.integration.model.conftest import Clock
from tests.support.site import Site
from tests.support.statements import work_of

SIZE = 10_000


class Trash:
    """Things of SIZE bytes and a little, each deleted a minute after the one before."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site, self.clock = site, clock
        self.deletes: dict[str, Callable[[], None]] = {}
        self.digests: dict[str, str] = {}

    def artifact(self, name: str) -> None:
        digest = self.digests[name] = self.site.push(name.encode() * (SIZE // len(name)), name)
        self.deletes[name] = lambda: delete_manifest(repository_id=self.site.repository, digest=digest)

    def repository(self, name: str) -> None:
        repository_id = self.site.new_repository(self.site.first, name)
        self.site.push(name.encode() * (SIZE // len(name)), "t", repository=repository_id)
        self.deletes[name] = lambda: delete_repository(repository_id)

    def delete(self, *names: str) -> None:
        self.site.limit(self.site.used() + 1000)
        for name in names:
            self.deletes[name]()
            self.clock.advance(minutes=1)

    def restorable(self) -> set[str]:
        """Names of what has its window left."""
        now = self.clock.now()
        manifests = set(Manifest.objects.filter(purge_after__gt=now).values_list("digest", flat=True))
        repositories = set(Repository.objects.filter(purge_after__gt=now).values_list("name", flat=True))
        return repositories | {name for name, digest in self.digests.items() if digest in manifests}


@pytest.fixture
def trash(site: Site, clock: Clock) -> Trash:
    made = Trash(site, clock)
    for name in ("a1", "a2"):
        made.artifact(name)
    for name in ("r1", "r2"):
        made.repository(name)
    return made


@pytest.mark.parametrize(
    "order",
    [("r1", "a1", "r2", "a2"), ("a1", "r1", "a2", "r2"), ("r1", "r2", "a1", "a2"), ("a1", "a2", "r1", "r2")],
    ids="-".join,
)
def test_what_was_deleted_first_goes_first(site: Site, trash: Trash, order: tuple[str, ...]) -> None:
    trash.delete(*order)
    for number in range(1, 4):
        site.upload(bytes([number]) * (SIZE - 500))
        assert trash.restorable() == set(order[number:])


def test_what_nobody_can_restore_goes_before_all(site: Site, trash: Trash, clock: Clock) -> None:
    trash.delete("r1")
    clock.advance(days=8)
    trash.delete("a1", "r2")
    site.upload(b"z" * (SIZE - 500))
    assert trash.restorable() == {"a1", "r2"}


def test_trash_that_would_not_do_is_left_alone(site: Site, trash: Trash) -> None:
    trash.delete("r1", "a1")
    with pytest.raises(QuotaExceeded):
        site.upload(b"z" * SIZE * 3)
    assert trash.restorable() == {"r1", "a1"}


@pytest.mark.parametrize("number", [2, 20])
def test_a_step_costs_the_same_whatever_is_in_the_trash(site: Site, clock: Clock, number: int) -> None:
    trash = Trash(site, clock)
    for each in range(number):
        trash.artifact(f"a{each:03}")
        trash.repository(f"r{each:03}")
    trash.delete(*trash.deletes)
    with CaptureQueriesContext(connection) as captured:
        assert room._evict(site.first, 1)
    assert len(work_of(captured)) == 13
