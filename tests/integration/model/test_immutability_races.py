"""Two at once and an immutable tag. On PostgreSQL only (conftest): SQLite's test database has one connection."""

import threading
from collections.abc import Callable

import pytest
from django.db import connections

from haven_core.domain.selectors import Selector
from haven_core.errors import HavenError, TagImmutable
from haven_core.policies import immutability
from haven_registry.models import TagHistory
from haven_registry.services import repositories
from tests.support.documents import digest_of, image
from tests.support.site import Site


def protect(project_id: int) -> None:
    immutability.create_rule(
        project_id=project_id,
        repository=Selector("doublestar", "repoMatches", "**"),
        tag=Selector("doublestar", "matches", "v*"),
    )


def _at_once(actions: list[Callable[[], object]]) -> list[object]:
    """Run all in threads of their own; what each returned or raised."""
    results: list[object] = [None] * len(actions)
    barrier = threading.Barrier(len(actions))

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = actions[number]()
        except HavenError as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.mark.parametrize("round_number", range(5))
def test_of_pushes_of_one_new_tag_at_once_one_wins(site: Site, round_number: int):
    protect(site.first)
    payloads = [image(site.upload(b"%d %d" % (number, round_number))) for number in range(6)]
    results = _at_once([lambda payload=payload: site.put(payload, "v1") for payload in payloads])
    won = [number for number, result in enumerate(results) if not isinstance(result, Exception)]
    assert len(won) == 1
    assert all(isinstance(result, TagImmutable) for number, result in enumerate(results) if number not in won)
    assert site.tag("v1") == digest_of(payloads[won[0]])
    assert TagHistory.objects.values_list("name", "reason").get() == ("v1", TagHistory.PUSHED)


@pytest.mark.parametrize("round_number", range(5))
def test_a_push_beside_the_delete_of_its_repository(site: Site, round_number: int):
    protect(site.first)
    payload = image(site.upload(b"%d" % round_number))
    pushed, deleted = _at_once(
        [lambda: site.put(payload, "v1"), lambda: repositories.delete_repository(site.repository)]
    )
    if isinstance(deleted, TagImmutable):
        assert site.tag("v1") == digest_of(payload)
    else:
        assert isinstance(pushed, Exception), "an immutable tag went with its repository"
