"""Several requests on one session, and several sessions for one blob, at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check, check_created, check_session, session_of
from tests.api.v2.raw import Wire, request_bytes
from tests.api.v2.test_uploads import begin, begin_recorded, holds
from tests.support.client import RegistryClient, expect
from tests.support.oci import Blob, random_blob
from tests.support.stack import HavenServer


@pytest.mark.parametrize("start", [begin, begin_recorded], ids=["first", "later"])
def test_two_patches_at_once_never_mix(
    client: RegistryClient, haven: HavenServer, backstage: Backstage, repository: str,
    start: Callable[[RegistryClient, str], str],
) -> None:  # fmt: skip
    location = start(client, repository)
    path = location.removeprefix(haven.url)
    token = "Bearer " + backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull", "push"])]))
    with Wire(haven.host_port) as slow:
        head = request_bytes(haven, "PATCH", path, "Content-Length: 2000", authorization=token)
        slow.send(head + b"a" * 1000)
        time.sleep(0.5)
        quick = client.patch(location, b"b" * 2000)
        slow.send(b"a" * 1000)
        late = slow.receive("PATCH")
    assert sorted((quick.status_code, late.status)) == [202, 416]
    if quick.status_code == 416:
        check(quick, 416, "RANGE_INVALID")
        assert session_of(quick.headers["Location"]) in location
    winner = b"b" if quick.status_code == 202 else b"a"
    check_session(client.upload_status(location), 204, repository, 2000)
    blob = Blob(winner * 2000)
    check_created(client.finish_upload(location, blob.digest), repository, blob.digest)


def warm_clients(haven: HavenServer, repository: str, number: int) -> list[RegistryClient]:
    """Each with its token, so that their next requests arrive together."""
    found = [haven.client() for _ in range(number)]
    for client in found:
        expect(client.start_upload(repository), 202)
    return found


def test_bytes_of_a_request_that_lost_are_never_published(
    haven: HavenServer, client: RegistryClient, repository: str
) -> None:
    """Both read the session at its start; one's hash is recorded, the other still writes to the same file."""
    rivals = warm_clients(haven, repository, 4)

    def race() -> None:
        location = begin(client, repository)
        blobs = [random_blob(100_000) for _ in rivals]
        with ThreadPoolExecutor(len(rivals)) as pool:
            answers = list(pool.map(lambda c, b: c.patch(location, b.data), rivals, blobs))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {202, 416}
        winners = [blob for blob, status in zip(blobs, statuses, strict=True) if status == 202]
        if len(winners) == 1:
            check_created(client.finish_upload(location, winners[0].digest), repository, winners[0].digest)
            assert holds(client, repository, winners[0])
        else:  # one after the other: each appended what it brought
            check_session(client.upload_status(location), 204, repository, 100_000 * len(winners))

    for _ in range(25):
        race()


def test_the_same_put_twice_at_once(haven: HavenServer, client: RegistryClient, repository: str) -> None:
    """A client that gave up waiting and began again."""
    twins = warm_clients(haven, repository, 3)

    def race() -> None:
        location, blob = begin(client, repository), random_blob(50_000)
        with ThreadPoolExecutor(len(twins)) as pool:
            answers = list(pool.map(lambda c: c.finish_upload(location, blob.digest, blob.data), twins))
        statuses = {answer.status_code for answer in answers}
        assert 201 in statuses
        assert statuses <= {201, 416}
        check_created(client.finish_upload(location, blob.digest, blob.data), repository, blob.digest)
        assert holds(client, repository, blob)

    for _ in range(10):
        race()


def test_the_same_blob_from_several_clients_at_once(haven: HavenServer, project: str, repository: str) -> None:
    blob = random_blob(200_000)
    answers: list[int] = []

    def push() -> None:
        answers.append(haven.client().push_blob(repository, blob).status_code)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 4
    assert holds(haven.client(), repository, blob)
