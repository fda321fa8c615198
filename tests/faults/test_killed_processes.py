"""kill -9 of one process after another under pushing clients: what was acknowledged stays, what was not can be repeated."""

import itertools
import random
import time
from contextlib import suppress

import pytest

from tests.support.client import PUSH_METHODS, RegistryClient, expect, location_of, range_end
from tests.support.harm import HarmedStack, eventually, is_running, kill, seconds_old
from tests.support.ledger import Crowd, GaveUpError, Ledger, PatientClient
from tests.support.oci import Manifest, image, random_blob, random_image, random_layer
from tests.support.raw_http import RawRequest

MIB = 1024 * 1024
MANY, SETTLED = 10, 6.0
KILLS = [pytest.param(5, id="5"), pytest.param(40, id="40", marks=[pytest.mark.long, pytest.mark.timeout(1200)])]


def start_patch(stack: HarmedStack, client: RegistryClient, repository: str, **headers: str) -> tuple[str, RawRequest]:
    """A session, and a PATCH of it that has sent its head."""
    started = expect(client.start_upload(repository), 202)
    location = location_of(started)
    head = {"Authorization": started.request.headers["Authorization"], "Content-Type": "application/octet-stream"}
    path = location.removeprefix(stack.url)
    return location, RawRequest(stack.address, "PATCH", path, {**head, **headers})


def test_kill_during_a_patch_keeps_what_was_recorded(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """The session stands at its last checkpoint (64 MiB), says so, and goes on from there."""
    client = stack.client()
    blob = random_blob(80 * MIB, seed="killed patch")
    location, request = start_patch(stack, client, repository, **{"Transfer-Encoding": "chunked"})
    for start in range(0, 72 * MIB, MIB):
        request.send(blob.data[start : start + MIB])
    eventually(lambda: range_end(client.upload_status(location)) >= 64 * MIB - 1, 30)
    worker = stack.writer_of()
    assert worker is not None
    kill([worker])
    assert request.answer().status == 503
    request.close()

    eventually(lambda: client.upload_status(location).status_code == 204)
    offset = range_end(client.upload_status(location)) + 1
    assert 64 * MIB <= offset <= 72 * MIB
    assert client.head_blob(repository, blob.digest).status_code == 404
    rest = blob.data[offset:]
    location = location_of(expect(client.patch(location, rest, f"{offset}-{blob.size - 1}"), 202))
    expect(client.finish_upload(location, blob.digest), 201)
    ledger.blob(repository, blob)
    ledger.verify(client)
    stack.assert_clean()


def test_kill_before_the_first_checkpoint_loses_the_request_only(stack: HarmedStack, repository: str) -> None:
    client = stack.client()
    blob = random_blob(4 * MIB)
    location, request = start_patch(stack, client, repository, **{"Content-Length": str(blob.size)})
    request.send(blob.data[: 2 * MIB])
    eventually(lambda: stack.writer_of() is not None)
    worker = stack.writer_of()
    assert worker is not None
    kill([worker])
    assert request.answer().status == 503
    request.close()

    status = expect(client.upload_status(location), 204)
    assert status.headers["Range"] in ("0-0", "")  # nothing: the specification has no other word for it
    expect(client.patch(location, blob.data, f"0-{blob.size - 1}"), 202)
    expect(client.finish_upload(location, blob.digest), 201)
    assert expect(client.get_blob(repository, blob.digest), 200).content == blob.data
    stack.assert_settled()


@pytest.mark.parametrize("pool", ["uploads", "registry"])
@pytest.mark.parametrize("kills", KILLS)
def test_killed_workers_under_pushes(
    stack: HarmedStack, repository: str, ledger: Ledger, pool: str, kills: int
) -> None:
    """At random moments: in POST, PATCH, PUT, between rename and commit, in the manifest's PUT, in pulls."""
    crowd = _pushing_crowd(stack, repository, ledger, random_layer(300_000, seed=pool))
    _kill_again_and_again(stack, crowd, pool, kills)
    crowd.finish()

    _assert_nothing_lost(stack, repository, ledger)


def test_killed_gateway_under_pushes(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """Its workers, then its master, which the supervisor starts again."""
    crowd = _pushing_crowd(stack, repository, ledger, random_layer(300_000, seed="gateway"))
    moments = random.Random("gateway moments")
    for _ in range(4):
        time.sleep(moments.uniform(0.1, 0.4))
        kill([moments.choice(stack.workers_of("nginx"))])
    master = stack.pid_of("nginx")
    kill([master])
    eventually(lambda: stack.pid_of("nginx") != master, 30)
    stack.wait_running("nginx")
    time.sleep(moments.uniform(0.1, 0.4))
    crowd.finish()

    _assert_nothing_lost(stack, repository, ledger)


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_killed_stack_starts_again_with_everything(
    stack: HarmedStack, repository: str, ledger: Ledger, times: int
) -> None:
    """Supervisor, guardian and all at once, under pushes; a start needs no repair by hand."""
    for number in range(times):
        crowd = Crowd()
        for who in range(3):
            client = PatientClient(stack.client(timeout=10), ledger, attempts=1)

            def work(step: int, client: PatientClient = client, name: str = f"r{number}w{who}") -> None:
                with suppress(GaveUpError):  # the end is near
                    client.push(repository, random_image(200_000, layers=2), f"{name}-{step}", PUSH_METHODS[step % 5])

            crowd.add(work)
        acknowledged = len(ledger.tags)
        eventually(lambda acknowledged=acknowledged: len(ledger.tags) > acknowledged + 6, 30)  # type: ignore[misc]
        time.sleep(random.Random(number).uniform(0.0, 0.4))
        pids = stack.pids
        stack.kill_everything()
        crowd.finish()
        eventually(lambda pids=pids: not any(is_running(pid) for pid in pids))  # type: ignore[misc]
        stack.start()
        ledger.verify(stack.client())

    assert len(ledger.tags) > 6 * times
    stack.assert_settled("leftovers")


def test_tag_is_the_old_or_the_new_one(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """One tag moved between two manifests while the workers that move it are killed: never a tag to nothing."""
    first, second = random_image(), random_image()
    client = PatientClient(stack.client(), ledger)
    for manifest in (first, second):
        client.push(repository, manifest)
    client.push(repository, first, "moving")
    turns = itertools.cycle([second, first])
    seen: set[str] = set()

    def move(_: int) -> None:
        client.put(repository, next(turns), "moving")

    reader = PatientClient(stack.client(), Ledger())
    crowd = Crowd()
    crowd.add(move)
    crowd.add(lambda _: seen.add(reader.pull(repository, "moving").digest))
    _kill_again_and_again(stack, crowd, "uploads", 4)
    crowd.finish()

    assert seen <= {first.digest, second.digest}
    assert seen
    stack.wait_running()
    ledger.tags.clear()
    ledger.verify(stack.client())
    stack.assert_clean()


def _kill_again_and_again(stack: HarmedStack, crowd: Crowd, pool: str, kills: int) -> None:
    """One worker at a time, at a random moment, as soon as the clients got on since the last.

    A server gives up when a worker dies within 5.5 s of its start, and the supervisor waits longer and longer before it
    starts such a server again. A few kills may meet that, many keep clear of it.
    """
    moments = random.Random(f"{pool} {kills}")
    for _ in range(kills):
        rounds = crowd.rounds
        eventually(lambda rounds=rounds: crowd.errors or crowd.rounds > rounds + 1, 60)  # type: ignore[misc]
        if kills > MANY:
            eventually(lambda: any(seconds_old(pid) > SETTLED for pid in _workers(stack, pool)), 60)
        time.sleep(moments.uniform(0.0, 0.3))
        workers = [pid for pid in _workers(stack, pool) if kills <= MANY or seconds_old(pid) > SETTLED]
        if workers and not crowd.errors:
            kill([moments.choice(workers)])


def _pushing_crowd(stack: HarmedStack, repository: str, ledger: Ledger, shared: object) -> Crowd:
    """Three clients that push images with a layer in common, by every method, and pull them back."""
    crowd = Crowd()

    def add(who: int) -> None:
        client = PatientClient(stack.client(), ledger)

        def work(step: int) -> None:
            manifest: Manifest = image([shared, random_layer(60_000)])  # type: ignore[list-item]
            client.push(repository, manifest, f"w{who}-{step}", PUSH_METHODS[(who + step) % len(PUSH_METHODS)])
            assert client.pull(repository, f"w{who}-{step}").payload == manifest.payload

        crowd.add(work)

    for who in range(3):
        add(who)
    return crowd


def _assert_nothing_lost(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    stack.wait_running()
    client = stack.client()
    eventually(lambda: _may_pull(client, repository), 30)
    assert ledger.verify(client) > 10
    assert sorted(client.tags(repository)) == sorted(tag for _, tag in ledger.tags)
    stack.assert_settled("leftovers")
    ledger.verify(client)


def _may_pull(client: RegistryClient, repository: str) -> bool:
    """Get a token that lasts: what gives tokens was among the killed, and the gateway learns of it by asking."""
    client.forget_tokens()
    return client.list_tags(repository).status_code == 200


def _workers(stack: HarmedStack, name: str) -> list[int]:
    try:
        return stack.workers_of(name)
    except AssertionError:  # between its end and its new start
        return []
