"""What an address of a session carries: it saves a look-up, and never decides what a look-up would have decided otherwise."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check, check_created, check_resumable, check_session, session_of, without_state
from tests.api.v2.raw import Wire, request_bytes
from tests.api.v2.test_uploads import DATA, DIGEST, HALF, begin, begin_recorded, holds
from tests.support.client import RegistryClient, expect, location_of
from tests.support.harm import eventually
from tests.support.oci import Blob, digest_of, random_image
from tests.support.stack import HavenServer


def state_of(location: str) -> str:
    return location.rpartition("/")[2].partition(".")[2]


def with_state(location: str, state: str) -> str:
    return f"{location.rpartition('/')[0]}/{session_of(location)}.{state}"


def patched(client: RegistryClient, location: str, data: bytes) -> str:
    answer = client.patch(location, data)
    assert answer.status_code == 202, answer.text
    return location_of(answer)


def test_each_answer_has_an_address_of_its_own(client: RegistryClient, repository: str) -> None:
    first = begin(client, repository)
    second = patched(client, first, DATA)
    assert session_of(first) == session_of(second)
    assert state_of(first) != state_of(second) != ""
    check_created(client.finish_upload(second, DIGEST), repository, DIGEST)
    check_created(client.finish_upload(second, DIGEST), repository, DIGEST)  # the answer was lost
    assert holds(client, repository, Blob(DATA))


def test_the_id_alone_will_do(client: RegistryClient, repository: str) -> None:
    location = without_state(begin_recorded(client, repository))
    check_session(client.patch(location, DATA), 202, repository, len(DATA))
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)


def test_a_chunk_to_the_first_address_goes_behind_the_others(client: RegistryClient, repository: str) -> None:
    first = begin(client, repository)
    second = patched(client, first, DATA[:HALF])
    patched(client, first, DATA[HALF:])
    check_resumable(client.patch(second, DATA[HALF:], f"{HALF}-{len(DATA) - 1}"), len(DATA))
    check_created(client.finish_upload(second, DIGEST), repository, DIGEST)
    assert holds(client, repository, Blob(DATA))


def test_an_end_by_an_older_address_cuts_nothing(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    """Its address says that the bytes have the digest, and they had it."""
    first = begin(client, repository)
    second = patched(client, first, DATA[:HALF])
    patched(client, second, DATA[HALF:])
    with backstage.nothing_stored(project, sessions=-1):
        check(client.finish_upload(second, digest_of(DATA[:HALF])), 400, "DIGEST_INVALID")
        check(client.finish_upload(second, DIGEST), 404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("number", range(3))
def test_a_cancelled_session_stays_cancelled(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, number: int
) -> None:
    addresses = [begin(client, repository)]
    addresses.append(patched(client, addresses[-1], DATA[:HALF]))
    addresses.append(patched(client, addresses[-1], DATA[HALF:]))
    with backstage.nothing_stored(project, sessions=-1):
        check(client.cancel_upload(addresses[0]), 204)
        check(client.patch(addresses[number], DATA), 404, "BLOB_UPLOAD_UNKNOWN")
        for digest in (DIGEST, digest_of(DATA[:HALF])):
            check(client.finish_upload(addresses[number], digest), 404, "BLOB_UPLOAD_UNKNOWN")
            check(client.finish_upload(addresses[number], digest, DATA), 404, "BLOB_UPLOAD_UNKNOWN")


def test_a_deleted_repository_takes_no_more_of_it(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, repository: str
) -> None:
    project, _, name = repository.partition("/")
    client.push(repository, random_image(1_000), "v1")
    fresh = begin_recorded(client, repository)
    full = patched(client, begin(client, repository), DATA)
    api = f"{haven.url}/api/v2.0/projects/{project}/repositories/{name}"
    expect(requests.delete(api, auth=(haven.admin_user, haven.admin_password), timeout=30), 200)
    with backstage.nothing_stored(project):
        for answer in (
            client.patch(fresh, DATA),
            client.patch(full, DATA),
            client.finish_upload(full, DIGEST),
            client.finish_upload(fresh, DIGEST, DATA),
        ):
            assert answer.status_code == 404, answer.text


def staged_in(haven: HavenServer) -> set[Path]:
    assert haven.data_dir is not None
    return set((haven.data_dir / "storage").rglob("*.upload"))


def test_bytes_for_a_session_that_is_gone_do_not_stay(
    haven: HavenServer, client: RegistryClient, repository: str
) -> None:
    location = begin(client, repository)
    check(client.cancel_upload(location), 204)
    before = staged_in(haven)
    broken = b"400\r\n" + DATA[:1024] + b"\r\nno chunk\r\n"
    with Wire(haven.host_port) as wire:
        path = location.removeprefix(haven.url)
        wire.send(request_bytes(haven, "PATCH", path, "Transfer-Encoding: chunked", body=broken))
        time.sleep(0.5)
    check(client.patch(location, DATA), 404, "BLOB_UPLOAD_UNKNOWN")
    eventually(lambda: staged_in(haven) <= before)


def break_off(haven: HavenServer, location: str) -> None:
    """A PATCH that ends after its headers, when the server has the staged file; returns when it has let go of it."""
    with Wire(haven.host_port) as wire:
        wire.send(request_bytes(haven, "PATCH", location.removeprefix(haven.url), "Content-Length: 10"))
        eventually(lambda: has_writer(haven))
    eventually(lambda: not has_writer(haven))


def has_writer(haven: HavenServer) -> bool:
    """Whether anybody holds the lock of a staged file; asked of the kernel, so as not to stand in a writer's way."""
    locked = {
        line.split()[5].rpartition(":")[2] for line in Path("/proc/locks").read_text().splitlines() if "FLOCK" in line
    }
    return any(str(path.stat().st_ino) in locked for path in staged_in(haven))


def test_a_body_that_never_came_changes_nothing(haven: HavenServer, client: RegistryClient, repository: str) -> None:
    """Where the first address still leads to nothing, and where the second still leads to everything."""
    location = begin_recorded(client, repository)
    break_off(haven, location)
    location = patched(client, location, DATA)
    break_off(haven, location)
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)


@pytest.mark.parametrize("way", ["first address", "last address", "id alone"])
def test_an_end_whose_server_died_before_it_said_so_is_repeated(
    haven: HavenServer, client: RegistryClient, repository: str, way: str
) -> None:
    """What a kill between the seal and the commit leaves: the bytes are at their key, the session is open."""
    before = staged_in(haven)
    first = begin(client, repository)
    last = patched(client, first, DATA)
    [staged] = staged_in(haven) - before
    staged.rename(staged.with_suffix(""))
    location = {"first address": first, "last address": last, "id alone": without_state(first)}[way]
    body = DATA if way == "first address" else b""
    check_created(client.finish_upload(location, DIGEST, body), repository, DIGEST)
    assert holds(client, repository, Blob(DATA))
    assert staged_in(haven) == before


def test_the_storage_and_who_else_has_the_bytes_is_not_told(client: RegistryClient, repository: str) -> None:
    location = patched(client, begin(client, repository), DATA)
    raw = base64.urlsafe_b64decode(state_of(location))
    assert b"blobs/" not in raw
    again = patched(client, begin(client, repository), DATA)
    assert len(state_of(again)) == len(state_of(location))


def flipped(state: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(state))
    raw[27] ^= 1  # within the version
    return base64.urlsafe_b64encode(raw).decode()


@pytest.mark.parametrize("forge", [flipped, lambda state: state[:-4], lambda _: "x", lambda _: "%21", lambda _: "...."])
def test_what_we_did_not_write_counts_for_nothing(
    client: RegistryClient, repository: str, forge: Callable[[str], str]
) -> None:
    location = begin_recorded(client, repository)
    forged = with_state(location, forge(state_of(location)))
    check_session(client.patch(forged, DATA), 202, repository, len(DATA))
    check_created(client.finish_upload(forged, DIGEST), repository, DIGEST)


def test_the_state_of_another_session_counts_for_nothing(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    full, empty = patched(client, begin(client, repository), DATA), begin_recorded(client, repository)
    with backstage.nothing_stored(project, sessions=-1):
        answer = client.finish_upload(with_state(empty, state_of(full)), DIGEST)
        check(answer, 400, "DIGEST_INVALID")
    check_created(client.finish_upload(full, DIGEST), repository, DIGEST)
