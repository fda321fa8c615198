"""The seam between the registry and where bytes live: what every driver promises.

The life of an upload:

    state = None
    writer = driver.append(key, state, offset=0)     one per request body
    writer.write(chunk) …
    state = writer.close()                           durable; the caller records state and offset
    driver.seal(key, state, size)                    durable and readable at key; then the database may name it

A crash at any point leaves the upload at the caller's last recorded state: bytes after it are cut by the next writer.
Every method takes keys made by `keys.new_key` and raises ValueError for others, and may be called from any thread.
Errors are those of `errors`; any call may raise StorageUnavailable, StorageFull (writes only) or StorageError besides
those it names.
"""

import pathlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from haven_registry.storage.errors import StagingLost

StagingState = dict[str, Any]
"""What the driver must know to go on with an upload: JSON-serialisable, opaque to the caller, kept in the upload's row.
None instead of it: nothing is staged yet."""

READ_CHUNK_BYTES = 256 * 1024
"""The most that a reader hands out at once, and so the memory one download takes."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One thing found in the storage by `StorageDriver.list_keys`."""

    key: str
    """The blob's key; for something staged, the key that it is staged for (what `abandon` wants)."""
    size: int
    """Bytes; 0 for a multipart upload in progress, which S3 lists without a size."""
    modified_at: datetime
    """When it was last written, with a time zone."""
    is_staged: bool
    """True for what an upload has staged and not published, or what a crash left of one."""


class StagedWriter(Protocol):
    """Appends one request body to an upload. Used by one thread; ended by `close` or `discard`.

    After an error of `write`, `checkpoint` or `close` it is good for `discard` only; the upload then stands where the
    caller last recorded it.
    """

    size: int
    """Bytes accepted by this writer; after an error, those that are durable."""
    will_cut: bool
    """Whether bytes beyond the offset are staged, which the first `write` or `checkpoint` cuts. A crash left them, or
    another writer that was recorded since the caller read its state: then cutting would destroy what counts. So the
    caller makes sure, now that the upload is its own, that its state is still the recorded one."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Append all of `chunk`. Takes bounded memory whatever the body's length. Not yet durable on return.

        Raises: StorageFull, StorageUnavailable, StagingLost when the upload was abandoned meanwhile (where detectable).
        """

    def checkpoint(self) -> StagingState:
        """Make every byte written so far durable. The state returned includes them all.

        Raises: StorageFull, StorageUnavailable; then nothing since the last checkpoint counts.
        """

    def close(self) -> StagingState:
        """`checkpoint`, then release the upload, even when the checkpoint fails. Again: the same state."""

    def discard(self) -> None:
        """Release the upload. What came after the caller's last recorded state is forgotten. Never raises."""

    def revert(self) -> None:
        """Remove what was staged since `append`, and release the upload: for a caller that can't be sure that anybody will cut
        it. Nothing may have been recorded since. Never raises."""


class StorageDriver(Protocol):
    """A place for blobs. Published objects never change; they appear by `seal` or `put` and go by `delete`."""

    name: str
    """`filesystem`, `s3` or `memory`: for logs and metrics."""
    sees_staged: bool
    """Whether `append` and `seal` find out that more is staged than their caller's state says."""

    def append(self, key: str, state: StagingState | None, offset: int) -> StagedWriter:
        """Go on with an upload at byte `offset`, which is what `state` holds. Changes nothing yet (see `will_cut`).

        Two writers at once: the filesystem and memory drivers refuse the second by a lock that ends with its process.
        S3 can't see it, but no byte of one writer ever gets into the other's state: the caller's compare-and-set on the
        recorded state decides whose bytes count.

        An upload of which nothing is staged any more because it was published since the caller read it is busy too: its session
        is about to be closed, or to be ended once more by whoever looks at it anew.

        Raises: UploadBusy; StagingLost when fewer bytes are staged than `state` records; ValueError when `offset` is
        not what `state` holds.
        """

    def seal(self, key: str, state: StagingState | None, size: int, *, may_cut: bool = True) -> None:
        """Publish the staged `size` bytes at `key`: durable and readable when this returns.

        Idempotent: after a crash in the middle or an unknown outcome, the same call succeeds, also when the object
        already stands at `key` with that size. An object of another size there is an error (StorageError).

        may_cut: bytes staged beyond them are what a crash left, and go. A caller whose state may be an old one says False.

        Raises: StagingLost when staged bytes and `size` differ; StagedAhead when there are more, may_cut is False and the
        driver sees them; UploadBusy while a writer is at it.
        """

    def abandon(self, key: str, state: StagingState | None) -> None:
        """Remove all that is staged for `key`, also what a crash left unrecorded. Idempotent.

        A sealed object stays: `delete` removes those. A writer still at the upload does no harm: its bytes go nowhere.
        """

    def read_staged(self, key: str, state: StagingState | None, size: int) -> Iterator[bytes]:
        """The first `size` staged bytes, to hash them again before `seal`.

        After it only `seal` or `abandon` may follow: S3 can read a multipart upload only once it is completed. Where an
        earlier `seal` has published them, and its caller died before it could say so, they are read from there.

        Raises: StagingLost, StorageTruncated.
        """

    def put(self, key: str, data: bytes) -> None:
        """Publish a small object in one go: durable and readable when this returns. The same again is success."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Bytes `start` up to `start + length` (to the end when None), in chunks of at most READ_CHUNK_BYTES.

        Closing the iterator early releases what it holds.

        Raises: at the call, ObjectMissing, and StorageTruncated when the object is known to be too short; while
        reading, StorageTruncated. An iterator that ends cleanly has given every byte.
        """

    def size(self, key: str) -> int:
        """Bytes of the published object. Raises: ObjectMissing."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove published objects; one that is missing counts as removed. All are tried before an error is raised."""

    def local_path(self, key: str) -> pathlib.Path | None:
        """Where a web server on this machine finds the object (X-Accel-Redirect, sendfile); None when nowhere.

        Computed from the key alone; whether the object exists is not asked.
        """

    def presigned_url(
        self,
        key: str,
        expires_seconds: int,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
    ) -> str | None:
        """A URL that lets its bearer GET the object for `expires_seconds`, with these response headers.

        None when the driver can't or its configuration does not want it. No request is made.
        """

    def list_keys(self, prefix: str = "", *, only_staged: bool = False) -> Iterator[StoredObject]:
        """Everything whose key begins with `prefix`, published and staged, in no promised order, page by page.

        For fsck and the orphan sweep only. Objects that appear or go while it runs may be missed. Foreign names are
        left out.
        """

    def check(self) -> None:
        """Write, read back and remove a few bytes. Raises: StorageError, saying what is wrong."""


def recorded_size(state: StagingState | None) -> int:
    """How many bytes `state` says are staged and durable."""
    return 0 if state is None else int(state["bytes"])


def require_recorded(key: str, state: StagingState | None, size: int) -> None:
    """Raises StagingLost unless exactly `size` bytes are recorded: what was never durable is not published."""
    recorded = recorded_size(state)
    if recorded != size:
        raise StagingLost(f"{key}: {recorded} bytes are staged, not {size}")


def require_offset(state: StagingState | None, offset: int) -> None:
    """Raises ValueError when the caller's offset and state don't belong together."""
    if recorded_size(state) != offset:
        raise ValueError(f"offset {offset} is not what the state holds: {recorded_size(state)}")


def require_range(start: int, length: int | None) -> None:
    """Raises ValueError for a range that can't be."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"not a range: start {start}, length {length}")
