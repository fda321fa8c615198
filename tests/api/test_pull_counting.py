"""The requests that clients make for one pull, through /v2, to a count. The traces are those of tests/api/v2/test_traces
and of the clients in tests/clients; the queue in between is the tests' own."""

import base64
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.utils import timezone

from haven_core.configuration import services as settings
from haven_core.domain.actor import Actor
from haven_core.domain.origin import Origin
from haven_core.events.models import OutboxEvent
from haven_core.tokens.grants import issue_token
from haven_core.tokens.keys import ensure_key
from haven_core.tokens.scopes import Scope
from haven_registry.models import PullDaily
from haven_registry.selectors import FoundManifest
from haven_registry.services.pull_queue import drain
from haven_registry.services.pull_settling import SETTLE_SECONDS
from haven_registry.v2 import pulls, recent
from haven_registry.v2.app import application
from tests.api.artifacts import push
from tests.api.conftest import Call
from tests.api.robots.conftest import project_robot
from tests.support.documents import index
from tests.support.site import Site
from tests.support.valkey import FakeValkey

DOCKER, PODMAN = "docker/27.0 go/1", "containers/5.34 (github.com/containers/image)"


class Client:
    """A user agent with the owner's token, or a robot's."""

    def __init__(self, actor: Actor, agent: str) -> None:
        scope = Scope("repository", "private/team/app", frozenset({"pull"}))
        self.authorization, self.agent = f"Bearer {issue_token(actor, [scope]).token}", agent

    def __call__(self, method: str, reference: str, **more: str) -> int:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": f"/v2/private/team/app/manifests/{reference}", "QUERY_STRING": "",
            "HTTP_HOST": "registry.test", "HTTP_AUTHORIZATION": self.authorization, "REMOTE_ADDR": "192.0.2.7",
            "HTTP_USER_AGENT": self.agent, "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http", **more,
        }  # fmt: skip
        answered: list[str] = []
        b"".join(application(environ, lambda status, _: answered.append(status)))
        return int(answered[0][:3])


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeValkey]:
    ensure_key()
    recent.forget()
    fake = FakeValkey()
    buffer = pulls.PullBuffer("redis://never")
    monkeypatch.setattr(buffer, "_start", lambda: None)
    monkeypatch.setattr(buffer, "_queue", lambda: fake)
    monkeypatch.setattr(pulls, "_buffer", buffer)
    yield fake
    recent.forget()


@pytest.fixture
def owner(users: dict[str, int]) -> Actor:
    return Actor(kind="user", user_id=users["owner"], name="owner", is_sysadmin=False)


def counted(queue: Any) -> dict[tuple[str, str], int]:
    """Pulls by digest and tag, without those that are none."""
    pulls.flush()
    drain(queue, time.time() + SETTLE_SECONDS + 1)
    rows = PullDaily.objects.filter(pulls__gt=0).values_list("manifest_digest", "tag_name", "pulls")
    return {(digest, tag): number for digest, tag, number in rows}


def test_each_client_counts_one(site: Site, owner: Actor, queue: FakeValkey) -> None:
    child = push(site)
    root = site.put(index(child), "multi").digest
    docker, podman = Client(owner, DOCKER), Client(owner, PODMAN)
    trace = [docker("HEAD", "multi"), docker("GET", root), docker("GET", child)]
    assert trace == [200] * 3
    assert counted(queue) == {(root, "multi"): 1}
    assert [podman("GET", "multi"), podman("GET", child)] == [200] * 2
    assert counted(queue) == {(root, "multi"): 2}
    single = push(site, "single", author="x")
    assert [docker("HEAD", "single"), docker("GET", single), podman("GET", "single")] == [200] * 3
    assert counted(queue) == {(root, "multi"): 2, (single, "single"): 2}


def test_one_reader_that_asks_all_the_time_is_told_of_together(site: Site, owner: Actor, queue: FakeValkey) -> None:
    """Counted exactly, but no event for each of a thousand equal requests a second."""
    digest = push(site, "v1")
    client = Client(owner, DOCKER)
    for _ in range(10):
        assert client("GET", "v1") == 200
    assert counted(queue) == {(digest, "v1"): 10}
    events = OutboxEvent.objects.filter(topic="manifest.pulled").order_by("id")
    assert [event.payload["times"] for event in events] == [1, 1, 1, 7]
    Client(owner, DOCKER)("GET", "v1")
    assert counted(queue) == {(digest, "v1"): 11}


def test_what_is_no_pull(site: Site, owner: Actor, queue: FakeValkey, users: dict[str, int]) -> None:
    digest = push(site, "v1")
    client = Client(owner, DOCKER)
    assert [client("HEAD", "v1"), client("HEAD", digest), client("GET", "none")] == [200, 200, 404]
    assert client("GET", "v1", HTTP_IF_NONE_MATCH=f'"{digest}"') == 304
    assert Client(owner, "harbor-registry-client/2.0")("GET", "v1") == 200
    assert counted(queue) == {}
    assert PullDaily.objects.count() == 0


def test_a_scanner_counts_nothing(site: Site, owner: Actor, queue: FakeValkey, api: Call) -> None:
    digest = push(site, "v1")
    made: Any = api("POST", "/robots", project_robot("scanner-x"), user="owner").json()
    pair = base64.b64encode(f"{made['name']}:{made['secret']}".encode()).decode()
    scanner = Client(owner, "trivy/0.5")
    scanner.authorization = f"Basic {pair}"
    assert [scanner("HEAD", "v1"), scanner("GET", digest)] == [200, 200]
    assert counted(queue) == {}
    artifact: Any = api("GET", f"/projects/private/repositories/team%252Fapp/artifacts/{digest}", user="owner").json()
    assert artifact["pull_time"][:10] == f"{timezone.now():%Y-%m-%d}"
    settings.update({"scanner_skip_update_pulltime": True})
    PullDaily.objects.all().delete()
    assert scanner("GET", digest) == 200
    assert counted(queue) == {}
    assert PullDaily.objects.count() == 0


def test_scanners_are_known_by_their_robots() -> None:
    def named(name: str, kind: Any = "robot") -> bool:
        return pulls.is_scanner(Actor(kind=kind, user_id=0, name=name, is_sysadmin=False))

    assert named("robot$library+scanner-Trivy-1b2")
    assert named("robot$scanner-Trivy-1b2")
    assert not named("robot$library+ci")
    assert not named("scanner-x", "user")


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "arrived"])
def test_without_valkey_what_was_seen_waits(
    site: Site, owner: Actor, queue: FakeValkey, monkeypatch: pytest.MonkeyPatch, *, is_lost: bool
) -> None:
    """Whether a batch was lost, or arrived and only the answer was: it counts once."""
    digest = push(site, "v1")
    client = Client(owner, DOCKER)
    monkeypatch.setattr(pulls, "MAX_READS", 1)

    def fail(name: str, text: str) -> None:
        if not is_lost:
            FakeValkey.rpush(queue, name, text)
        raise redis.ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(queue, "rpush", fail)
        for _ in range(4):
            assert client("GET", "v1") == 200
        assert pulls.flush() == 0
        assert client("GET", digest) == 200
        assert pulls.flush() == 0
    assert counted(queue) == {(digest, "v1"): 4, (digest, ""): 1}
    assert queue.texts == []
    assert PullDaily.objects.get(tag_name="v1").day == timezone.now().date()


def test_a_thread_sends_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every FLUSH_SECONDS, without anybody asking."""
    fake, sent = FakeValkey(), threading.Event()
    monkeypatch.setattr(pulls, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(fake, "rpush", lambda *_: sent.set())
    buffer = pulls.PullBuffer("redis://never")
    monkeypatch.setattr(buffer, "_queue", lambda: fake)
    found = FoundManifest(1, 1, 1, "sha256:" + "0" * 64, "x/y", 2)
    buffer.note(found, "v1", Origin("anne", "192.0.2.7"))
    assert sent.wait(5)
