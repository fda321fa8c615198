"""Connections of the data plane, which go from thread to thread. PostgreSQL only (conftest.collect_ignore)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from haven_core.db import backend, connections
from haven_core.db.connections import on_live_connection, rest_connection, wake_connection
from haven_core.db.transactions import run_write
from haven_core.errors import DatabaseUnavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_rests() -> Iterator[None]:
    connections.close_resting()
    yield
    connections.close_resting()


def backend_pid() -> int:
    """The server's process at the other end."""
    return int(backend.sql("SELECT pg_backend_pid()")[0][0])


def as_read(function: Callable[[], int] = backend_pid) -> int:
    return on_live_connection(function, is_repeatable=True)


def as_write(function: Callable[[], int] = backend_pid) -> int:
    return on_live_connection(function, is_repeatable=False)


def in_a_new_thread(function: Callable[[], int]) -> int:
    """Each thread has a connection wrapper of its own."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(function).result(20)


def test_one_after_the_other_share_a_connection() -> None:
    pids = {in_a_new_thread(as_read), in_a_new_thread(as_write), in_a_new_thread(as_read)}
    assert len(pids) == 1
    assert pids.pop() != backend_pid(), "a thread that has one keeps it for itself"


def test_two_at_once_have_two_and_the_last_used_goes_first() -> None:
    inside, leave = threading.Event(), threading.Event()

    def stay() -> int:
        inside.set()
        assert leave.wait(10)
        return backend_pid()

    with ThreadPoolExecutor(1) as one:
        slow = one.submit(lambda: as_read(stay))
        assert inside.wait(10)
        quick = in_a_new_thread(as_read)
        leave.set()
        assert slow.result(20) != quick
    assert in_a_new_thread(as_read) == slow.result()


def test_others_have_it_while_a_body_comes_in() -> None:
    def write() -> int:
        mine = backend_pid()
        rest_connection()
        assert in_a_new_thread(as_write) == mine
        wake_connection(0.0)
        assert backend_pid() == mine
        return mine

    in_a_new_thread(lambda: as_write(write))


def test_who_forgets_to_wake_one_up_leaves_none_behind() -> None:
    def forget() -> int:
        mine = backend_pid()
        rest_connection()
        assert backend_pid() != mine, "another was opened"
        return mine

    pids = {in_a_new_thread(lambda: as_read(forget)) for _ in range(3)}
    assert (len(pids), len(connections._resting)) == (1, 1)


def test_what_the_request_before_left_in_the_wrapper_is_gone() -> None:
    def spoil() -> int:
        pid = backend_pid()
        backend.thread_connection().needs_rollback = True
        return pid

    with ThreadPoolExecutor(1) as one:
        pid = one.submit(lambda: as_read(spoil)).result(20)
        found = one.submit(lambda: as_read(lambda: run_write(backend_pid))).result(20)
    assert found == pid


def test_one_inside_another_gives_back_once() -> None:
    def outer() -> int:
        rest_connection()
        inner = as_read()
        wake_connection()
        assert backend_pid() == inner
        return inner

    in_a_new_thread(lambda: as_write(outer))
    assert len(connections._resting) == 1


def test_a_dead_one_costs_no_request() -> None:
    for again in (as_write, as_read):
        pid = in_a_new_thread(as_write)
        backend.sql("SELECT pg_terminate_backend(%s, 5000)", pid)
        connections._resting[:] = [(each, since, 0.0) for each, since, _ in connections._resting]  # not just written on
        assert in_a_new_thread(again) != pid


def test_what_failed_in_a_transaction_is_not_handed_on() -> None:
    def begin() -> int:
        backend.thread_connection().ensure_connection()
        raw = backend.thread_connection().connection
        raw.autocommit = False
        backend.sql("SELECT 1")
        return backend_pid()

    pid = in_a_new_thread(lambda: as_read(begin))
    assert connections._resting == []
    assert in_a_new_thread(as_read) != pid


def test_an_error_leaves_a_good_one() -> None:
    def refuse() -> int:
        def work() -> int:
            raise DatabaseUnavailable

        return run_write(work)

    pid = in_a_new_thread(as_read)
    with pytest.raises(DatabaseUnavailable):
        in_a_new_thread(lambda: as_write(refuse))
    assert in_a_new_thread(as_read) == pid


def test_what_is_idle_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(3)

    def meet() -> int:
        pid = backend_pid()
        barrier.wait(10)
        return pid

    with ThreadPoolExecutor(3) as three:
        assert len({three.submit(lambda: as_read(meet)) for _ in range(3)}) == 3
    assert len(connections._resting) == 3
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.0)
    in_a_new_thread(as_read)
    assert len(connections._resting) <= 1
