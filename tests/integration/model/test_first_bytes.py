"""Requests with the first bytes of a promised session, and what may come between their steps."""

import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError

from haven_core.errors import HavenError
from haven_gc.sweep import sweep
from haven_registry.models import Upload
from haven_registry.oci.errors import OciError
from haven_registry.services import uploads as service
from haven_registry.storage.errors import StorageError, StorageUnavailable
from haven_registry.v2 import carried, receiving
from haven_registry.v2 import uploads as view
from haven_registry.v2.errors import render
from haven_registry.v2.http import Request, Response
from tests.support.documents import digest_of
from tests.support.site import OWNER, Site

MIB = 1024 * 1024
ABC = digest_of(b"abc")

Ask = Callable[..., Response]


class Body(io.BytesIO):
    """Lets something happen when it was read to its end."""

    def __init__(self, data: bytes, then: Callable[[], object] | None) -> None:
        super().__init__(data)
        self._then = then

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if self._then and self.tell() == len(self.getvalue()):
            then, self._then = self._then, None
            then()
        return piece


@pytest.fixture
def ask(site: Site, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """A request of the owner to a session of first/app, by the last segment of its address; a POST without one."""
    for module in (view, receiving, carried):
        monkeypatch.setattr(module, "driver", lambda: site.driver)
    identity: Any = SimpleNamespace(actor=SimpleNamespace(subject=OWNER, name="n"), claims=None, expired=False)
    access: Any = SimpleNamespace(project_id=site.first)

    def send(
        method: str, ref: str = "", body: bytes = b"", *, digest: str = "", then: Callable[[], object] | None = None,
        is_chunked: bool = False, chunk: str = "", declared: int | None = None,
    ) -> Response:  # fmt: skip
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": "/", "QUERY_STRING": f"digest={digest}" if digest else "",
            "wsgi.input": Body(body, then), "REMOTE_ADDR": "192.0.2.1",
        }  # fmt: skip
        if is_chunked:
            environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        elif body:
            environ["CONTENT_LENGTH"] = str(declared or len(body))
        if chunk:
            environ["HTTP_CONTENT_RANGE"] = chunk
        try:
            if method == "POST":
                return view.start(Request(environ), identity, access, "first", "app")
            return view.session(Request(environ), identity, access, "first", "app", ref)
        except (HavenError, OciError, StorageError, DatabaseError) as error:
            return render(error)

    return send


def ref_of(answer: Response) -> str:
    return dict(answer.headers)["Location"].rpartition("/")[2]


@pytest.fixture
def promise(ask: Ask) -> str:
    """The last segment of its address."""
    return ref_of(ask("POST"))


def test_the_limit_is_for_new_sessions(ask: Ask, promise: str, settings: Any) -> None:
    """A client that goes by its first address, and whose session is the last that it may have."""
    settings.HAVEN = replace(settings.HAVEN, max_open_uploads=1)
    assert ask("PATCH", promise, b"abc").status == 202
    assert ask("PATCH", promise, b"d" * MIB).status == 202
    assert ask("PATCH", promise, b"e").status == 202
    other = ref_of(ask("POST"))
    assert ask("PATCH", other, b"abc").status == 429
    assert ask("DELETE", other).status == 204
    assert Upload.objects.get().received_bytes == 3 + MIB + 1


def test_a_repeated_end_is_no_new_session(ask: Ask, promise: str, settings: Any) -> None:
    assert ask("PUT", promise, b"abc", digest=ABC).status == 201
    assert ask("PATCH", ref_of(ask("POST")), b"other").status == 202
    settings.HAVEN = replace(settings.HAVEN, max_open_uploads=1)
    assert ask("PUT", promise, b"abc", digest=ABC).status == 201


def test_the_same_patch_twice_at_once_counts_once(site: Site, ask: Ask, promise: str) -> None:
    """A proxy that tried again while the first was under way."""
    twin: list[int] = []
    answer = ask("PATCH", promise, b"abc", then=lambda: twin.append(ask("PATCH", promise, b"abc").status))
    assert (answer.status, twin) == (416, [202])
    assert dict(answer.headers)["Range"] == "0-2"
    assert ask("PUT", ref_of(answer), digest=ABC).status == 201
    assert site.shows(ABC)


def test_the_same_put_twice_at_once_is_one(site: Site, ask: Ask, promise: str) -> None:
    twin: list[int] = []
    answer = ask(
        "PUT", promise, b"abc", digest=ABC, then=lambda: twin.append(ask("PUT", promise, b"abc", digest=ABC).status)
    )
    assert (answer.status, twin) == (201, [201])
    assert len(site.stored_keys()) == 1


@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("DELETE", 204), ("PUT", 201)])
def test_recorded_between_the_looks(
    ask: Ask, promise: str, monkeypatch: pytest.MonkeyPatch, method: str, status: int
) -> None:
    find, looks = service.find_upload, iter([lambda: ask("PATCH", promise, b"abc")])

    def found(**asked: Any) -> service.OpenUpload:
        try:
            return find(**asked)
        finally:
            next(looks, lambda: None)()

    monkeypatch.setattr(service, "find_upload", found)
    assert ask(method, promise, digest=ABC).status == status
    assert Upload.objects.get().state == {"GET": "open", "DELETE": "cancelled", "PUT": "committed"}[method]


def test_an_insert_whose_answer_was_lost(site: Site, ask: Ask, promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is there, and so are its bytes: the client that tries again finds them."""
    record = service._record

    def lost(*arguments: Any) -> service.OpenUpload:
        record(*arguments)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(service, "_record", lost)
        assert ask("PUT", promise, b"abc", digest=ABC).status >= 500
    assert dict(ask("GET", promise).headers)["Range"] == "0-2"
    assert ask("PUT", promise, b"abc", digest=ABC).status == 201
    assert site.shows(ABC)


def test_an_insert_that_failed_leaves_nothing(
    site: Site, ask: Ask, promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> service.OpenUpload:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(service, "_record", full)
        assert ask("PATCH", promise, b"abc").status >= 500
    assert (site.stored_keys(), Upload.objects.count()) == ([], 0)
    assert ask("PUT", promise, b"abc", digest=ABC).status == 201


def test_bytes_that_can_not_be_removed_are_in_nobodys_way(
    site: Site, ask: Ask, promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageUnavailable("input/output error")

    assert ask("PATCH", promise, b"abc").status == 202
    monkeypatch.setattr(site.driver, "abandon", refuse)
    assert ask("PATCH", promise, b"def").status == 202
    assert Upload.objects.get().received_bytes == 6


def test_ended_and_swept_it_may_begin_anew(site: Site, ask: Ask, promise: str) -> None:
    """At another key: nothing that was written before comes back, or is removed late."""
    assert ask("PUT", promise, b"abc", digest=digest_of(b"x")).status == 400
    assert ask("PATCH", promise, b"abc").status == 404
    first = site.stored_keys()
    sweep(site.driver)
    assert (ask("GET", promise).status, site.stored_keys()) == (204, [])
    assert ask("PUT", promise, b"abc", digest=ABC).status == 201
    assert not set(site.stored_keys()) & set(first)


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1])
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "length"])
def test_around_the_limit_of_short_bodies(site: Site, ask: Ask, promise: str, size: int, is_chunked: bool) -> None:
    data = b"q" * size
    for _ in range(2):
        assert ask("PUT", promise, data, digest=digest_of(data), is_chunked=is_chunked).status == 201
    assert site.shows(digest_of(data))


def test_a_short_body_that_ends_early_is_kept(ask: Ask, promise: str) -> None:
    assert ask("PATCH", promise, b"abc", declared=10).status == 400
    assert Upload.objects.get().received_bytes == 3
    assert ask("PATCH", promise, b"defghij", chunk="3-9").status == 202
    assert ask("PUT", promise, digest=digest_of(b"abcdefghij")).status == 201


def test_refused_bytes_are_not_kept(site: Site, ask: Ask, promise: str) -> None:
    for data in (b"abcdef", b"x" * 2 * MIB):
        assert ask("PATCH", promise, data, chunk="0-2", is_chunked=True).status == 400
        assert ask("PATCH", promise, data, chunk="0-2").status == 400
    assert ask("PUT", promise, b"abc", digest=ABC).status == 201
    assert len(site.stored_keys()) == 1
