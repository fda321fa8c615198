"""A session is told to its client before it is anywhere else, and recorded with its first bytes."""

from __future__ import annotations

import time
import uuid

import pytest
import requests

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import challenge_of, check, check_created, check_session, session_of, without_state
from tests.api.v2.conftest import DEVELOPER, Person
from tests.api.v2.raw import Wire, request_bytes
from tests.api.v2.test_session_addresses import patched, staged_in, state_of, with_state
from tests.api.v2.test_uploads import DATA, DIGEST, HALF, begin, begin_recorded, holds
from tests.support.client import RegistryClient, expect
from tests.support.harm import eventually
from tests.support.oci import Blob, digest_of, random_blob, random_image
from tests.support.stack import HavenServer

LONG = 3 * 1024 * 1024


def test_it_costs_nothing_until_its_first_bytes(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    with backstage.nothing_stored(project):
        location = begin(client, repository)
        check_session(client.upload_status(location), 204, repository, 0)
        check(client.request("HEAD", location), 204)
    begin_recorded(client, repository)
    with backstage.nothing_stored(project, sessions=1):
        second = patched(client, location, DATA[:HALF])
    third = patched(client, second, DATA[HALF:])
    assert session_of(location) == session_of(second) == session_of(third)
    check_created(client.finish_upload(third, DIGEST), repository, DIGEST)
    assert holds(client, repository, Blob(DATA))


@pytest.mark.parametrize("data", [b"", DATA, b"long" * 300_000], ids=["empty", "short", "long"])
def test_a_put_may_bring_everything_and_be_repeated(client: RegistryClient, repository: str, data: bytes) -> None:
    location, blob = begin(client, repository), Blob(data)
    for _ in range(2):
        check_created(client.finish_upload(location, blob.digest, data), repository, blob.digest)
    assert holds(client, repository, blob)


def test_a_refused_chunk_keeps_it(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, repository: str
) -> None:
    begin_recorded(client, repository)
    location, before = begin(client, repository), staged_in(haven)
    check(client.patch(location, DATA, "7-10246"), 416, "RANGE_INVALID")
    check(client.patch(location, iter([DATA]), "0-99"), 400, "SIZE_INVALID")
    with Wire(haven.host_port) as wire:
        broken = b"400\r\n" + DATA[:1024] + b"\r\nno chunk\r\n"
        path = location.removeprefix(haven.url)
        wire.send(request_bytes(haven, "PATCH", path, "Transfer-Encoding: chunked", body=broken))
        wire.receive("PATCH")
    assert len(staged_in(haven) - before) <= 1  # the one that the first refusal recorded has none
    check_session(client.upload_status(location), 204, repository, 0)
    check_created(client.finish_upload(location, DIGEST, DATA), repository, DIGEST)


def test_cancelled_it_stays_cancelled(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    begin_recorded(client, repository)
    location = begin(client, repository)
    with backstage.nothing_stored(project):
        check(client.cancel_upload(location), 204)
        for again in (
            client.upload_status(location),
            client.cancel_upload(location),
            client.patch(location, DATA),
            client.finish_upload(location, DIGEST, DATA),
            client.finish_upload(location, digest_of(b"")),
        ):
            check(again, 404, "BLOB_UPLOAD_UNKNOWN")


def test_nobody_else_has_it(
    client: RegistryClient, backstage: Backstage, alice: Person, project: str, repository: str
) -> None:
    backstage.member(project, alice.name, DEVELOPER)  # may push to this very repository
    begin_recorded(client, repository)
    location = begin(client, repository)
    elsewhere = location.replace(f"/{repository}/", f"/{project}/other/")
    another = with_state(begin(client, repository), state_of(location))
    made_up = f"{location.rpartition('/')[0]}/{uuid.uuid4()}.{state_of(location)}"
    with backstage.nothing_stored(project):
        for who, address in (
            (alice.client, location),
            (client, elsewhere),
            (client, another),
            (client, made_up),
            (client, without_state(location)),
        ):
            for answer in (
                who.upload_status(address),
                who.patch(address, DATA),
                who.finish_upload(address, DIGEST, DATA),
                who.cancel_upload(address),
            ):
                check(answer, 404, "BLOB_UPLOAD_UNKNOWN")
    check_session(client.upload_status(location), 204, repository, 0)


def test_a_token_that_had_ended_before_is_no_good(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    begun_at = int(time.time()) - 3600
    old = {"iat": begun_at, "nbf": begun_at, "exp": begun_at + 240}
    token = backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull", "push"])], **old))
    headers = {"Authorization": f"Bearer {token}"}
    location = begin(client, repository)
    with backstage.nothing_stored(project):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = client.request(method, location, headers=headers, data=DATA, params={"digest": DIGEST})
            assert challenge_of(answer)["error"] == "invalid_token"


def test_a_long_body_is_recorded_before_its_bytes(
    haven: HavenServer, client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    """So a process that is killed in the middle of it leaves nothing that the database does not know."""
    begin_recorded(client, repository)
    location, blob = begin(client, repository), random_blob(LONG)
    token = "Bearer " + backstage.sign(backstage.claims(haven.admin_user, [(repository, ["pull", "push"])]))
    sessions = backstage.contents(project)["sessions"]
    with Wire(haven.host_port) as wire:
        path = location.removeprefix(haven.url)
        wire.send(request_bytes(haven, "PATCH", path, f"Content-Length: {LONG}", authorization=token))
        wire.send(blob.data[: LONG // 2])
        eventually(lambda: backstage.contents(project)["sessions"] == sessions + 1)
        check(client.patch(location, DATA, f"0-{len(DATA) - 1}"), 416, "RANGE_INVALID")  # another is at it
        wire.send(blob.data[LONG // 2 :])
        assert wire.receive("PATCH").status == 202
    check_created(client.finish_upload(location, blob.digest), repository, blob.digest)
    assert holds(client, repository, blob)


def test_a_repository_deleted_meanwhile_is_made_anew(
    haven: HavenServer, client: RegistryClient, repository: str
) -> None:
    project, _, name = repository.partition("/")
    client.push(repository, random_image(1_000), "v1")
    location = begin(client, repository)
    api = f"{haven.url}/api/v2.0/projects/{project}/repositories/{name}"
    expect(requests.delete(api, auth=(haven.admin_user, haven.admin_password), timeout=30), 200)
    check_created(client.finish_upload(patched(client, location, DATA), DIGEST), repository, DIGEST)
    check(client.get_manifest(repository, "v1"), 404)


def test_a_project_deleted_meanwhile_takes_nothing(haven: HavenServer, client: RegistryClient) -> None:
    project = f"d{uuid.uuid4().hex[:10]}"
    assert haven.api("POST", "/projects", json={"project_name": project}).status_code == 201
    location, before = begin(client, f"{project}/app"), staged_in(haven)
    assert haven.api("DELETE", f"/projects/{project}").status_code == 200
    answer = client.patch(location, DATA)
    assert answer.status_code in (401, 404), answer.text
    assert staged_in(haven) <= before


def test_its_project_may_be_another_of_the_name(haven: HavenServer, client: RegistryClient) -> None:
    """The body was read when that turns out; it is not asked for again."""
    project = f"d{uuid.uuid4().hex[:10]}"
    assert haven.api("POST", "/projects", json={"project_name": project}).status_code == 201
    location = begin(client, f"{project}/app")
    assert haven.api("DELETE", f"/projects/{project}").status_code == 200
    assert haven.api("POST", "/projects", json={"project_name": project}).status_code == 201
    check_created(client.finish_upload(location, DIGEST, DATA), f"{project}/app", DIGEST)
