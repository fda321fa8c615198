"""Upload sessions (distribution-spec end-4, end-5, end-6, end-13, end-14)."""

from __future__ import annotations

import re
import time
import uuid

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check, check_created, check_resumable, check_session
from tests.api.v2.conftest import DEVELOPER, Person
from tests.api.v2.raw import Wire, request_bytes
from tests.support.client import PUSH_METHODS, PushMethod, RegistryClient, expect, location_of, pieces
from tests.support.oci import EMPTY_BLOB, Blob, absent_digest, digest_of, random_blob
from tests.support.stack import HavenServer

DATA = bytes(range(256)) * 40
HALF = len(DATA) // 2
DIGEST = digest_of(DATA)


def begin(client: RegistryClient, repository: str, **parameters: str) -> str:
    return location_of(check_session(client.start_upload(repository, **parameters), 202, repository, 0))


def begin_recorded(client: RegistryClient, repository: str) -> str:
    """A session that is in the database without a byte: its first chunk was empty."""
    return location_of(check_session(client.patch(begin(client, repository), b""), 202, repository, 0))


def holds(client: RegistryClient, repository: str, blob: Blob) -> bool:
    answer = client.get_blob(repository, blob.digest)
    assert answer.status_code in (200, 404)
    return answer.status_code == 200 and answer.content == blob.data


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [DATA, b"{}", b""], ids=["some", "json", "empty"])
@pytest.mark.parametrize("method", PUSH_METHODS)
def test_every_way_to_push(
    client: RegistryClient, repository: str, method: PushMethod, data: bytes, algorithm: str
) -> None:
    blob = Blob(data, algorithm=algorithm)
    answer = client.push_blob(repository, blob, method)
    check_created(answer, repository, blob.digest)
    assert client.head_blob(repository, blob.digest).headers["Content-Length"] == str(len(data))
    assert holds(client, repository, blob)


def test_post_without_the_slash_opens_a_session_too(client: RegistryClient, repository: str) -> None:
    check_session(client.request("POST", f"/v2/{repository}/blobs/uploads"), 202, repository, 0)


def test_post_takes_json_and_unknown_parameters(client: RegistryClient, repository: str) -> None:
    answer = client.request(
        "POST",
        f"/v2/{repository}/blobs/uploads/",
        headers={"Content-Type": "application/json"},
        params={"origin": "elsewhere.example", "ns": "docker.io"},
    )
    check_session(answer, 202, repository, 0)


def test_post_with_the_whole_blob_and_a_wrong_digest_stores_nothing(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    begin_recorded(client, repository)  # the repository exists
    with backstage.nothing_stored(project):
        check(client.post_blob(repository, absent_digest(), DATA), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("digest", ["sha256:short", "sha256:" + "A" * 64, "md5:" + "0" * 32, "nodigest", "sha256:"])
def test_post_with_an_impossible_digest_opens_nothing(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, digest: str
) -> None:
    with backstage.nothing_stored(project):
        check(client.post_blob(repository, digest, DATA), 400, "DIGEST_INVALID")


def test_post_with_the_whole_blob_leaves_no_session_behind(
    client: RegistryClient, haven: HavenServer, backstage: Backstage, project: str, repository: str
) -> None:
    """Its client knows no address where it could go on."""
    begin_recorded(client, repository)
    with backstage.nothing_stored(project):
        path, parameters = f"/v2/{repository}/blobs/uploads/", {"digest": DIGEST}
        headers = {"Content-Range": "garbage"}
        check(client.request("POST", path, params=parameters, headers=headers, data=DATA), 416, "RANGE_INVALID")
        with Wire(haven.host_port) as wire:
            head = request_bytes(haven, "POST", f"{path}?digest={DIGEST}", f"Content-Length: {len(DATA)}")
            wire.send(head + DATA[:100])
            time.sleep(0.3)
        for _ in range(20):
            if backstage.contents(project)["sessions"] == 1:
                break
            time.sleep(0.1)


def test_digest_algorithm_hint(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    blob = Blob(DATA, algorithm="sha512")
    location = begin(client, repository, **{"digest-algorithm": "sha512"})
    location = location_of(check_session(client.patch(location, DATA), 202, repository, len(DATA)))
    check_created(client.finish_upload(location, blob.digest), repository, blob.digest)
    with backstage.nothing_stored(project):
        answer = client.start_upload(repository, **{"digest-algorithm": "md5"})
        check(answer, 400, "DIGEST_INVALID")


def test_the_hint_does_not_bind(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository, **{"digest-algorithm": "sha512"})
    client.patch(location, DATA)
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)


def test_status_of_a_session(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    check_session(client.upload_status(location), 204, repository, 0)
    check_session(client.patch(location, DATA[:HALF]), 202, repository, HALF)
    check_session(client.upload_status(location), 204, repository, HALF)
    head = client.request("HEAD", location)
    assert (head.status_code, head.headers["Range"]) == (204, f"0-{HALF - 1}")
    assert "Content-Length" not in head.headers


def test_patches_without_content_range_append(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    check_session(client.patch(location, pieces(DATA[:HALF], 1000)), 202, repository, HALF)
    check_session(client.patch(location, pieces(DATA[HALF:], 1000)), 202, repository, len(DATA))
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)
    assert client.get_blob(repository, DIGEST).content == DATA


def test_empty_patch(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    check_session(client.patch(location, b""), 202, repository, 0)
    check_created(client.finish_upload(location, EMPTY_BLOB.digest), repository, EMPTY_BLOB.digest)


@pytest.mark.parametrize("spelling", ["{}-{}", "bytes {}-{}", "bytes={}-{}", "bytes {}-{}/*", "{}-{}/10240"])
@pytest.mark.parametrize("streamed", [False, True], ids=["length", "chunked"])
def test_content_range_spellings(client: RegistryClient, repository: str, spelling: str, streamed: bool) -> None:
    location = begin(client, repository)

    def body(part: bytes) -> object:
        return pieces(part, 999) if streamed else part

    first = client.patch(location, body(DATA[:HALF]), spelling.format(0, HALF - 1))  # type: ignore[arg-type]
    check_session(first, 202, repository, HALF)
    second = client.patch(location, body(DATA[HALF:]), spelling.format(HALF, len(DATA) - 1))  # type: ignore[arg-type]
    check_session(second, 202, repository, len(DATA))
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)


@pytest.mark.parametrize("text", ["garbage", "5-", "-5", "9-5", "0-x", "1-2-3", "99999999999999999999-1"])
def test_unreadable_content_range(client: RegistryClient, repository: str, text: str) -> None:
    location = begin(client, repository)
    client.patch(location, DATA[:10])
    check_resumable(client.patch(location, DATA[10:20], text), 10)
    check_session(client.upload_status(location), 204, repository, 10)


def test_chunk_out_of_order_is_refused_and_the_session_goes_on(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    check_resumable(client.patch(location, DATA[5:10], "5-9"), 0)
    check_session(client.upload_status(location), 204, repository, 0)
    check_session(client.patch(location, DATA[:HALF], f"0-{HALF - 1}"), 202, repository, HALF)
    check_resumable(client.patch(location, DATA[:HALF], f"0-{HALF - 1}"), HALF)  # repeated
    check_resumable(client.patch(location, DATA[HALF + 1 :], f"{HALF + 1}-{len(DATA) - 1}"), HALF)  # a gap
    out_of_order = client.finish_upload(location, DIGEST, DATA[HALF + 1 :], f"{HALF + 1}-{len(DATA) - 1}")
    check_resumable(out_of_order, HALF)
    check_session(client.upload_status(location), 204, repository, HALF)
    done = client.finish_upload(location, DIGEST, DATA[HALF:], f"{HALF}-{len(DATA) - 1}")
    check_created(done, repository, DIGEST)
    assert client.get_blob(repository, DIGEST).content == DATA


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_length_and_content_range_must_agree(client: RegistryClient, repository: str, verb: str) -> None:
    location = begin(client, repository)
    headers = {"Content-Range": "0-9"}
    parameters = {"digest": DIGEST} if verb == "PUT" else {}
    for body in (DATA[:9], DATA[:11]):
        answer = client.request(verb, location, headers=headers, data=body, params=parameters)
        check(answer, 400, "SIZE_INVALID")
    check_session(client.upload_status(location), 204, repository, 0)


def test_a_chunked_body_longer_than_its_content_range_is_refused_whole(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    client.head_blob(repository, DIGEST)
    check(client.patch(location, pieces(DATA[:11], 4), "0-9"), 400, "SIZE_INVALID")
    check_session(client.upload_status(location), 204, repository, 0)


def test_put_without_a_digest_keeps_the_session(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    client.patch(location, DATA)
    for digest in (None, "", "sha256:abc", "md5:" + "0" * 32, f"{DIGEST} ", f"{DIGEST}\n", DIGEST.upper()):
        check(client.finish_upload(location, digest), 400, "DIGEST_INVALID")
        check_session(client.upload_status(location), 204, repository, len(DATA))
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("in_put", [True, False], ids=["put", "patch"])
def test_a_wrong_digest_ends_the_session(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, in_put: bool, algorithm: str
) -> None:
    location = begin_recorded(client, repository)
    if not in_put:
        client.patch(location, DATA)
    wrong = absent_digest(algorithm)
    with backstage.nothing_stored(project, sessions=-1):
        check(client.finish_upload(location, wrong, DATA if in_put else b""), 400, "DIGEST_INVALID")
        check(client.head_blob(repository, wrong), 404)
        check(client.head_blob(repository, DIGEST), 404)
    check(client.upload_status(location), 404, "BLOB_UPLOAD_UNKNOWN")
    check(client.patch(location, DATA), 404, "BLOB_UPLOAD_UNKNOWN")
    check(client.finish_upload(location, DIGEST, DATA), 404, "BLOB_UPLOAD_UNKNOWN")


def test_put_repeated_after_success(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    location = begin(client, repository)
    check_created(client.finish_upload(location, DIGEST, DATA), repository, DIGEST)
    with backstage.nothing_stored(project):
        check_created(client.finish_upload(location, DIGEST, DATA), repository, DIGEST)
        check_created(client.finish_upload(location, DIGEST), repository, DIGEST)
        check(client.finish_upload(location, absent_digest(), DATA), 404, "BLOB_UPLOAD_UNKNOWN")
        check(client.patch(location, DATA), 404, "BLOB_UPLOAD_UNKNOWN")
        check(client.upload_status(location), 404, "BLOB_UPLOAD_UNKNOWN")
        check(client.cancel_upload(location), 404, "BLOB_UPLOAD_UNKNOWN")


def test_cancel(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    location = begin(client, repository)
    client.patch(location, DATA)
    with backstage.nothing_stored(project, sessions=-1):
        answer = check(client.cancel_upload(location), 204)
        assert "Content-Length" not in answer.headers
        for again in (
            client.cancel_upload(location),
            client.upload_status(location),
            client.patch(location, DATA),
            client.finish_upload(location, DIGEST, DATA),
        ):
            check(again, 404, "BLOB_UPLOAD_UNKNOWN")
    check(client.head_blob(repository, DIGEST), 404)


def test_cancelling_needs_push_only(backstage: Backstage, alice: Person, project: str, repository: str) -> None:
    backstage.member(project, alice.name, DEVELOPER)
    check(alice.client.cancel_upload(begin(alice.client, repository)), 204)


def test_another_person_cannot_touch_a_session(
    client: RegistryClient, backstage: Backstage, alice: Person, project: str, repository: str
) -> None:
    backstage.member(project, alice.name, DEVELOPER)  # may push to this very repository
    location = begin(client, repository)
    client.patch(location, DATA[:HALF])
    thief = alice.client
    with backstage.nothing_stored(project):
        for stolen in (
            thief.upload_status(location),
            thief.patch(location, DATA[HALF:]),
            thief.finish_upload(location, digest_of(DATA[:HALF])),
            thief.cancel_upload(location),
        ):
            check(stolen, 404, "BLOB_UPLOAD_UNKNOWN")
    check_session(client.upload_status(location), 204, repository, HALF)


def test_a_session_belongs_to_its_repository(client: RegistryClient, project: str, repository: str) -> None:
    location = begin(client, repository)
    begin(client, f"{project}/other")
    moved = location.replace(f"/{repository}/", f"/{project}/other/")
    check(client.upload_status(moved), 404, "BLOB_UPLOAD_UNKNOWN")
    check(client.finish_upload(moved, DIGEST, DATA), 404, "BLOB_UPLOAD_UNKNOWN")
    check_session(client.upload_status(location), 204, repository, 0)


@pytest.mark.parametrize("mangle", [str.upper, lambda text: text.replace("-", ""), lambda text: f"{{{text}}}"])
def test_a_session_has_one_spelling(client: RegistryClient, repository: str, mangle) -> None:  # type: ignore[no-untyped-def]
    head, _, upload = begin(client, repository).rpartition("/")
    check(client.upload_status(f"{head}/{mangle(upload)}"), 404, "BLOB_UPLOAD_UNKNOWN")


def test_an_unknown_session(client: RegistryClient, repository: str) -> None:
    for upload in (str(uuid.uuid4()), "nothing", "..", "%00", "0"):
        answer = client.request("PATCH", f"/v2/{repository}/blobs/uploads/{upload}", data=DATA)
        assert answer.status_code in (400, 404), (upload, answer.status_code)


def test_location_keeps_working_with_parameters_of_the_client(client: RegistryClient, repository: str) -> None:
    location = begin(client, repository)
    answer = client.request("PUT", f"{location}?_state=abc&digest={DIGEST}&ns=docker.io", data=DATA)
    check_created(answer, repository, DIGEST)


def test_a_body_that_ends_early_keeps_what_came(client: RegistryClient, haven: HavenServer, repository: str) -> None:
    location = begin(client, repository)
    path = location.removeprefix(haven.url)
    with Wire(haven.host_port) as wire:
        wire.send(request_bytes(haven, "PATCH", path, "Content-Length: 1000", body=DATA[:600]))
        time.sleep(0.2)
    received = settled(client, location)
    assert received in (0, 600)  # durable or not, but never something else
    check_session(client.patch(location, DATA[received:], f"{received}-{len(DATA) - 1}"), 202, repository, len(DATA))
    check_created(client.finish_upload(location, DIGEST), repository, DIGEST)


def settled(client: RegistryClient, location: str) -> int:
    """The offset once the broken request has ended on the server's side too."""
    seen = -1
    for _ in range(20):
        text = expect(client.upload_status(location), 204).headers["Range"]
        received = 0 if text == "0-0" else int(text[2:]) + 1
        if received == seen and received:
            return received
        seen = received
        time.sleep(0.1)
    return seen


def test_an_upload_over_quota_is_denied_and_leaves_nothing(
    haven: HavenServer, client: RegistryClient, backstage: Backstage
) -> None:
    project = f"q{uuid.uuid4().hex[:10]}"
    body = {"project_name": project, "storage_limit": 1000, "metadata": {"public": "false"}}
    assert haven.api("POST", "/projects", json=body).status_code == 201
    repository = f"{project}/app"
    begin_recorded(client, repository)
    with backstage.nothing_stored(project, sessions=1):
        location = begin_recorded(client, repository)
        answer = check(client.finish_upload(location, DIGEST, DATA), 403, "DENIED")
        [error] = answer.json()["errors"]
        assert re.fullmatch(
            r"adding [0-9.]+ [KM]?i?B of storage resource, which when updated to current usage of 0 B "
            r"will exceed the configured upper limit of 1000 B",
            error["message"],
        )
        begin_recorded(client, repository)
        check(client.head_blob(repository, DIGEST), 404)
        check(client.post_blob(repository, DIGEST, DATA), 403, "DENIED")
    small = random_blob(900)
    check_created(client.push_blob(repository, small), repository, small.digest)


def test_large_layer_in_one_put_and_in_one_stream(client: RegistryClient, repository: str) -> None:
    for method in ("post-put", "stream"):
        blob = random_blob(9 * 1024 * 1024 + 17)  # beyond the gateway's limit for other bodies
        check_created(client.push_blob(repository, blob, method), repository, blob.digest)  # type: ignore[arg-type]
        assert holds(client, repository, blob)
