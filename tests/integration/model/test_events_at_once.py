"""Events and quota with many connections at once. PostgreSQL only (conftest.collect_ignore): the SQLite of tests is in
memory, and ids follow commits there anyway."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from django.db import connection, transaction
from django.utils import timezone

from haven_core.audit.consumer import consume
from haven_core.audit.models import AuditLog
from haven_core.db import backend
from haven_core.errors import QuotaExceeded
from haven_core.events import delivery
from haven_core.events.models import DeliveryCursor, OutboxEvent
from haven_core.events.outbox import publish
from haven_core.models import ProjectQuota
from haven_registry.services.delete import delete_manifest
from haven_registry.services.repositories import delete_repository
from tests.integration.model.test_events import drained, told
from tests.support.documents import digest_of, image
from tests.support.site import Site


def test_a_batch_is_taken_once_however_many_take_it(site: Site):
    """Consumers at once: every event becomes one line, none is lost."""
    wanted = 300
    for number in range(wanted):
        publish("repository.deleted", timezone.now(), name=f"first/{number}", project=site.first)

    def work(_: int) -> None:
        try:
            while consume():
                pass
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    drained()
    names = Counter(AuditLog.objects.filter(operation="delete").values_list("resource", flat=True))
    assert names == {f"first/{number}": 1 for number in range(wanted)}


def test_the_event_of_a_slow_transaction_is_not_skipped(site: Site):
    """It gets its id before a later transaction does, and commits after it."""
    drained()
    has_written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                publish("repository.deleted", timezone.now(), name="first/slow", project=site.first)
                backend.sql("SELECT 1")  # events are written with the next statement
                has_written.set()
                assert may_commit.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert has_written.wait(20)
    publish("repository.deleted", timezone.now(), name="first/fast", project=site.first)
    held_back = [event.payload["name"] for event in delivery.waiting("audit").events]
    consume()
    may_commit.set()
    thread.join()
    assert held_back == []
    assert {line.resource for line in drained() if line.operation == "delete"} == {"first/slow", "first/fast"}


def test_a_database_moved_to_another_server(site: Site):
    """Its transaction numbers start low again: nothing is lost, nothing doubled."""
    site.push(b"a", "v1")
    before = told(drained())
    publish("repository.deleted", timezone.now(), name="first/waits", project=site.first)
    ahead = 10**12  # as the old server had counted
    OutboxEvent.objects.filter(payload__name="first/waits").update(transaction_number=ahead + 5)
    OutboxEvent.objects.exclude(payload__name="first/waits").update(transaction_number=ahead)
    DeliveryCursor.objects.update(transaction_number=ahead)
    publish("repository.deleted", timezone.now(), name="first/new", project=site.first)
    after = told(drained())
    assert sorted(after) == sorted(
        [*before, ("delete", "repository", "first/waits"), ("delete", "repository", "first/new")]
    )


def test_parallel_pushes_share_the_trash_of_both_kinds(site: Site):
    """Eight pushes at once that each need room: no deadlock, and sums stay exact. One that finds all trash in the hands
    of others may be refused."""
    for number in range(8):
        data = b"old %d" % number * 1000
        if number % 2:
            other = site.new_repository(site.first, f"old{number}")
            site.push(data, "t", repository=other)
            delete_repository(other)
        else:
            delete_manifest(repository_id=site.repository, digest=site.push(data, "t"))
    site.limit(site.used() + 1000)

    def push(number: int) -> bool:
        try:
            site.upload(b"new %d" % number * 900)
        except QuotaExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert any(list(pool.map(push, range(8))))
    site.collect()
    assert site.used() <= ProjectQuota.objects.get(project_id=site.first).hard_bytes


def test_parallel_pushes_keep_the_quota_exact(site: Site):
    """200 small pushes into one project, 40 at a time, of which the quota lets some in: what is used is what is there."""
    workers, pushes = 40, 200
    sizes = [len(b"%d" % number) + len(image(digest_of(b"%d" % number), nonce="x")) for number in range(pushes)]
    site.limit(sum(sizes) // 2)

    def push(number: int) -> bool:
        data = b"%d" % number
        try:
            site.put(image(site.upload(data), nonce="x"), f"t{number}")
        except QuotaExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(workers) as pool:
        landed = list(pool.map(push, range(pushes)))
    stored = sum(size for size, is_there in zip(sizes, landed, strict=True) if is_there)
    blobs_alone = site.used() - stored  # a push refused at its manifest leaves its blob, leased
    assert 0 <= blobs_alone <= sum(len(b"%d" % number) for number, is_there in enumerate(landed) if not is_there)
    assert 0 < sum(landed) < pushes
    assert site.used() <= sum(sizes) // 2
