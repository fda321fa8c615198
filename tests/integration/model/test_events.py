"""The outbox: its order, its consumers, and what the audit log makes of pushes, pulls and deletes."""

import socket
import threading
import uuid
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from haven_core.audit.consumer import consume
from haven_core.audit.models import AuditLog
from haven_core.configuration.services import update
from haven_core.db.transactions import run_write
from haven_core.domain.origin import Origin
from haven_core.errors import QuotaExceeded
from haven_core.events import delivery
from haven_core.events.models import OutboxEvent
from haven_core.events.outbox import publish
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.pulls import Pull, PullCount, apply_pull_batch
from haven_registry.services.repositories import delete_repository
from haven_registry.services.restore import restore_manifest
from haven_registry.services.tags import delete_tag, move_tag
from tests.support.site import Site

ANNE = Origin("anne", "192.0.2.7")


def drained() -> list[AuditLog]:
    while consume():
        pass
    return list(AuditLog.objects.order_by("op_time", "id"))


def told(lines: list[AuditLog]) -> list[tuple[str, str, str]]:
    return [(line.operation, line.resource_type, line.resource) for line in lines]


def test_who_did_what_from_where(site: Site):
    digest = site.push(b"a", "v1")
    move_tag(repository_id=site.repository, name="v2", digest=digest, origin=ANNE)
    delete_tag(repository_id=site.repository, name="v2", origin=ANNE)
    other = site.new_repository(site.second, "other")
    copy_artifact(
        source_repository_id=site.repository, digest=digest, repository_id=other, project_id=site.second,
        tags=["v1"], pushed_by=ANNE.name, address=ANNE.address,
    )  # fmt: skip
    delete_manifest(repository_id=site.repository, digest=digest, origin=ANNE)
    restore_manifest(repository_id=site.repository, digest=digest, origin=ANNE)
    delete_repository(other, ANNE)
    lines = drained()
    assert told(lines) == [
        ("create", "repository", "first/app"), ("create", "artifact", "first/app:v1"), ("create", "tag", "first/app:v2"),
        ("delete", "tag", "first/app:v2"), ("create", "repository", "second/other"),
        ("create", "artifact", "second/other:v1"), ("delete", "artifact", f"first/app@{digest}"),
        ("restore", "artifact", f"first/app@{digest}"), ("delete", "repository", "second/other"),
    ]  # fmt: skip
    by_anne = [line for line in lines if (line.username, line.address) == ANNE]
    assert len(by_anne) == 6
    assert {line.project_id for line in by_anne} == {site.first, site.second}
    assert lines[1].username == "somebody"
    assert lines[1].description == f"create artifact: first/app:v1 ({digest})"
    assert all(line.is_success for line in lines)


def test_a_refused_write_leaves_no_line(site: Site):
    site.limit(1)
    with pytest.raises(QuotaExceeded):
        site.push(b"aa", "v1")
    assert told(drained()) == [("create", "repository", "first/app")]
    exceeded = OutboxEvent.objects.get(topic="quota.exceeded").payload
    assert exceeded == {"project": site.first, "requested": 2, "used": 0, "limit": 1}


def test_pulls_are_written_down_once(site: Site):
    digest = site.push(b"a", "v1")
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    pulls = [
        Pull(at, site.repository, digest, "v1", ANNE),
        Pull(at + timedelta(seconds=1), site.repository, digest, "", Origin("", "192.0.2.8")),
        Pull(at, site.repository + 1000, digest, "v1", ANNE),
    ]
    counts = [PullCount(site.repository, digest, "v1", date(2026, 1, 1), 2, at)]
    batch = uuid.uuid4()
    assert apply_pull_batch(batch, counts, pulls)
    assert not apply_pull_batch(batch, counts, pulls)
    lines = [line for line in drained() if line.operation == "pull"]
    assert [(line.op_time, line.username, line.address, line.resource) for line in lines] == [
        (at, "anne", "192.0.2.7", "first/app:v1"),
        (at + timedelta(seconds=1), "", "192.0.2.8", f"first/app@{digest}"),
    ]


def test_what_is_switched_off(site: Site):
    update({"pull_audit_log_disable": True, "disabled_audit_log_event_types": "create_artifact, delete_repository"})
    digest = site.push(b"a", "v1")
    apply_pull_batch(uuid.uuid4(), [], [Pull(timezone.now(), site.repository, digest, "v1", ANNE)])
    delete_repository(site.repository, ANNE)
    assert told(drained()) == [("create", "repository", "first/app")]


def test_consumers_do_not_share_a_place(site: Site):
    for _ in range(3):
        publish("anything", timezone.now())
    first = delivery.waiting("first", limit=2)
    assert [event.topic for event in first.events] == ["repository.created", "anything"]
    assert run_write(lambda: delivery.take(first))
    assert not run_write(lambda: delivery.take(first))
    assert len(delivery.waiting("first").events) == 2
    assert len(delivery.waiting("second").events) == 4


def test_old_events_go_when_everybody_has_them(site: Site):
    later = timezone.now() + timedelta(hours=1)
    assert delivery.forget_events(later) == 0
    drained()
    delivery.waiting("slow consumer")
    assert delivery.forget_events(later) == 0
    run_write(lambda: delivery.take(delivery.waiting("slow consumer")))
    publish("anything", timezone.now())
    assert delivery.forget_events(timezone.now() - timedelta(hours=1)) == 0
    assert delivery.forget_events(later) == 1
    assert list(OutboxEvent.objects.values_list("topic", flat=True)) == ["anything"]


# ---------------------------------------------------------------- syslog


class Syslog:
    """A server that keeps what it is sent."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.received = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with closing(client):
                while data := client.recv(65536):
                    self.received += data

    def stop(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join(5)

    def messages(self) -> list[str]:
        rest, found = self.received, []
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)].decode())
            rest = rest[int(length) :]
        return found


@pytest.fixture
def syslog() -> Any:
    server = Syslog()
    yield server
    if server.socket.fileno() != -1:
        server.stop()


def test_lines_go_to_syslog_too(site: Site, syslog: Syslog):
    update({"audit_log_forward_endpoint": syslog.endpoint})
    digest = site.push(b"a", "v1")
    delete_manifest(repository_id=site.repository, digest=digest, origin=Origin('an"ne]\n', "192.0.2.7"))
    assert len(drained()) == 3
    syslog.stop()
    messages = syslog.messages()
    assert len(messages) == 3
    assert messages[-1].startswith("<110>1 2")
    assert '[audit@32473 user="an\\"ne\\] " address="192.0.2.7" operation="delete" type="artifact"' in messages[-1]
    assert messages[-1].endswith(f"delete artifact: first/app@{digest} (v1)")
    site.push(b"b", "v2")
    assert len(drained()) == 4  # a server that is away stops nothing


def test_syslog_instead_of_the_database_loses_nothing(site: Site, syslog: Syslog):
    drained()
    update({"audit_log_forward_endpoint": syslog.endpoint, "skip_audit_log_database": True})
    syslog.stop()
    site.push(b"a", "v1")
    assert consume() == 0
    again = Syslog()
    update({"audit_log_forward_endpoint": again.endpoint})
    assert consume() == 1
    again.stop()
    assert len(again.messages()) == 1
    assert AuditLog.objects.count() == 1  # what was there before
