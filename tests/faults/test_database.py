"""PostgreSQL restarts, crashes and hangs up; Haven is not restarted for it."""

import time
from contextlib import ExitStack, closing, suppress

import psycopg2
import requests

from tests.faults.conftest import Remote
from tests.support.client import PUSH_METHODS, expect, location_of, range_end
from tests.support.harm import PASSWORD, eventually
from tests.support.ledger import Crowd, Ledger, PatientClient
from tests.support.oci import random_blob, random_image
from tests.support.raw_http import RawRequest
from tests.support.stack import ADMIN

MIB = 2**20
REFUSALS = {"503", "401"}  # 401: the token service answered 503
RECOVERY = 5.0  # seconds after the database is back


def test_restarts_under_pushes_and_pulls(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """Requests are answered or get 503; five seconds after a restart, and after a crash, everybody works again.

    The state of upload sessions is committed without waiting for the disk (transactions.run_write), so a crash of the
    database may forget a session whose bytes are stored, and were acknowledged to nobody; they stay until `haven fsck
    --repair` looks for files without rows.
    """
    stack = remote.stack
    pids = {name: stack.pid_of(name) for name in ("registry", "uploads", "core", "worker")}
    crowd = _crowd(remote, remote_repository, ledger)
    for mode in ("fast", "immediate"):
        time.sleep(0.5)
        remote.restart_database(mode)
        begin = time.monotonic()
        PatientClient(stack.client(), Ledger(), attempts=20).push(remote_repository, random_image(), "after")
        assert stack.api("GET", "/projects").status_code == 200
        assert time.monotonic() - begin < RECOVERY
    crowd.finish()

    assert set(ledger.failures) <= REFUSALS, ledger.failures
    assert {name: stack.pid_of(name) for name in pids} == pids, "nobody had to be restarted"
    stack.settle("orphans")
    _assert_nothing_lost(remote, ledger)


def test_terminated_backends_under_pushes(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """All connections cut again and again, in transactions too: what was acknowledged stays, once."""
    crowd = _crowd(remote, remote_repository, ledger)
    killed = 0
    for _ in range(25):
        time.sleep(0.1)
        statement = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'haven' AND (state <> 'idle' OR random() < 0.2)"
        )
        killed += int(remote.sql(statement))
    crowd.finish()

    assert killed > 10
    assert set(ledger.failures) <= REFUSALS, ledger.failures
    _assert_nothing_lost(remote, ledger)


def test_database_away_is_503_and_back_without_a_restart(remote: Remote, remote_repository: str) -> None:
    stack = remote.stack
    client = stack.client()
    client.push(remote_repository, random_image(), "there")
    started = expect(client.start_upload(remote_repository), 202)
    headers = {"Authorization": started.request.headers["Authorization"]}  # for pull and push
    remote.control("stop", "-m", "fast")
    try:
        for method, path in (
            ("GET", f"/v2/{remote_repository}/manifests/there"),
            ("POST", f"/v2/{remote_repository}/blobs/uploads/"),
            ("GET", f"/service/token?scope=repository:{remote_repository}:pull"),
        ):
            known = (
                headers if path.startswith("/v2") else {"Authorization": requests.auth._basic_auth_str(ADMIN, PASSWORD)}
            )
            answer = client.request(method, path, headers=known)
            assert answer.status_code == 503
            assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
            assert answer.headers["Retry-After"]
        assert stack.api("GET", "/projects").status_code == 503
    finally:
        remote.control("start")
    begin = time.monotonic()
    expect(client.get_manifest(remote_repository, "there"), 200)
    client.push(remote_repository, random_image(), "again")
    assert stack.api("GET", "/projects").status_code == 200
    assert time.monotonic() - begin < RECOVERY


def test_no_connection_left_is_503_not_500(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """Somebody else has taken every connection that the database gives; when they are free again, so is Haven."""
    stack = remote.stack
    patient = PatientClient(stack.client(), ledger)
    patient.push(remote_repository, random_image(), "there")
    headers = patient.client.start_upload(remote_repository).request.headers["Authorization"]
    basic = requests.auth._basic_auth_str(ADMIN, PASSWORD)
    statuses = set()
    with ExitStack() as held:
        first = held.enter_context(closing(psycopg2.connect(remote.postgres.url)))
        for _ in range(5):
            _take_every_connection(remote, held)
            with first.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'haven'"
                )
            time.sleep(0.1)
            _take_every_connection(remote, held)
            for method, path, authorization in (
                ("GET", f"/v2/{remote_repository}/manifests/there", headers),
                ("POST", f"/v2/{remote_repository}/blobs/uploads/", headers),
                ("GET", f"/service/token?scope=repository:{remote_repository}:pull", basic),
                ("GET", "/api/v2.0/projects", basic),
            ):
                sent = {"Authorization": authorization}
                answer = requests.request(method, stack.url + path, headers=sent, timeout=30)
                statuses.add(answer.status_code)
                if answer.status_code == 503:
                    assert answer.json()["errors"][0]["message"]
                    assert answer.headers["Retry-After"]
    assert 503 in statuses
    assert statuses <= {200, 202, 503}  # a process may have been quicker than this test
    begin = time.monotonic()
    patient.push(remote_repository, random_image(), "again")
    assert time.monotonic() - begin < RECOVERY
    ledger.verify(stack.client())
    stack.assert_settled()


def _take_every_connection(remote: Remote, held: ExitStack) -> None:
    with suppress(psycopg2.OperationalError):  # too many clients already
        while True:
            held.enter_context(closing(psycopg2.connect(remote.postgres.url)))


def test_restart_in_the_middle_of_a_body_costs_nothing(remote: Remote, remote_repository: str, ledger: Ledger) -> None:
    """The connection that began the request is dead when its body has come; the bytes are there, and are counted."""
    stack = remote.stack
    client = stack.client()
    blob = random_blob(2 * MIB)
    started = expect(client.start_upload(remote_repository), 202)
    location = location_of(started)
    headers = {"Authorization": started.request.headers["Authorization"], "Content-Length": str(blob.size)}
    request = RawRequest(stack.address, "PATCH", location.removeprefix(stack.url), headers)
    request.send(blob.data[:MIB])
    time.sleep(0.5)
    remote.restart_database("fast")
    request.send(blob.data[MIB:])
    assert request.answer().status == 202
    request.close()

    assert range_end(client.upload_status(location)) == blob.size - 1
    expect(client.finish_upload(location, blob.digest), 201)
    ledger.blob(remote_repository, blob)
    ledger.verify(client)


def _crowd(remote: Remote, repository: str, ledger: Ledger) -> Crowd:
    crowd = Crowd()

    def add(who: int) -> None:
        client = PatientClient(remote.stack.client(timeout=30), ledger)

        def work(step: int) -> None:
            manifest = random_image(20_000)
            client.push(repository, manifest, f"w{who}-{step}", PUSH_METHODS[(who + step) % len(PUSH_METHODS)])
            assert client.pull(repository, f"w{who}-{step}").payload == manifest.payload

        crowd.add(work)

    for who in range(3):
        add(who)
    eventually(lambda: len(ledger.tags) > 2, 30)
    return crowd


def _assert_nothing_lost(remote: Remote, ledger: Ledger) -> None:
    client = remote.stack.client()
    assert ledger.verify(client) > 10
    remote.stack.assert_settled()
    ledger.verify(client)
