"""Reading every byte again, slowly, and comparing digests: Haven's SCRUB job."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import timezone

from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.run import Run
from haven_registry.models import Blob, Manifest
from haven_registry.storage.errors import ObjectMissing, StorageError, StorageTruncated
from haven_registry.store import driver

KIND = "SCRUB"
DEFAULT_RATE = 50 * 1024 * 1024
PAGE = 500
MANIFESTS_IN_PAGE = 20  # of 4 MiB at most

MISSING, DIFFERENT = "the bytes are missing or too few", "the bytes are not those of the digest"


def register() -> None:
    """At app ready."""
    register_kind(Kind(KIND, run_scrub, attempts=1, is_exclusive=True))


def checked_parameters(sent: Mapping[str, Any]) -> dict[str, Any]:
    """bytes_per_second: the limit. Raises BadRequest."""
    rate = sent.get("bytes_per_second", DEFAULT_RATE)
    if type(rate) is not int or rate < 1:
        raise BadRequest("bytes_per_second must be a number of bytes, 1 or more")
    return {"bytes_per_second": rate}


class Pace:
    """Lets at most so many bytes a second through."""

    def __init__(
        self,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = bytes_per_second, clock, sleep
        self._free_at = clock()

    def take(self, size: int, check: Callable[[], None]) -> None:
        """Account for `size` bytes, and wait until they are due; what was not used earlier is not made up for. Meanwhile
        `check` is called twice a second, so that a slow pace keeps nobody from stopping the job."""
        self._free_at = max(self._free_at, self._clock()) + size / self._rate
        while (wait := self._free_at - self._clock()) > 0:
            check()
            self._sleep(min(wait, 0.5))


def run_scrub(run: Run) -> dict[str, Any]:
    """Marks blobs whose bytes are wrong or gone, and takes the mark from those that are well; reads manifests, too. Returns
    blobs, manifests, damaged of both, and unreadable (the storage did not answer; nothing is known of these)."""
    total = {"blobs": 0, "manifests": 0, "damaged": 0, "unreadable": 0}
    pace = Pace(run.parameters["bytes_per_second"])
    _read_manifests(run, pace, total)
    _read_blobs(run, pace, total)
    return total


def _read_manifests(run: Run, pace: Pace, total: dict[str, int]) -> None:
    """They are in the database. One that differs can only be told: push or delete it."""
    run.phase("manifests", total=Manifest.objects.count())
    rows = Manifest.objects.order_by("id").values_list("id", "repository__full_name", "digest", "payload")
    last = 0
    while page := list(rows.filter(id__gt=last)[:MANIFESTS_IN_PAGE]):
        last = page[-1][0]
        for _, repository, digest, payload in page:
            algorithm, _, expected = digest.partition(":")
            total["manifests"] += 1
            run.advance(size=len(payload))
            pace.take(len(payload), run.check)
            if hashlib.new(algorithm, payload).hexdigest() != expected:
                total["damaged"] += 1
                run.error("damaged", manifest=f"{repository}@{digest}", reason=DIFFERENT)
        run.check()


def _read_blobs(run: Run, pace: Pace, total: dict[str, int]) -> None:
    run.phase("read", total=Blob.objects.count())
    rows = Blob.objects.order_by("id").values_list("id", "digest", "object_id", "object__storage_key", "damaged_at")
    last = 0
    while page := list(rows.filter(id__gt=last)[:PAGE]):
        last = page[-1][0]
        for blob_id, digest, object_id, key, damaged_at in page:
            try:
                fault = _fault(run, digest, key, pace)
            except StorageError as error:
                total["unreadable"] += 1
                run.warning("can't be read now", digest=digest, key=key, error=str(error))
                continue
            total["blobs"] += 1
            run.advance()
            is_known = fault is not None and _mark(blob_id, object_id)
            if is_known:
                total["damaged"] += 1
                run.error("damaged", digest=digest, key=key, reason=fault)
            elif fault is None and damaged_at is not None:
                _unmark(blob_id, object_id)
                run.info("well again", digest=digest, key=key)


def _fault(run: Run, digest: str, key: str, pace: Pace) -> str | None:
    algorithm, _, expected = digest.partition(":")
    found = hashlib.new(algorithm)
    try:
        for chunk in driver().read(key):
            found.update(chunk)
            run.advance(0, size=len(chunk))
            pace.take(len(chunk), run.check)
    except (ObjectMissing, StorageTruncated):
        return MISSING
    run.check()
    return None if found.hexdigest() == expected else DIFFERENT


def _mark(blob_id: int, object_id: int) -> bool:
    """Whether it was this blob's: it may have been removed, or given other bytes, while it was read."""
    mine = Blob.objects.filter(id=blob_id, object_id=object_id)
    return bool(run_write(lambda: mine.update(damaged_at=timezone.now())))


def _unmark(blob_id: int, object_id: int) -> None:
    mine = Blob.objects.filter(id=blob_id, object_id=object_id)
    run_write(lambda: mine.update(damaged_at=None))
