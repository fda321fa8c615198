"""kill -9 of the registry's workers: pulls older than one flush interval are counted, by all workers together, once."""

import time

from haven_registry.services.pull_settling import FLUSH_SECONDS
from tests.support.client import expect
from tests.support.harm import HarmedStack, eventually, kill
from tests.support.oci import random_image

KEPT, AT_RISK = 40, 10


def test_a_killed_worker_loses_one_interval_at_most(stack: HarmedStack, repository: str) -> None:
    client = stack.client()
    client.push(repository, random_image(), "v1")
    for _ in range(KEPT):
        expect(client.get_manifest(repository, "v1"), 200)
    time.sleep(FLUSH_SECONDS + 0.5)
    for _ in range(AT_RISK):
        expect(client.get_manifest(repository, "v1"), 200)
    kill(stack.workers_of("registry"))
    stack.wait_running()
    project, _, name = repository.partition("/")
    path = f"/projects/{project}/repositories/{name}"

    def counted() -> int:
        return int(stack.api("GET", path).json()["pull_count"])

    eventually(lambda: counted() >= KEPT, 40, pause=0.3)
    time.sleep(FLUSH_SECONDS)
    assert KEPT <= counted() <= KEPT + AT_RISK
    stack.assert_settled()
