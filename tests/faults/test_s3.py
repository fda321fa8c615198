"""An object store that fails, stalls, hangs up and forgets to answer."""

import time

import pytest
import requests

from tests.faults.conftest import Remote
from tests.support.client import PUSH_METHODS, expect, location_of, range_end
from tests.support.fault_proxy import Fault
from tests.support.ledger import Crowd, Ledger, PatientClient
from tests.support.oci import random_blob, random_image

MIB = 2**20
BIG = 18 * MIB  # two full parts and a tail

# Each is got over by the driver's own attempts: the client notices nothing.
PASSING = {
    "server errors on parts": Fault(r"^PUT .*partNumber=", status=500, every=2),
    "slow down": Fault(r"^PUT ", status=503, every=3),
    "errors on complete": Fault(r"^POST .*uploadId=", status=500, times=2),
    "answer of complete lost": Fault(r"^POST .*uploadId=", cut_answer=0, times=1),
    "answer of a copy lost": Fault(r"^PUT .*/blobs/", cut_answer=0, times=1),
    "parts cut in the middle": Fault(r"^PUT .*partNumber=", cut_request=MIB, every=2),
    "tails cut in the middle": Fault(r"^PUT .*/staging/", cut_request=10_000, times=2),
    "head fails": Fault(r"^HEAD ", status=500, every=2),
    "stalled longer than the timeout": Fault(r"^PUT .*partNumber=1$", delay=6.0, times=1),
    "slow answers": Fault(r"", delay=0.3),
}


SLOW = ("parts cut in the middle", "answer of a copy lost", "stalled longer than the timeout", "slow answers")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.long] if n in SLOW else []) for n in PASSING])
def test_passing_fault_costs_no_push(remote: Remote, remote_repository: str, ledger: Ledger, name: str) -> None:
    client = PatientClient(remote.stack.client(), ledger, attempts=1)
    fault = PASSING[name]
    with remote.bucket.broken(fault):
        for size in (30_000, BIG):
            blob = random_blob(size)
            expect(client.client.push_blob(remote_repository, blob), 201)
            ledger.blob(remote_repository, blob)
    assert fault.done, f"the fault was met: {remote.bucket.requests[-20:]}"
    ledger.verify(remote.stack.client())
    if name == "answer of complete lost":
        remote.stack.assert_settled()


def test_store_away_is_503_and_the_session_stays(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """Nothing that was recorded is lost: when the store is back the upload goes on where it was."""
    client = remote.stack.client()
    blob = random_blob(BIG)
    half = 9 * MIB
    location = location_of(expect(client.start_upload(remote_repository), 202))
    location = location_of(expect(client.patch(location, blob.data[:half], f"0-{half - 1}"), 202))
    with remote.bucket.down():
        begin = time.monotonic()
        refused = client.patch(location, blob.data[half:], f"{half}-{blob.size - 1}")
        assert refused.status_code == 503
        assert refused.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert refused.headers["Retry-After"]
        assert time.monotonic() - begin < 30
        status = expect(client.upload_status(location), 204)
        assert range_end(status) == half - 1
        assert client.finish_upload(location, blob.digest).status_code in (400, 503)
    if client.upload_status(location).status_code == 204:
        expect(client.patch(location, blob.data[half:], f"{half}-{blob.size - 1}"), 202)
        expect(client.finish_upload(location, blob.digest), 201)
    else:  # the PUT named a digest these bytes don't have, which ends a session
        expect(client.push_blob(remote_repository, blob), 201)
    ledger.blob(remote_repository, blob)
    ledger.verify(client)
    remote.stack.assert_settled()


def test_store_away_at_the_last_step(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """All parts put together, but nobody can ask whether they are there: 503, and the same PUT succeeds later."""
    client = remote.stack.client()
    blob = random_blob(BIG)
    location = location_of(expect(client.start_upload(remote_repository), 202))
    location = location_of(expect(client.patch(location, blob.data), 202))
    with remote.bucket.broken(Fault(r"^HEAD ", status=503)):
        assert client.finish_upload(location, blob.digest).status_code == 503
        assert client.head_blob(remote_repository, blob.digest).status_code == 404
    expect(client.finish_upload(location, blob.digest), 201)
    expect(client.finish_upload(location, blob.digest), 201)  # again: a tombstone answers
    ledger.blob(remote_repository, blob)
    ledger.verify(client)
    remote.stack.assert_settled()


def test_truncated_download_is_never_a_clean_end(remote: Remote, remote_repository: str) -> None:
    client = remote.stack.client()
    blob = random_blob(2 * MIB)
    client.push_blob(remote_repository, blob)
    with remote.bucket.broken(Fault(r"^GET .*/blobs/", cut_answer=MIB)):
        answer = client.request("GET", f"/v2/{remote_repository}/blobs/{blob.digest}", stream=True)
        with pytest.raises(requests.RequestException):
            b"".join(answer.iter_content(65536))
        assert int(answer.headers["Content-Length"]) == blob.size
    assert expect(client.get_blob(remote_repository, blob.digest), 200).content == blob.data


def test_unreliable_store_under_pushes(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """Every eleventh request fails, every seventeenth answer is lost, every nineteenth body is cut."""
    crowd = Crowd()
    for who in range(2):
        client = PatientClient(remote.stack.client(), ledger)

        def work(step: int, client: PatientClient = client, who: int = who) -> None:
            manifest = random_image(200_000)
            method = PUSH_METHODS[(who + step) % len(PUSH_METHODS)]
            client.push(remote_repository, manifest, f"w{who}-{step}", method)

        crowd.add(work)
    faults = (
        Fault(r"", status=500, every=11),
        Fault(r"", cut_answer=0, every=17),
        Fault(r"^PUT", cut_request=500, every=19),
    )
    with remote.bucket.broken(*faults):
        time.sleep(2)
        crowd.finish()
    assert all(fault.done for fault in faults)
    assert ledger.verify(remote.stack.client()) > 6
    remote.stack.assert_settled()
