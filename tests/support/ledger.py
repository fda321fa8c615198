"""What the registry acknowledged, kept outside of it, and clients that push as real ones do: with retries."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from tests.support.client import PUSH_METHODS, PushMethod, RegistryClient, UnexpectedStatusError, expect
from tests.support.oci import Blob, Manifest

# What a client may meet while a part of the registry is away, and then tries again. 401: the token service was away.
# 500 is not among them: nobody retries it, and it means that an error was not foreseen.
RETRYABLE = frozenset({401, 503, 504})
ATTEMPTS = 40
PAUSE = 0.25


@dataclass
class Ledger:
    """Acknowledged blobs and manifests. Any thread may write into it."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def blob(self, repository: str, blob: Blob) -> None:
        with self._lock:
            self.blobs[repository, blob.digest] = blob.data

    def manifest(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        with self._lock:
            self.manifests[repository, manifest.digest] = manifest
            if tag is not None:
                self.tags[repository, tag] = manifest.digest

    def failure(self, what: str) -> None:
        with self._lock:
            self.failures[what] += 1

    def verify(self, client: RegistryClient) -> int:
        """Pull everything back, byte for byte; returns how many things were compared."""
        for (repository, digest), data in self.blobs.items():
            answer = expect(client.get_blob(repository, digest), 200)
            assert answer.content == data, f"{repository}@{digest}: {len(answer.content)} bytes of {len(data)}"
        for (repository, digest), manifest in self.manifests.items():
            answer = expect(client.get_manifest(repository, digest), 200)
            assert answer.content == manifest.payload, f"{repository}@{digest}"
        for (repository, tag), digest in self.tags.items():
            answer = expect(client.head_manifest(repository, tag), 200)
            assert answer.headers["Docker-Content-Digest"] == digest, f"{repository}:{tag}"
        return len(self.blobs) + len(self.manifests) + len(self.tags)


class GaveUpError(AssertionError):
    """Every attempt met something that a client may meet, and there were no more attempts."""


class PatientClient:
    """Pushes and pulls with retries, as docker and containerd do, and enters what was acknowledged into the ledger."""

    def __init__(self, client: RegistryClient, ledger: Ledger, attempts: int = ATTEMPTS) -> None:
        self.client = client
        self.ledger = ledger
        self.attempts = attempts

    def push(
        self, repository: str, manifest: Manifest, tag: str | None = None, method: PushMethod = PUSH_METHODS[0]
    ) -> None:
        for blob in manifest.all_blobs():
            self._retry(lambda blob=blob: self._push_blob(repository, blob, method))  # type: ignore[misc]
            self.ledger.blob(repository, blob)
        *below, top = manifest.manifests()
        for child in below:
            self.put(repository, child)
        self.put(repository, top, tag)

    def put(self, repository: str, manifest: Manifest, tag: str | None = None) -> None:
        self._retry(lambda: expect(self.client.put_manifest(repository, manifest, tag), 201))
        self.ledger.manifest(repository, manifest, tag)

    def pull(self, repository: str, reference: str) -> Manifest:
        pulled: list[Manifest] = []
        self._retry(lambda: pulled.append(self.client.pull(repository, reference)))
        return pulled[-1]

    def _push_blob(self, repository: str, blob: Blob, method: PushMethod) -> None:
        if expect(self.client.head_blob(repository, blob.digest), 200, 404).status_code == 404:
            self.client.push_blob(repository, blob, method)

    def _retry(self, attempt: Callable[[], object]) -> None:
        for number in range(self.attempts):
            if number:
                time.sleep(PAUSE)
                self.client.forget_tokens()
            try:
                attempt()
                return
            except UnexpectedStatusError as error:
                if error.response.status_code not in RETRYABLE:
                    raise
                self.ledger.failure(str(error.response.status_code))
            except (requests.ConnectionError, requests.Timeout) as error:
                self.ledger.failure(type(error).__name__)
        raise GaveUpError(f"still refused after {self.attempts} attempts: {dict(self.ledger.failures)}")


class Crowd:
    """Threads that work until they are told to stop; the first error of one fails the test at the end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []
        self.rounds = 0

    def add(self, work: Callable[[int], None]) -> None:
        """work(round) again and again."""

        def run() -> None:
            number = 0
            while not self._stop.is_set() and not self.errors:
                try:
                    work(number)
                except BaseException as error:
                    self.errors.append(error)
                    return
                number += 1
                self.rounds += 1

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def finish(self, seconds: float = 60) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a client hangs"
        if self.errors:
            raise self.errors[0]
