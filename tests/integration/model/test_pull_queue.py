"""From what the registry's processes saw to counted pulls."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from haven_core.configuration import services as settings
from haven_core.events.models import OutboxEvent
from haven_registry.models import PullDaily
from haven_registry.services.pull_queue import BATCHES_AT_ONCE, drain
from haven_registry.services.pull_settling import SETTLE_SECONDS
from tests.support.documents import index
from tests.support.site import Site
from tests.support.valkey import FakeValkey

T = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
LATER = T + 60


class Process:
    """A process of the registry that looks at the clock it is told."""

    def __init__(self, queue: FakeValkey, repository: int) -> None:
        self.queue, self.repository = queue, repository
        self.reads: list[Any] = []
        self.heads: list[Any] = []

    def get(
        self, at: float, digest: str, tag: str = "", who: str = "anne", *, is_index: bool = False, scans: bool = False
    ) -> None:
        self.reads.append([T + at, self.repository, digest, tag, who, "192.0.2.7", is_index, scans, 1])

    def head(self, at: float, digest: str, tag: str, who: str = "anne") -> None:
        self.heads.append([T + at, self.repository, digest, tag, who])

    def flush(self, at: float, counts: Sequence[Any] = ()) -> bytes:
        document = {
            "id": str(uuid.uuid4()), "at": datetime.fromtimestamp(T + at, UTC).isoformat(), "reads": self.reads,
            "heads": self.heads, "counts": counts,
        }  # fmt: skip
        self.queue.rpush("haven:pulls", json.dumps(document))
        self.reads, self.heads = [], []
        return self.queue.texts[-1]


def drained(queue: Any, now: float = LATER) -> int:
    return drain(queue, now)


def counted(repository: int) -> dict[tuple[str, str], int]:
    """Pulls by digest and tag."""
    rows = PullDaily.objects.filter(repository_id=repository).values_list("manifest_digest", "tag_name", "pulls")
    return {(digest, tag): pulls for digest, tag, pulls in rows}


def multi(site: Site) -> tuple[str, str]:
    child = site.push(b"child")
    return site.put(index(child), "v1").digest, child


def test_one_pull_that_three_processes_served(site: Site) -> None:
    root, child = multi(site)
    queue = FakeValkey()
    first, second, third = (Process(queue, site.repository) for _ in range(3))
    first.head(0, root, "v1")
    second.get(0.1, root, is_index=True)
    third.get(0.2, child)
    third.flush(1)
    second.flush(2)
    assert drained(queue, T + 2 + SETTLE_SECONDS - 1.5) == 0  # the HEAD may be on its way
    first.flush(2.9)
    assert drained(queue) == 3
    assert queue.texts == []
    assert counted(site.repository) == {(root, "v1"): 1, (child, ""): 0}
    [event] = OutboxEvent.objects.filter(topic="manifest.pulled")
    assert (event.payload["digest"], event.payload["tag"], event.payload["by"]) == (root, "v1", "anne")
    assert PullDaily.objects.get(manifest_digest=child).last_pulled_at.timestamp() == T + 0.2


def test_what_came_before_is_remembered_between_drains(site: Site) -> None:
    root, child = multi(site)
    queue = FakeValkey()
    process = Process(queue, site.repository)
    process.head(0, root, "v1")
    process.get(1, root, is_index=True)
    process.flush(2)
    assert drained(queue) == 1
    process.get(100, child)
    process.get(101, root, is_index=True)
    process.get(102, child, who="bob")
    process.flush(103)
    assert drained(queue, LATER + 100) == 1
    assert counted(site.repository) == {(root, "v1"): 2, (child, ""): 1}


def test_heads_alone_count_nothing(site: Site) -> None:
    root, _ = multi(site)
    queue = FakeValkey()
    process = Process(queue, site.repository)
    process.head(0, root, "v1")
    process.flush(1)
    assert drained(queue) == 1
    assert (queue.texts, counted(site.repository)) == ([], {})


def test_processes_add_up_and_a_batch_counts_once(site: Site) -> None:
    digest = site.push(b"a", "t")
    queue = FakeValkey()
    texts = []
    for number in range(BATCHES_AT_ONCE * 2):
        process = Process(queue, site.repository)
        process.get(number / 100, digest, "t")
        texts.append(process.flush(number / 100))
    assert drained(queue) == len(texts)
    queue.texts = texts[:5]  # a crash between the transaction and the list
    assert drained(queue) == 5
    assert counted(site.repository) == {(digest, "t"): len(texts)}
    assert OutboxEvent.objects.filter(topic="manifest.pulled").count() == len(texts)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {"anne": (1, T), "scanner": (0, T + 1)}),
        ({"scanner_skip_update_pulltime": True}, {"anne": (1, T)}),
        ({"pull_count_update_disable": True}, {"anne": (0, T), "scanner": (0, T + 1)}),
        ({"pull_time_update_disable": True}, {"anne": (1, None)}),
        ({"pull_time_update_disable": True, "pull_count_update_disable": True}, {}),
    ],
    ids=["default", "no scanners", "no counts", "no times", "nothing"],
)
def test_what_is_kept_is_configured(site: Site, keys: dict[str, bool], expected: dict[str, Any]) -> None:
    digest = site.push(b"a", "anne", "scanner")
    settings.update(keys)
    process = Process(queue := FakeValkey(), site.repository)
    process.get(0, digest, "anne")
    process.get(1, digest, "scanner", "robot$first+scanner-x", scans=True)
    process.flush(1)
    assert drained(queue) == 1
    rows = PullDaily.objects.values_list("tag_name", "pulls", "last_pulled_at")
    assert {tag: (pulls, at and at.timestamp()) for tag, pulls, at in rows} == expected
    assert OutboxEvent.objects.filter(topic="manifest.pulled").count() == 1  # the audit log has a key of its own


def test_times_stand_still_while_they_are_not_kept(site: Site) -> None:
    digest = site.push(b"a", "t")
    queue = FakeValkey()
    process = Process(queue, site.repository)
    for round_, (is_disabled, kept) in enumerate([(True, None), (False, T + 1), (True, T + 1), (False, T + 3)]):
        settings.update({"pull_time_update_disable": is_disabled})
        process.get(round_, digest, "t")
        process.flush(round_)
        drained(queue)
        row = PullDaily.objects.get()
        assert (row.pulls, row.last_pulled_at and row.last_pulled_at.timestamp()) == (round_ + 1, kept)


def test_what_can_not_be_read_is_dropped(site: Site) -> None:
    digest = site.push(b"a", "t")
    queue = FakeValkey(b"no batch", b"[]", b'{"id": 1}')
    process = Process(queue, site.repository)
    process.get(0, "x")
    process.flush(1)
    process.get(0, digest)
    process.flush(1, [[site.repository, digest, "t", "2026-01-01", 2]])
    assert drained(queue) == 5
    assert queue.texts == []
    assert counted(site.repository) == {(digest, ""): 1, (digest, "t"): 2}


def test_a_batch_of_a_wrong_clock_holds_nothing_up(site: Site) -> None:
    digest = site.push(b"a", "t")
    queue = FakeValkey()
    process = Process(queue, site.repository)
    process.get(5000, digest, "t")
    process.flush(5000)
    assert drained(queue) == 1
    assert counted(site.repository) == {(digest, "t"): 1}
