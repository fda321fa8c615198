"""What goes to PostgreSQL in one message, and what becomes of it. PostgreSQL only (conftest.collect_ignore)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from psycopg2 import extensions

from haven_core.db import backend
from haven_core.db.fields import encode_digest
from haven_core.db.postgresql import _FIRST_PLANS, BEGIN, Connection, Cursor
from haven_core.db.transactions import retries, run_write
from haven_core.errors import QuotaExceeded
from haven_core.events.models import OutboxEvent
from haven_core.events.outbox import publish
from haven_registry.errors import RepositoryUnknown, UploadConflict
from haven_registry.models import Blob, StorageObject, Upload
from haven_registry.services import uploads
from haven_registry.services.publishing import commit_upload
from tests.support.documents import digest_of
from tests.support.site import OWNER, Site

pytestmark = pytest.mark.django_db(transaction=True)
_ADD = "INSERT INTO storage_object (storage_key, state, created_at) VALUES (%s, 'staged', now())"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that go out, as text, but for COMMIT and ROLLBACK."""
    messages: list[str] = []

    class Telling(Cursor):
        def execute(self, query: str | bytes, values: object = None) -> None:
            super().execute(query, values)
            text = (self.query or b"").decode()
            if "PREPARE" not in text and "pg_backend_pid" not in text:  # once for each connection
                messages.append(text)

    connection.ensure_connection()
    monkeypatch.setattr(connection.connection, "cursor_factory", Telling)
    return messages


@pytest.fixture
def no_pooler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(backend, "_is_pooled", False)
    yield
    connection.close()


def keys() -> list[str]:
    return list(StorageObject.objects.order_by("id").values_list("storage_key", flat=True))


def test_begin_goes_with_the_first_statement_and_nothing_is_said_in_an_empty_transaction(said: list[str]):
    with transaction.atomic():
        pass
    assert said == []
    with transaction.atomic():
        backend.sql("SELECT 1")
    assert said == [f"{BEGIN.decode()}; SELECT 1"]
    assert connection.connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE


def test_what_goes_ahead_is_there_for_the_next_statement_and_for_the_orm():
    with transaction.atomic():
        backend.ahead(_ADD, "a")
        assert backend.sql("SELECT count(*) FROM storage_object") == [(1,)]
        backend.ahead(_ADD, "b")
        assert keys() == ["a", "b"]
        backend.ahead(_ADD, "c")
    connection.close()
    assert keys() == ["a", "b", "c"], "the last was said with COMMIT"


def test_what_went_ahead_is_undone_with_its_transaction():
    def fail(*keys: str) -> None:
        with transaction.atomic():
            for key in keys:
                backend.sql("SELECT 1")
                backend.ahead(_ADD, key)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail("said", "unsaid")
    assert keys() == []
    with transaction.atomic():
        backend.ahead(_ADD, "kept")
        with pytest.raises(ZeroDivisionError):
            fail("of a savepoint")
        backend.ahead(_ADD, "kept too")
    assert keys() == ["kept", "kept too"]


@pytest.mark.parametrize("then", ["a statement", "the ORM", "COMMIT"])
def test_its_error_is_the_next_ones_and_nothing_stays(then: str):
    @transaction.atomic
    def fail() -> None:
        backend.ahead(_ADD, "twice")
        backend.ahead(_ADD, "twice")
        if then == "a statement":
            backend.sql("SELECT 1")
        elif then == "the ORM":
            StorageObject.objects.count()

    with pytest.raises(IntegrityError):
        fail()
    assert keys() == []
    assert connection.is_usable()


def test_it_goes_on_waiting_when_the_next_can_not_be_written_out():
    def say(value: str) -> None:
        with suppress(ValueError):
            backend.sql("SELECT %s", value)

    with transaction.atomic():
        backend.ahead(_ADD, "a")
        say("\0")
    assert keys() == ["a"]


def test_a_write_of_one_statement_is_no_part_of_a_transaction():
    with transaction.atomic(), pytest.raises(RuntimeError):
        run_write(lambda: None, is_durable=False, is_one_statement=True)
    with transaction.atomic():
        assert backend.sql("SHOW synchronous_commit") == [("on",)]


def test_outside_of_a_transaction_it_is_said_at_once(said: list[str]):
    backend.ahead(_ADD, "a")
    assert len(said) == 1
    assert keys() == ["a"]


def test_an_event_is_written_with_the_commit_of_what_it_tells_of(said: list[str]):
    with transaction.atomic():
        backend.sql("SELECT 1")
        publish("anything", timezone.now())
        assert len(said) == 1
    assert len(said) == 1
    assert OutboxEvent.objects.filter(topic="anything").exists()


def test_other_ways_to_send_find_begin_said():
    @transaction.atomic
    def fail() -> None:
        with connection.cursor() as cursor:
            cursor.executemany(_ADD, [["many"], ["more"]])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert keys() == []


def test_a_write_of_one_statement_is_one_message(site: Site, said: list[str]):
    upload = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    progress = {"received_bytes": 1, "prefix_digest": None, "staging": None}
    upload = uploads.record_progress(upload, **progress)
    said.clear()
    upload = uploads.record_progress(upload, **progress)
    [message] = said
    assert message.startswith("SET LOCAL synchronous_commit = off; EXECUTE")
    assert backend.sql("SHOW synchronous_commit") == [("on",)], "which it left with its transaction"
    assert Upload.objects.get(id=upload.id).version == 2


def test_a_write_that_never_came_to_its_statement_relaxes_no_other(said: list[str]):
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_write(fail, is_durable=False, is_one_statement=True)
    run_write(lambda: backend.sql("SELECT 1"))
    assert said == [f"{BEGIN.decode()}; SELECT 1"]


def test_a_layer_takes_few_messages(site: Site, said: list[str]):
    site.upload(b"first")  # prepares, as does the next line
    uploads.begin_upload(project_id=site.first, repository="app", owner=OWNER)
    said.clear()
    upload = uploads.begin_upload(project_id=site.first, repository="app", owner=OWNER)
    assert len(said) == 1
    said.clear()
    site.driver.put(upload.key, b"second")
    commit_upload(upload=upload, digest=digest_of(b"second"), size=6)
    assert len(said) == 3


def test_a_layer_for_a_repository_deleted_meanwhile(site: Site):
    upload = site.start_upload(b"late")
    backend.sql("UPDATE repository SET deleted_at = now(), purge_after = now() WHERE id = %s", site.repository)
    with pytest.raises(RepositoryUnknown):
        site.commit(upload, b"late")
    assert Blob.objects.count() == 0
    assert Upload.objects.get(id=upload.id).state == Upload.OPEN


def rows_of(digest: str) -> dict[str, object]:
    """All that a blob's rows say, but for ids and times."""
    [row] = backend.sql(
        "SELECT u.state, u.digest = b.digest, u.staging, u.version, o.state, o.purge_after, b.size, b.damaged_at, pb.size, "
        "pb.project_id, rb.repository_id, rb.keep_until = rb.review_at, rb.hidden_at, q.used_bytes FROM blob b "
        "JOIN storage_object o ON o.id = b.object_id JOIN upload u ON u.object_id = o.id "
        "JOIN project_blob pb ON pb.blob_id = b.id JOIN repository_blob rb ON rb.project_blob_id = pb.id "
        "JOIN project_quota q ON q.project_id = pb.project_id WHERE b.digest = %s",
        encode_digest(digest),
    )  # fmt: skip
    return dict(enumerate(row))


def test_a_new_blob_is_published_in_one_message_just_as_in_several(site: Site, said: list[str]) -> None:
    site.upload(b"zero")
    upload, other = site.start_upload(b"one"), site.start_upload(b"two")
    said.clear()
    site.commit(upload, b"one")
    assert [message.count("EXECUTE") for message in said] == [4]
    said.clear()
    commit_upload(upload=replace(other, is_new=False), digest=digest_of(b"two"), size=3)
    assert len(said) == 3
    at_once, step_by_step = rows_of(digest_of(b"one")), rows_of(digest_of(b"two"))
    assert at_once == step_by_step
    assert at_once[max(at_once)] == site.used() == 10


def test_a_blob_that_came_meanwhile_is_published_step_by_step(site: Site) -> None:
    """Nobody had it when the request looked: then the same session ended, another one did, or another project's."""
    upload, later = site.start_upload(b"same"), site.start_upload(b"same")
    other = site.start_upload(b"same", site.new_repository(site.second, "app"))
    for each in (upload, upload, later, other):
        site.commit(each, b"same")
    assert (Blob.objects.count(), site.used(site.first), site.used(site.second)) == (1, 4, 4)
    assert sorted(StorageObject.objects.values_list("state", flat=True)) == ["dead", "dead", "live"]
    assert set(Upload.objects.values_list("state", flat=True)) == {Upload.COMMITTED}


@pytest.mark.parametrize(
    ("size", "warned", "used"),
    [(84, 0, 84), (85, 1, 85), (100, 1, 100), (101, 0, 0)],
    ids=["below the mark", "at the mark", "all of it", "too much"],
)
def test_a_new_blob_and_the_limit(site: Site, size: int, warned: int, used: int) -> None:
    site.limit(100)
    upload = site.start_upload(bytes(size))
    with suppress(QuotaExceeded):
        site.commit(upload, bytes(size))
    assert (site.used(), site.shows(digest_of(bytes(size)))) == (used, used > 0)
    assert OutboxEvent.objects.filter(topic="quota.warned").count() == warned
    assert Blob.objects.count() == (1 if used else 0)


def test_a_new_blob_of_a_session_that_went_on(site: Site) -> None:
    upload = site.start_upload(b"old")
    uploads.record_progress(upload, received_bytes=3, prefix_digest=None, staging=None)
    with pytest.raises(UploadConflict):
        site.commit(upload, b"old")
    assert (Blob.objects.count(), site.used()) == (0, 0)
    assert Upload.objects.get(id=upload.id).state == Upload.OPEN
    assert connection.connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE


def test_behind_a_pooler_the_lost_statement_begins_again_and_none_is_prepared_after(site: Site, no_pooler: None):
    """A pooler that pools transactions gives this one a server connection where nothing is prepared."""
    site.upload(b"first")
    assert connection.connection.statements
    upload = site.start_upload(b"second")
    backend.sql("DEALLOCATE ALL")
    before = retries["lost_statement"]
    digest = site.commit(upload, b"second")
    assert site.shows(digest)
    assert retries["lost_statement"] == before + 1
    prepared = len(connection.connection.statements)
    site.upload(b"third")
    assert len(connection.connection.statements) == prepared


@pytest.fixture
def new_session() -> Iterator[None]:
    connection.close()
    yield
    connection.close()


def test_a_session_plans_once_and_anew_when_tables_may_have_grown(new_session: None, no_pooler: None, said: list[str]):
    """Not in a transaction, which could take the setting back."""

    def look(times: int) -> list[str]:
        said.clear()
        for _ in range(times):
            backend.prepared("SELECT id FROM project WHERE id = %s", 1)
        return [message for message in said if "EXECUTE" not in message]

    with suppress(ZeroDivisionError), transaction.atomic():
        assert look(1) == []
        raise ZeroDivisionError
    assert look(_FIRST_PLANS - 2) == ["SET plan_cache_mode = force_generic_plan"]
    assert look(1) == []
    assert look(9 * _FIRST_PLANS) == ["DISCARD PLANS"]
    assert backend.sql("SHOW plan_cache_mode") == [("force_generic_plan",)]


def test_a_pooler_that_answers_under_its_own_name_is_known_at_once(
    site: Site, no_pooler: None, monkeypatch: pytest.MonkeyPatch
):
    connection.close()
    monkeypatch.setattr(Connection, "get_backend_pid", lambda _: 1)
    before = retries["lost_statement"]
    assert site.shows(site.upload(b"first"))
    assert connection.connection.statements == set()
    assert retries["lost_statement"] == before


def test_a_read_behind_a_pooler(site: Site, no_pooler: None):
    digest = site.upload(b"first")
    assert site.shows(digest)
    backend.sql("DEALLOCATE ALL")
    assert site.shows(digest)


def test_another_error_is_no_pooler(no_pooler: None):
    with pytest.raises(DatabaseError):
        run_write(lambda: backend.prepared("SELECT 1 / %s::int", 0))
    assert not backend._is_pooled
