"""kill -9 of an upload's worker at each step of a PUT: the step is a system call, and the process dies as it enters it.

test_killed_processes kills at random moments, many times; here is each moment once, so that none is missed.
"""

import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.client import RegistryClient, expect, location_of
from tests.support.harm import HarmedStack, eventually, is_running
from tests.support.oci import random_blob, random_image
from tests.support.tools import requires

pytestmark = requires("strace")

# call, the how many-th of the request's thread, whether the blob or manifest is there afterwards
PUT_BLOB = {
    "the bytes are not durable": ("fsync", 1, False),
    "the bytes are not published": ("rename", 1, False),
    "published, the folder not durable": ("fsync", 2, False),
    "the transaction begins to be written": ("pwrite64", 1, False),
    "committed, not durable": ("fdatasync", 1, True),
    "committed, not answered": ("writev", 1, True),
}
PUT_MANIFEST = {
    "the transaction begins to be written": ("pwrite64", 1, False),
    "committed, not durable": ("fdatasync", 1, True),
    "committed, not answered": ("writev", 1, True),
}


@contextmanager
def killing(stack: HarmedStack, call: str, when: int) -> Iterator[None]:
    """While the block runs, the first worker that enters this call for the `when`-th time is killed; one must be."""
    pids = stack.workers_of("uploads")
    targets = [word for pid in pids for word in ("-p", str(pid))]
    inject = f"inject={call}:signal=SIGKILL:when={when}"
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", f"trace={call}", "-e", inject, "-o", "/dev/null", *targets],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    try:
        for _ in pids:
            line = tracer.stderr.readline()
            if "attached" not in line:
                pytest.skip(f"strace can't attach to a process here: {line.strip()}")
        time.sleep(0.2)
        yield
        eventually(lambda: not all(is_running(pid) for pid in pids))
    finally:
        tracer.kill()  # asked to end it may wait for ever for the threads of who was killed; so the kernel lets them go
        tracer.communicate(timeout=10)


def settled_workers(stack: HarmedStack) -> None:
    """A server whose worker dies within seconds of its start gives up and is started anew; wait for either."""
    eventually(lambda: len(stack.workers_of("uploads")) >= 2, 60)


def _steps(steps: Iterable[str]) -> list[Any]:
    """Those that resemble another are for the long run."""
    resembling = ("the bytes are not durable", "committed, not durable")
    return [pytest.param(step, marks=[pytest.mark.long] if step in resembling else []) for step in steps]


@pytest.mark.parametrize("step", _steps(PUT_BLOB))
def test_killed_in_the_put_of_a_blob(stack: HarmedStack, repository: str, step: str) -> None:
    """Not acknowledged, so it may be there or not, but never in part; and the same PUT again succeeds."""
    call, when, is_there = PUT_BLOB[step]
    settled_workers(stack)
    client = stack.client()
    client.push_blob(repository, random_blob())  # folders are made
    blob = random_blob(300_000)
    # a token to look with is known, too: what gives them is what is killed
    assert client.head_blob(repository, blob.digest).status_code == 404
    location = location_of(expect(client.start_upload(repository), 202))
    with killing(stack, call, when):
        assert client.finish_upload(location, blob.digest, blob.data).status_code == 503
    assert client.head_blob(repository, blob.digest).status_code == (200 if is_there else 404)
    assert client.get_blob(repository, blob.digest).status_code == (200 if is_there else 404)

    answers: list[int] = []

    def repeated() -> bool:
        answers.append(client.finish_upload(location, blob.digest, blob.data).status_code)
        return answers[-1] == 201

    eventually(repeated, 60)
    assert set(answers) <= {201, 503}
    assert expect(client.get_blob(repository, blob.digest), 200).content == blob.data
    stack.assert_settled("leftovers")


@pytest.mark.parametrize("step", _steps(PUT_MANIFEST))
def test_killed_in_the_put_of_a_manifest(stack: HarmedStack, repository: str, step: str) -> None:
    """The tag means the old manifest or the new one, whole."""
    call, when, is_there = PUT_MANIFEST[step]
    settled_workers(stack)
    client = stack.client()
    old, new = random_image(), random_image()
    client.push(repository, old, "moving")
    for blob in new.all_blobs():
        client.push_blob(repository, blob)
    client.pull(repository, "moving")  # the token to look with is known
    with killing(stack, call, when):
        assert client.put_manifest(repository, new, "moving").status_code == 503
    assert client.pull(repository, "moving").payload == (new if is_there else old).payload
    assert client.get_manifest(repository, new.digest).status_code == (200 if is_there else 404)

    eventually(lambda: _puts(client, repository, new), 60)
    assert client.pull(repository, "moving").payload == new.payload
    assert client.pull(repository, old.digest).payload == old.payload
    stack.assert_settled()


def _puts(client: RegistryClient, repository: str, manifest: object) -> bool:
    return client.put_manifest(repository, manifest, "moving").status_code == 201  # type: ignore[arg-type]
