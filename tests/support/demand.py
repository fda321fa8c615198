"""An image that many pull."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.support.client import RegistryClient


@contextmanager
def in_demand(clients: Sequence[RegistryClient], repository: str, reference: str) -> Iterator[Callable[[], set[int]]]:
    """Somebody pulls it all the time on every machine, so that readers have it in mind; yields a look at what each of
    them, asked often, answers now."""
    ended = threading.Event()

    def pull(client: RegistryClient) -> None:
        while not ended.is_set():
            client.head_manifest(repository, reference)

    threads = [threading.Thread(target=pull, args=(client.clone(),)) for client in clients for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        lookers = [client.clone() for client in clients for _ in range(4)]  # connections to several processes
        assert {looker.head_manifest(repository, reference).status_code for looker in lookers} == {200}
        time.sleep(0.2)
        assert all(thread.is_alive() for thread in threads)
        yield lambda: {looker.head_manifest(repository, reference).status_code for looker in lookers}
    finally:
        ended.set()
        for thread in threads:
            thread.join()
