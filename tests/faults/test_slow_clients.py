"""Clients that trickle: they wait for themselves, nobody waits for them."""

import select
import threading
import time

import pytest

from tests.support.client import expect, location_of
from tests.support.harm import HarmedStack, rss_bytes
from tests.support.oci import random_blob, random_image
from tests.support.raw_http import RawRequest

SLOW = 100  # more than one process for uploads has threads, less than all of them have


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_slow_uploads_do_not_stop_a_push(stack: HarmedStack, repository: str, framing: str) -> None:
    """A hundred PATCHes of a byte a second, and a push through the middle of them."""
    client = stack.client()
    client.push(repository, random_image(200_000), "warm")
    head = {"Content-Length": "1000000"} if framing == "length" else {"Transfer-Encoding": "chunked"}
    requests, locations = [], []
    for _ in range(SLOW):
        started = expect(client.start_upload(repository), 202)
        locations.append(location_of(started))
        headers = {**head, "Authorization": started.request.headers["Authorization"]}
        requests.append(RawRequest(stack.address, "PATCH", locations[-1].removeprefix(stack.url), headers))
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(1.0):
            for request in requests:
                request.send(b"x")

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        time.sleep(1.5)
        begin = time.monotonic()
        client.push(repository, random_image(200_000), "fast")
        seconds = time.monotonic() - begin
        assert not select.select(requests, [], [], 0)[0], "none was answered: all are under way"
        largest = max(rss_bytes(pid) for pid in stack.workers_of("uploads"))
    finally:
        stop.set()
        thread.join()
        for request in requests:
            request.close()
    print(f"a push beside {SLOW} slow uploads: {seconds:.2f} s, largest worker {largest / 2**20:.0f} MiB")
    assert seconds < 5
    assert largest < 250 * 2**20
    assert client.pull(repository, "fast").blobs
    stack.assert_settled()


def test_slow_downloads_do_not_stop_a_pull(stack: HarmedStack, repository: str) -> None:
    """A hundred downloads that nobody reads from: the gateway holds them, no process of the application."""
    client = stack.client()
    blob = random_blob(8 * 2**20)
    client.push_blob(repository, blob)
    authorization = client.head_blob(repository, blob.digest).request.headers["Authorization"]
    path = f"/v2/{repository}/blobs/{blob.digest}"
    readers = [RawRequest(stack.address, "GET", path, {"Authorization": authorization}) for _ in range(SLOW)]
    for reader in readers:
        assert reader.answer().status == 200
    begin = time.monotonic()
    assert expect(client.get_blob(repository, blob.digest), 200).content == blob.data
    seconds = time.monotonic() - begin
    for reader in readers:
        reader.close()
    assert seconds < 5
