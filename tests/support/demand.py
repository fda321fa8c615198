"""An image that many pull."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.support.client import RegistryClient
from tests.support.harm import eventually

PULLS = 20
"""So many by each of them before anybody looks."""


@contextmanager
def in_demand(clients: Sequence[RegistryClient], repository: str, reference: str) -> Iterator[Callable[[], set[int]]]:
    """Somebody pulls it all the time on every machine, so that readers have it in mind; yields a look at what each of
    them, asked often, answers now."""
    ended, pulls = threading.Event(), Counter[int]()

    def pull(number: int, client: RegistryClient) -> None:
        while not ended.is_set():
            client.head_manifest(repository, reference)
            pulls[number] += 1

    pulling = [client.clone() for client in clients for _ in range(2)]
    threads = [threading.Thread(target=pull, args=each) for each in enumerate(pulling)]
    for thread in threads:
        thread.start()
    try:
        lookers = [client.clone() for client in clients for _ in range(4)]  # connections to several processes
        assert {looker.head_manifest(repository, reference).status_code for looker in lookers} == {200}
        eventually(lambda: all(pulls[number] >= PULLS for number in range(len(pulling))))
        yield lambda: {looker.head_manifest(repository, reference).status_code for looker in lookers}
    finally:
        ended.set()
        for thread in threads:
            thread.join()
