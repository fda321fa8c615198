"""Who besieges: clients over HTTP that keep a ledger of what they were promised, and those who remove and kill."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import requests

from tests.siege.terms import PROMISED
from tests.support.client import PUSH_METHODS, RegistryClient, UnexpectedStatusError, expect
from tests.support.harm import HarmedStack, kill, seconds_old
from tests.support.ledger import RETRYABLE, GaveUpError
from tests.support.oci import Blob, Manifest, image, random_layer

KEEP = 4  # images of one client at a time: few, so that blobs die and come back often
RETENTION_KEEPS = 3
ATTEMPTS = 60
SETTLED = 6.0  # seconds; a server gives up when a worker dies within 5.5 s of its start
SHARED_LAYERS: tuple[Blob, ...] = tuple(random_layer(20_000, seed=f"shared {number}") for number in range(12))
FINAL = ("Success", "Error", "Stopped")


class Lost(AssertionError):
    """Something acknowledged, and not deleted by its owner since, did not come back whole."""


class Shown(NamedTuple):
    """How a client learned that a blob is there (a key of PROMISED), and when the request began that told it. What that
    promises began later, so a refusal before asked_at + PROMISED[how] breaks it for certain."""

    how: str
    asked_at: float


@dataclass
class Siege:
    """What all share: the stack, when to stop, what was counted and what was violated.

    restorable: seconds for which what is deleted can be restored. refused: of each blob that a pushed manifest named in
    vain, how it was shown before and how many seconds after that the refusal came. failed_jobs: the end of their logs.
    """

    stack: HarmedStack
    projects: list[str]
    restorable: float = 0.0
    refused: list[tuple[str, float]] = field(default_factory=list)
    failed_jobs: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        with self.lock:
            self.counts[what] += number

    def violation(self, text: str) -> None:
        with self.lock:
            self.violations.append(text[:500])

    def refusal(self, shown: Shown) -> float:
        """Note a blob that was shown and then unknown; the seconds between."""
        seconds = round(time.monotonic() - shown.asked_at, 1)
        with self.lock:
            self.refused.append((shown.how, seconds))
        return seconds

    def patiently(self, attempt: Callable[[], requests.Response]) -> requests.Response:
        """The first answer that is not what a client meets while a part is away. Raises GaveUpError."""
        for _ in range(ATTEMPTS):
            try:
                answer = attempt()
            except requests.RequestException as error:
                self.count(f"met_{type(error).__name__}")
            else:
                if answer.status_code not in RETRYABLE:
                    return answer
                self.count(f"met_{answer.status_code}")
            time.sleep(0.25)
        raise GaveUpError(f"still refused after {ATTEMPTS} attempts")

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.patiently(lambda: self.stack.api(method, path, **options))

    def start(self, name: str, step: Callable[[], None]) -> threading.Thread:
        """A thread that takes step after step; an error ends it and counts as a violation."""

        def run() -> None:
            while not self.stop.is_set():
                try:
                    step()
                except Exception as error:  # whatever a client did not expect is what the siege looks for
                    self.violation(f"{name}: {type(error).__name__}: {error}")
                    time.sleep(1)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread


class Client:
    """Pushes images of its own, moves, deletes and pulls them. Nobody else deletes what is in its ledger."""

    def __init__(self, siege: Siege, slot: int) -> None:
        self.siege, self.random = siege, random.Random(slot)
        self.connect()
        self.name = f"keep-{slot}"
        self.number = 0
        self.ledger: dict[tuple[str, str], Manifest] = {}  # repository and tag -> image

    def connect(self) -> None:
        """To where the stack is now."""
        self.http: RegistryClient = self.siege.stack.client(timeout=30)

    def step(self) -> None:
        if len(self.ledger) >= KEEP:
            self.delete_one()
        repository = f"{self.random.choice(self.siege.projects)}/app{self.random.randrange(3)}"
        kind = self.random.random()
        if kind < 0.6:
            self.number += 1
            self.push(repository, f"{self.name}-{self.number}")
        elif kind < 0.75:
            self.disposable(repository)
        elif kind < 0.85 and self.ledger:
            self.move()
        for (where, tag), manifest in list(self.ledger.items()):
            self.pull(where, tag, manifest)

    def push(self, repository: str, tag: str) -> None:
        layers = [*self.random.sample(SHARED_LAYERS, self.random.randint(1, 3)), random_layer(4000)]
        manifest = image(layers, command=[f"{self.name} {self.number} {self.random.random()}"])
        self.send(repository, manifest, tag)
        self.ledger[repository, tag] = manifest
        self.siege.count("pushed")

    def disposable(self, repository: str) -> None:
        """An image that retention may remove at any time, an upload that nobody finishes."""
        self.number += 1
        self.send(repository, image([random_layer(3000)], command=[self.name, str(self.number)]), f"drop-{self.number}")
        started = self.siege.patiently(lambda: self.again(self.http.start_upload(repository)))
        if self.random.random() < 0.5 and started.status_code == 202:
            self.siege.patiently(lambda: self.http.patch(started.headers["Location"], b"never finished"))
        self.siege.count("disposable")

    def send(self, repository: str, manifest: Manifest, tag: str) -> None:
        """As clients do: HEAD, mount, or upload each blob, then the manifest. All of it again when a blob went meanwhile,
        which it may only when nothing promised it any more."""
        for _ in range(5):
            shown = {blob.digest: self.ensure_blob(repository, blob) for blob in manifest.all_blobs()}
            answer = self.siege.patiently(lambda: self.again(self.http.put_manifest(repository, manifest, tag)))
            if answer.status_code == 201:
                return
            if "MANIFEST_BLOB_UNKNOWN" not in answer.text:
                raise Lost(f"{repository}:{tag}: {answer.status_code} {answer.text[:300]}")
            for error in answer.json()["errors"]:
                digest = error["detail"]["digest"]
                how, seconds = shown[digest].how, self.siege.refusal(shown[digest])
                if seconds < PROMISED[how]:
                    raise Lost(f"{repository}:{tag}: {digest} was {how} {seconds} s ago and is unknown")
        raise Lost(f"{repository}:{tag}: refused five times, the blobs just pushed are unknown")

    def ensure_blob(self, repository: str, blob: Blob) -> Shown:
        asked_at = time.monotonic()
        known = self.siege.patiently(lambda: self.again(self.http.head_blob(repository, blob.digest)))
        if expect(known, 200, 404).status_code == 200:
            return Shown("head", asked_at)
        if self.random.random() < 0.4:
            source = f"{self.random.choice(self.siege.projects)}/app{self.random.randrange(3)}"
            asked_at = time.monotonic()
            answer = self.siege.patiently(lambda: self.again(self.http.mount(repository, blob.digest, source)))
            if answer.status_code == 201:
                self.siege.count("mounted")
                return Shown("mounted", asked_at)
        method = self.random.choice(PUSH_METHODS)
        for _ in range(ATTEMPTS):
            asked_at = time.monotonic()
            try:
                self.http.push_blob(repository, blob, method)
                self.siege.count("uploaded")
                return Shown("uploaded", asked_at)
            except UnexpectedStatusError as error:
                self.http.forget_tokens()
                if error.response.status_code not in {*RETRYABLE, 404}:  # 404: a session forgotten in a crash
                    raise
                self.siege.count(f"met_{error.response.status_code}")
            except requests.RequestException as error:
                self.siege.count(f"met_{type(error).__name__}")
            time.sleep(0.25)
        raise GaveUpError(f"blob {blob.digest} refused {ATTEMPTS} times")

    def move(self) -> None:
        """A tag from one image to another of the same repository: it names one of the two at every moment."""
        (repository, tag), old = self.random.choice(list(self.ledger.items()))
        new = image([self.shared_layer()], command=[tag, str(self.random.random())])
        self.send(repository, new, tag)
        self.ledger[repository, tag] = new
        self.siege.count("moved")
        assert old.digest != new.digest

    def delete_one(self) -> None:
        (repository, tag), manifest = self.random.choice(list(self.ledger.items()))
        del self.ledger[repository, tag]
        self.delete(repository, manifest.digest)

    def delete(self, repository: str, digest: str) -> None:
        """By /v2 or by the API. 404: the first attempt did it and its answer was lost, or retention was faster."""
        project, _, name = repository.partition("/")
        if self.random.random() < 0.5:
            answer = self.siege.patiently(lambda: self.again(self.http.delete_manifest(repository, digest)))
            expect(answer, 202, 404)
        else:
            path = f"/projects/{project}/repositories/{name}/artifacts/{digest}"
            expect(self.siege.api("DELETE", path), 200, 404)
        self.siege.count("deleted")

    def pull(self, repository: str, tag: str, manifest: Manifest) -> None:
        for _ in range(ATTEMPTS):
            with self.siege.lock:
                self.siege.asked[repository] += 1
            try:
                found = self.http.pull(repository, tag)
            except UnexpectedStatusError as error:
                self.http.forget_tokens()
                if error.response.status_code not in RETRYABLE:
                    raise Lost(f"{repository}:{tag} ({manifest.digest}): {error}") from None
            except requests.RequestException:
                self.siege.count("met_pull_cut")
            else:
                if found.digest != manifest.digest:
                    raise Lost(f"{repository}:{tag} names {found.digest}, not {manifest.digest}")
                self.siege.count("pulled")
                return
            time.sleep(0.25)
        raise GaveUpError(f"{repository}:{tag} can't be pulled")

    def shared_layer(self) -> Blob:
        """One that others push and delete, too."""
        return self.random.choice(SHARED_LAYERS)

    def again(self, answer: requests.Response) -> requests.Response:
        if answer.status_code == 401:
            self.http.forget_tokens()
        return answer


class Keeper:
    """Pushes tags that a rule makes immutable, and tries to overwrite and to delete them."""

    def __init__(self, siege: Siege, slot: int = 1000) -> None:
        self.siege, self.client, self.number = siege, Client(siege, slot), 0

    def step(self) -> None:
        if self.number < 20:
            self.client.push(f"{self.client.random.choice(self.siege.projects)}/app0", f"fix-{self.number}")
            self.number += 1
        self.try_to_change()
        time.sleep(0.2)

    def try_to_change(self) -> None:
        """One of the tags, to another image, and away; both must be refused and leave it whole."""
        (repository, tag), manifest = self.client.random.choice(list(self.client.ledger.items()))
        project, _, name = repository.partition("/")
        other = image([SHARED_LAYERS[0]], command=["other", str(self.client.random.random())])
        for blob in other.all_blobs():
            self.client.ensure_blob(repository, blob)
        put = self.siege.patiently(lambda: self.client.again(self.client.http.put_manifest(repository, other, tag)))
        gone = self.siege.api("DELETE", f"/projects/{project}/repositories/{name}/artifacts/{manifest.digest}")
        if put.status_code // 100 != 4 or gone.status_code != 412:
            raise Lost(f"immutable {repository}:{tag}: PUT {put.status_code}, DELETE {gone.status_code}")
        self.client.pull(repository, tag, manifest)
        self.siege.count("immutable_refused")


@dataclass
class Jobs:
    """Garbage collection and retention by the API, one after the other, each until it ends."""

    siege: Siege
    policies: list[str]
    random: random.Random = field(default_factory=lambda: random.Random("jobs"))

    def step(self) -> None:
        if self.random.random() < 0.4 and self.policies:
            self.retention(self.random.choice(self.policies))
        else:
            self.collect()

    def retention(self, policy: str) -> None:
        """Answered with the id of the run in Location; done when it is in no state to go on."""
        expect(self.siege.api("POST", f"{policy}/executions", json={"dry_run": False}), 201)
        if self._until_done(lambda: [run["status"] for run in self.siege.api("GET", f"{policy}/executions").json()]):
            self.siege.count("retention_runs")

    def collect(self) -> None:
        parameters = {"delete_untagged": self.random.random() < 0.5, "workers": 1, "dry_run": False}
        body = {"schedule": {"type": "Manual"}, "parameters": parameters}
        answer = self.siege.api("POST", "/system/gc/schedule", json=body)
        if expect(answer, 201, 409).status_code == 409:
            time.sleep(0.5)
            return
        path = answer.headers["Location"].removeprefix("/api/v2.0")
        run = self._until_done(lambda: [self.siege.api("GET", path).json()["job_status"]])
        if run:
            self.siege.count(f"gc_{run}")
        if run == "Error":
            log = self.siege.api("GET", f"{path}/log").text
            self.siege.failed_jobs.append(" | ".join(log.strip().splitlines()[-4:])[:1000])

    def _until_done(self, statuses: Callable[[], list[str]]) -> str:
        """However long it takes workers that live for seconds; one that gets on with none of five of them fails, and is
        counted. Who is not done when the killing ends must be done soon after (`_runs_end`)."""
        while not set(found := statuses()) <= set(FINAL):
            if self.siege.stop.is_set():
                return ""
            time.sleep(0.3)
        return found[0]


@dataclass
class Killer:
    """kill -9 of workers of every kind, and connections of the database cut, at random moments."""

    siege: Siege
    cut_connections: Callable[[], int] | None
    random: random.Random = field(default_factory=lambda: random.Random("killer"))

    def step(self) -> None:
        time.sleep(self.random.uniform(0.5, 3.0))
        what = self.random.choice(["registry", "uploads", "core", "worker", "database"])
        if what == "database":
            if self.cut_connections is not None:
                self.siege.count("cut_connections", self.cut_connections())
            return
        try:
            workers = [pid for pid in self.siege.stack.workers_of(what) if seconds_old(pid) > SETTLED]
        except AssertionError:  # between its end and its new start
            return
        if workers:
            kill([self.random.choice(workers)])
            self.siege.count(f"killed_{what}")
