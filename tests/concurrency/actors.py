"""Clients: they push, mount, copy, tag, delete, restore and pull, and keep a ledger of what they were promised."""

import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from django.utils import timezone

from haven_core.conf import config
from haven_core.errors import Conflict, HavenError
from haven_registry import selectors
from haven_registry.errors import BlobUnknown, ManifestBlobUnknown
from haven_registry.models import Manifest, Repository
from haven_registry.oci.manifest import parse_manifest
from haven_registry.services import blobs, publishing, repositories, tags, uploads
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.manifests import put_manifest
from haven_registry.services.pulls import PullCount, apply_pull_batch
from haven_registry.services.repositories import get_or_create_repository
from haven_registry.services.restore import restore_manifest
from haven_registry.storage.errors import StorageError
from tests.concurrency.world import (
    BLOBS,
    COMMON,
    CONTESTED,
    DIGESTS,
    FEW_TAGS,
    HOT,
    PROJECTS,
    SHARED,
    SPARKS,
    VICTIM,
    Run,
)
from tests.support.documents import digest_of, image, index
from tests.support.site import OWNER

KEEP = 4  # own manifests per actor: few, so that blobs die and come back often
Place = tuple[str, str, int]  # project, name, repository id


class Missing(Exception):
    """What a pull did not find."""


def pull(run: Run, place: Place, *, digest: str | None = None, tag: str | None = None) -> None:
    """As a client: the manifest, every blob with its bytes checked, children too. Raises Missing."""
    project, name, _ = place
    found = selectors.find_manifest(project, name, tag=tag, digest=digest)
    payload = selectors.load_payload(found.id) if found else None
    if found is None or payload is None:
        raise Missing(f"manifest {tag or digest}")
    if digest_of(payload) != found.digest or digest not in (None, found.digest):
        raise Missing(f"payload of {found.digest} differs")
    parsed = parse_manifest(payload, found.media_type)
    for _, blob in parsed.required_blobs:
        shown = selectors.find_blob(project, name, str(blob.digest))
        if shown is None:
            raise Missing(f"blob {blob.digest} answers 404")
        try:
            data = run.storage().get(shown.storage_key)
        except StorageError as error:
            raise Missing(f"bytes of {blob.digest}: {error}") from None
        if digest_of(data) != str(blob.digest):
            raise Missing(f"bytes of {blob.digest} differ")
    for child in parsed.child_manifests:
        pull(run, place, digest=str(child.digest))


class Actor:
    """One client process. What it pushed under its own tags is in its ledger; nobody else deletes that."""

    def __init__(self, run: Run, slot: int, seed: int) -> None:
        self.run, self.slot, self.random, self.count = run, slot, random.Random(seed), Counter[str]()
        self.storage = run.storage()
        self.promised: dict[tuple[int, str], float] = {}  # until when a manifest PUT must accept the blob
        self.before = 0.0
        self.ledger: dict[str, dict[str, Any]] = {}
        for line in run.lines(f"ledger-{slot}"):
            if line.pop("is_there"):
                self.ledger[line["tag"]] = line
            else:
                self.ledger.pop(line["tag"], None)

    # ------------------------------------------------------------ one push

    def place(self, *, victims: bool = True) -> Place:
        project = self.random.choice(list(PROJECTS))
        return self.at(project, self.random.choice([*SHARED[project], VICTIM] if victims else SHARED[project]))

    def at(self, project: str, name: str) -> Place:
        return project, name, get_or_create_repository(self.run.project_ids[project], name)

    def promise(self, place: Place, digest: str, seconds: float) -> None:
        project, name, repository = place
        if PROJECTS[project] is None and name != VICTIM:  # eviction and the delete of a repository may break promises
            until = self.before + seconds
            self.promised[repository, digest] = max(self.promised.get((repository, digest), 0), until)

    def ensure_blob(self, place: Place, number: int) -> None:
        """As clients do: HEAD, else mount, else upload."""
        project, name, repository = place
        digest, project_id = DIGESTS[number], self.run.project_ids[project]
        self.before = time.time()
        if selectors.find_blob(project, name, digest):
            self.count["head_200"] += 1
            self.promise(place, digest, min(config().head_margin, config().gc_grace).total_seconds())
            return
        if self.random.random() < 0.4:
            _, _, source = self.place(victims=False)
            try:
                blobs.mount_blob(
                    source_repository_id=source, repository_id=repository, project_id=project_id, digest=digest
                )
            except BlobUnknown:
                self.count["mount_202"] += 1
            else:
                self.promise(place, digest, config().upload_lease.total_seconds())
                self.count["mount"] += 1
                return
        self.upload(place, BLOBS[number])
        self.promise(place, digest, config().upload_lease.total_seconds())

    def upload(self, place: Place, data: bytes) -> None:
        """In one or two chunks; now and then only the first one, for ever."""
        upload = uploads.start_upload(repository_id=place[2], owner=OWNER)
        self.run.note(f"keys-{self.slot}", key=upload.key)
        cut = self.random.choice([len(data), len(data), len(data) // 2])
        for chunk in filter(None, (data[:cut], data[cut:])):
            writer = self.storage.append(upload.key, upload.staging, upload.received_bytes)
            writer.write(chunk)
            received = upload.received_bytes + len(chunk)
            upload = uploads.record_progress(
                upload, received_bytes=received, prefix_digest=None, staging=writer.close()
            )
            if len(chunk) < len(data) and self.random.random() < 0.05:
                self.count["upload_abandoned"] += 1
                raise BlobUnknown([digest_of(data)])
            upload = uploads.find_upload(
                upload_id=upload.id, repository="/".join(place[:2]), owner=OWNER, digest=digest_of(data)
            )
        self.storage.seal(upload.key, upload.staging, len(data))
        self.before = time.time()
        publishing.commit_upload(upload=upload, digest=digest_of(data), size=len(data))
        self.count["upload"] += 1

    def image(self, place: Place, numbers: Iterable[int], nonce: str, subject: str | None = None) -> bytes:
        numbers = list(numbers)
        for number in numbers:
            self.ensure_blob(place, number)
        more = {"subject": {"mediaType": "x/y", "digest": subject, "size": 1}, "artifactType": "test/sbom"}
        return image(*(DIGESTS[number] for number in numbers), nonce=nonce, **(more if subject else {}))

    def put(self, place: Place, payload: bytes, *names: str) -> str:
        """Raises what put_manifest raises; a broken promise is a violation."""
        _, _, repository = place
        begun = time.time()
        try:
            return put_manifest(
                repository=repository, parsed=parse_manifest(payload, None),
                payload=payload, digest=digest_of(payload), tags=names,
            ).digest  # fmt: skip
        except ManifestBlobUnknown as error:
            self.count["put_blob_unknown"] += 1
            for digest in error.digests:
                if self.promised.get((repository, digest), 0) > time.time():
                    self.run.violation("broken_promise", repository=repository, digest=digest, begun=begun)
            raise

    def push(self, kind: str, *, own: bool) -> None:
        """Shared manifests come from a small pool: the same digest is pushed, trashed, revived and restored by all."""
        place = self.place(victims=not own)
        nonce = self.nonce() if own else f"shared-{self.random.randrange(6)}"
        pool = self.random if own else random.Random(nonce + kind)
        tag = f"own-{nonce}" if own else self.random.choice([*FEW_TAGS, ""])

        def pick() -> list[int]:
            return pool.sample(COMMON, pool.randint(2, 5))

        if kind == "index":
            children = [self.put(place, self.image(place, pick(), f"{nonce}/{part}")) for part in range(2)]
            cache = pool.choice(COMMON)
            self.ensure_blob(place, cache)
            payload = index(*children, blobs=[DIGESTS[cache]], nonce=nonce)
        else:
            subjects = self.manifests(place, live=True) if own else []
            subject = self.random.choice(subjects or [DIGESTS[0]]) if kind == "referrer" else None
            payload = self.image(place, pick(), nonce, subject)
        digest = self.put(place, payload, *filter(None, [tag]))
        self.count[f"push_{kind}"] += 1
        if own:
            self.remember(place, digest, tag)
            self.must_pull(tag)

    def nonce(self) -> str:
        return f"{self.slot}-{self.random.getrandbits(60)}"

    # ------------------------------------------------------------ the ledger

    def remember(self, place: Place, digest: str, tag: str) -> None:
        self.ledger[tag] = {"tag": tag, "place": place, "digest": digest}
        self.run.note(f"ledger-{self.slot}", is_there=True, **self.ledger[tag])

    def forget(self, tag: str) -> dict[str, Any]:
        self.run.note(f"ledger-{self.slot}", is_there=False, tag=tag)
        return self.ledger.pop(tag)

    def must_pull(self, tag: str) -> None:
        entry = self.ledger[tag]
        try:
            pull(self.run, entry["place"], tag=tag)
            pull(self.run, entry["place"], digest=entry["digest"])
            self.count["ledger_pull"] += 1
        except Missing as error:
            self.run.violation("acknowledged_manifest_not_pullable", error=str(error), **entry)

    def manifests(self, place: Place, *, live: bool) -> list[str]:
        rows = Manifest.objects.filter(repository_id=place[2], deleted_at__isnull=live).order_by("-id")
        return list(rows.values_list("digest", flat=True)[:20])

    def is_shared(self, place: Place, digest: str) -> bool:
        """Of nobody's ledger, and no part of such a manifest: told by the nonce."""
        row = Manifest.objects.filter(repository_id=place[2], digest=digest).values_list("payload", flat=True).first()
        return row is not None and json.loads(bytes(row))["annotations"]["nonce"].startswith("shared-")

    # ------------------------------------------------------------ the other things a client does

    def verify(self) -> None:
        if self.ledger:
            self.must_pull(self.random.choice(list(self.ledger)))

    def dance(self) -> None:
        """A few blobs that nothing else uses, pushed, pulled and deleted by everybody at once: every level of the chain
        is collected while somebody uploads, mounts or names the same blob."""
        place, nonce = self.place(victims=False), self.nonce()
        digest = self.put(place, self.image(place, self.random.sample(HOT, 2), nonce), f"own-{nonce}")
        self.remember(place, digest, f"own-{nonce}")
        self.must_pull(f"own-{nonce}")
        self.count["dance"] += 1
        self.delete_own(f"own-{nonce}", restore=0.1)

    def spark(self) -> None:
        """A blob that nothing names, in one of two repositories: it goes when its lease is over, level by level, while others
        upload, mount or read the same one. While it is shown it has its bytes."""
        place, data = self.at("free", f"spark-{self.random.randrange(2)}"), self.random.choice(SPARKS)
        digest, project_id = digest_of(data), self.run.project_ids["free"]
        if self.random.random() < 0.2:
            _, _, source = self.at("free", f"spark-{self.random.randrange(2)}")
            with suppress(BlobUnknown):
                blobs.mount_blob(
                    source_repository_id=source, repository_id=place[2], project_id=project_id, digest=digest
                )
                self.count["spark_mount"] += 1
        else:
            self.upload(place, data)
        looked_at = time.monotonic()
        shown = selectors.find_blob(*place[:2], digest)
        if shown is None:
            return
        self.count["spark"] += 1
        try:
            is_whole = self.storage.get(shown.storage_key) == data
        except StorageError:
            is_whole = False
        # what is shown has its margin left, counted from before it was looked for
        if not is_whole and time.monotonic() - looked_at < config().head_margin.total_seconds():
            self.run.violation("shown_without_bytes", digest=digest, key=shown.storage_key)

    def contest(self) -> None:
        """One small repository in which everybody tags, deletes, restores and names the same two manifests."""
        place = self.at("free", "contest")
        repository = place[2]
        images = [self.image(place, CONTESTED, f"shared-c{number}") for number in range(2)]
        digest = digest_of(self.random.choice(images))
        steps: list[Callable[[], object]] = [
            lambda: self.put(place, self.random.choice(images), self.random.choice(FEW_TAGS)),
            lambda: self.put(place, self.random.choice(images), *self.random.sample(FEW_TAGS, 3)),
            lambda: tags.move_tag(repository_id=repository, name=self.random.choice(FEW_TAGS), digest=digest),
            lambda: delete_manifest(repository_id=repository, digest=digest),
            lambda: restore_manifest(repository_id=repository, digest=digest),
            lambda: self.name_as_child(place, digest),
        ]
        for step in self.random.choices(steps, k=6):
            try:
                step()
                self.count["contest"] += 1
            except HavenError as error:
                self.count[f"contest_{type(error).__name__}"] += 1

    def name_as_child(self, place: Place, digest: str) -> None:
        parent = self.put(place, index(digest, nonce=f"shared-{self.random.randrange(3)}"))
        if self.random.random() < 0.7:
            delete_manifest(repository_id=place[2], digest=parent)

    def delete_own(self, tag: str = "", restore: float = 0.5) -> None:
        if not self.ledger:
            return
        entry = self.forget(tag or self.random.choice(list(self.ledger)))
        repository, digest = entry["place"][2], entry["digest"]
        delete_manifest(repository_id=repository, digest=digest)
        self.count["delete_own"] += 1
        if self.random.random() < restore:
            time.sleep(self.random.random() * 0.3)
            restore_manifest(repository_id=repository, digest=digest)  # ManifestUnknown: purged or evicted, fair
            self.remember(entry["place"], digest, entry["tag"])
            self.count["restore_own"] += 1
            self.must_pull(entry["tag"])

    def delete_shared(self) -> None:
        place = self.place()
        digests = [digest for digest in self.manifests(place, live=True) if self.is_shared(place, digest)]
        if digests:
            delete_manifest(repository_id=place[2], digest=self.random.choice(digests))
            self.count["delete_shared"] += 1

    def restore_shared(self) -> None:
        place = self.place()
        if digests := self.manifests(place, live=False):
            restore_manifest(repository_id=place[2], digest=self.random.choice(digests))
            self.count["restore_shared"] += 1

    def delete_blob(self) -> None:
        place = self.place()
        blobs.delete_blob(repository_id=place[2], digest=DIGESTS[self.random.choice(COMMON)])
        self.count["delete_blob"] += 1

    def move_tag(self) -> None:
        place = self.place()
        if digests := self.manifests(place, live=True):
            name = self.random.choice(FEW_TAGS)
            tags.move_tag(repository_id=place[2], name=name, digest=self.random.choice(digests))
            self.count["move_tag"] += 1

    def delete_tag(self) -> None:
        tags.delete_tag(repository_id=self.place()[2], name=self.random.choice(FEW_TAGS))
        self.count["delete_tag"] += 1

    def copy(self) -> None:
        source, target = self.place(), self.place(victims=False)
        digests = self.manifests(source, live=True)
        if not digests or source == target:
            return
        digest = self.random.choice(digests)
        tag = self.random.choice(FEW_TAGS) if self.is_shared(source, digest) else f"own-copy-{self.nonce()}"
        copy_artifact(
            source_repository_id=source[2], digest=digest, repository_id=target[2],
            project_id=self.run.project_ids[target[0]], tags=[tag],
        )  # fmt: skip
        self.count["copy"] += 1

    def toss_repository(self) -> None:
        """Delete a victim, or take the last one back."""
        victims = Repository.objects.filter(name=VICTIM, project__name=self.random.choice(list(PROJECTS)))
        live = victims.filter(deleted_at=None).values_list("id", flat=True).first()
        if live and self.random.random() < 0.5:
            repositories.delete_repository(live)
            self.count["delete_repository"] += 1
        elif gone := victims.filter(deleted_at__isnull=False).order_by("-id").values_list("id", flat=True).first():
            try:
                repositories.restore_repository(gone)
                self.count["restore_repository"] += 1
            except Conflict:
                self.count["restore_repository_name_taken"] += 1

    def count_pulls(self) -> None:
        """A batch, noted first, and now and then offered twice."""
        _, _, repository = self.place(victims=False)
        batch, now = uuid.uuid4(), timezone.now()
        self.run.note(
            "pulls", batch=str(batch), repository=repository, day=str(now.date()), n=(n := self.random.randrange(1, 9))
        )
        for _ in range(self.random.choice([1, 2])):
            apply_pull_batch(batch, [PullCount(repository, DIGESTS[0], "t", now.date(), n, now)])
        self.count["pull_batch"] += 1

    def step(self) -> None:
        """One thing, by weight."""
        if self.run.focus and self.random.random() < 0.7:
            getattr(self, self.run.focus)()
            return
        full = len(self.ledger) >= KEEP
        choices: list[tuple[int, Callable[[], object]]] = [
            (0 if full else 10, lambda: self.push("image", own=True)),
            (0 if full else 4, lambda: self.push("index", own=True)),
            (0 if full else 3, lambda: self.push("referrer", own=True)),
            (12, lambda: self.push("image", own=False)),
            (8, lambda: self.push("index", own=False)),
            (3, lambda: self.push("referrer", own=False)),
            (10 if full else 4, self.delete_own),
            (8, self.verify), (10, self.delete_shared), (6, self.restore_shared), (6, self.move_tag), (6, self.delete_tag),
            (6, self.copy), (2, self.toss_repository), (30, self.dance), (15, self.contest), (10, self.spark),
            (4, self.delete_blob), (3, self.count_pulls),
        ]  # fmt: skip
        self.random.choices([act for _, act in choices], [weight for weight, _ in choices])[0]()
