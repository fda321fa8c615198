"""The S3 driver's writer: parts go up while bytes stream, the rest is kept as a tail object.

What is staged at any checkpoint, as `S3Staging` records it:

    | part 1 | part 2 | … | part n |  tail  |
      full parts of the multipart upload   an object of its own, smaller than a part

Parts are always full: some servers (R2) demand equal parts, and a body cut into many small requests must not use up the
10,000 numbers. So a body smaller than a part makes no multipart upload at all, and costs one PUT.

Every tail gets a new name. A writer that its caller gave up on can so never change bytes that another's state names; if
it sends a part again, the ETag recorded by the other no longer matches, and S3 refuses to complete (SeaweedFS keeps
every attempt and takes the recorded one).
"""

import base64
import hashlib
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, cast

from haven_registry.storage.background import Background
from haven_registry.storage.driver import StagingState
from haven_registry.storage.errors import ObjectMissing, StagingLost, StorageError, StorageTruncated, os_errors
from haven_registry.storage.keys import BLOBS
from haven_registry.storage.s3_bucket import Bucket, Part
from haven_registry.storage.s3_reader import read_object

STAGING = "staging/"
PART_BYTES = 8 * 1024 * 1024
_PARTS_OF_ONE_SIZE = 1000
_MEMORY_BYTES = 16 * 1024 * 1024


def part_bytes(number: int) -> int:
    """The size of part `number` (from 1): 8 MiB, doubled each 1,000 parts.

    10,000 parts, S3's limit, so hold 8 TiB, more than its 5 TiB for an object; the largest is 4 GiB (limit: 5 GiB).
    """
    return PART_BYTES << ((number - 1) // _PARTS_OF_ONE_SIZE)


def staging_prefix(key: str) -> str:
    """Where the tails of uploads to `key` are: `staging/<aa>/<uuid>/`."""
    return f"{STAGING}{key.removeprefix(BLOBS)}/"


@dataclass(slots=True)
class S3Staging:
    """What is staged for one upload; the typed form of its StagingState."""

    upload_id: str | None = None
    """The multipart upload, once there is a part."""
    parts: list[Part] = field(default_factory=list)
    tail: str | None = None
    """Name of the object with the bytes after the last part."""
    tail_size: int = 0
    stale: list[str] = field(default_factory=list)
    """Former tails. They may go once a state that doesn't need them is recorded: at the next append or seal."""

    @property
    def size(self) -> int:
        """Bytes staged."""
        return sum(part.size for part in self.parts) + self.tail_size

    @classmethod
    def from_state(cls, state: StagingState | None) -> "S3Staging":
        """The staging that `state` records."""
        if state is None:
            return cls()
        parts = [Part(number, etag, size) for number, etag, size in state["parts"]]
        return cls(state["upload_id"], parts, state["tail"], state["tail_bytes"], list(state["stale"]))

    def to_state(self) -> StagingState:
        """JSON for the upload's row: about 60 bytes a part."""
        return {
            "bytes": self.size,
            "upload_id": self.upload_id,
            "parts": [[part.number, part.etag, part.size] for part in self.parts],
            "tail": self.tail,
            "tail_bytes": self.tail_size,
            "stale": list(self.stale),
        }


class PartBuffer:
    """The bytes of a part or tail until they are sent, and again while they are retried. Up to 16 MiB in memory, larger
    ones (from the 2,001st part on, past 24 GiB) in a temporary file."""

    def __init__(self) -> None:
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - closed by its owner
        self._md5 = hashlib.md5(usedforsecurity=False)

    def add(self, data: bytes | memoryview) -> None:
        """Append `data`. Raises: StorageFull and its kin from the temporary folder."""
        with os_errors("buffer a part"):
            self._file.write(data)
        self._md5.update(data)
        self.size += len(data)

    def content_md5(self) -> str:
        """For the Content-MD5 header."""
        return base64.b64encode(self._md5.digest()).decode()

    def body(self) -> IO[bytes]:
        """The bytes from the start; give `rewind_to_end` before adding more."""
        self._file.seek(0)
        return cast("IO[bytes]", self._file)

    def rewind_to_end(self) -> None:
        """Make ready for `add` after `body` was read."""
        self._file.seek(0, 2)

    def close(self) -> None:
        """Free the memory or file."""
        self._file.close()


class S3StagedWriter:
    """StagedWriter over a bucket. Holds two part buffers at most: one filling, one on its way."""

    def __init__(self, bucket: Bucket, *, key: str, staging: S3Staging, buffer: PartBuffer) -> None:
        """`buffer` holds the bytes of `staging`'s tail."""
        self.size = 0
        self.will_cut = False  # what no recorded state names is just not part of the upload
        self._bucket = bucket
        self._key = key
        self._staging = staging
        self._buffer = buffer
        self._durable_size = 0
        self._part_number = len(staging.parts) + 1
        self._transfer = Background()
        self._closed_state: StagingState | None = None
        self._is_open = True

    def write(self, chunk: bytes | memoryview) -> None:
        """Fill the current part; send it beside the caller when it is full, once the one before has arrived."""
        self._require_open()
        view = memoryview(chunk).cast("B")
        try:
            while view:
                piece = view[: part_bytes(self._part_number) - self._buffer.size]
                self._buffer.add(piece)
                self.size += len(piece)
                view = view[len(piece) :]
                if self._buffer.size == part_bytes(self._part_number):
                    self._send_part()
        except StorageError:
            self._fail()
            raise

    def checkpoint(self) -> StagingState:
        """Wait for the parts on their way and store the rest as a new tail."""
        self._require_open()
        try:
            self._transfer.wait()
            if self._buffer.size != self._staging.tail_size:
                self._store_tail()
        except StorageError:
            self._fail()
            raise
        self._durable_size = self.size
        return self._staging.to_state()

    def close(self) -> StagingState:
        """Checkpoint and release."""
        if self._closed_state is None:
            try:
                self._closed_state = self.checkpoint()
            finally:
                self.discard()
        return dict(self._closed_state)

    def discard(self) -> None:
        """Release. Parts and tails that no recorded state names are removed by `seal` or `abandon`."""
        self._is_open = False
        self._transfer.join()
        self._buffer.close()

    def revert(self) -> None:
        """Release: no state names what was sent."""
        self.discard()

    def _send_part(self) -> None:
        self._transfer.wait()
        if self._staging.upload_id is None:
            self._staging.upload_id = self._bucket.create_upload(self._key)
        upload_id, number, buffer = self._staging.upload_id, self._part_number, self._buffer

        def transfer() -> None:
            try:
                etag = self._bucket.upload_part(self._key, upload_id, number, buffer.body(), buffer.content_md5())
                self._staging.parts.append(Part(number, etag, buffer.size))
            finally:
                buffer.close()

        self._drop_tail()  # its bytes are the beginning of this part
        self._transfer.start(transfer)
        self._buffer, self._part_number = PartBuffer(), number + 1

    def _store_tail(self) -> None:
        name = f"{staging_prefix(self._key)}{uuid.uuid4().hex}"
        self._bucket.put(name, self._buffer.body(), self._buffer.content_md5())
        self._buffer.rewind_to_end()
        self._drop_tail()
        self._staging.tail, self._staging.tail_size = name, self._buffer.size

    def _drop_tail(self) -> None:
        if self._staging.tail is not None:
            self._staging.stale.append(self._staging.tail)
        self._staging.tail, self._staging.tail_size = None, 0

    def _fail(self) -> None:
        self.size = self._durable_size
        self.discard()

    def _require_open(self) -> None:
        if not self._is_open:
            raise ValueError("the writer is released")


def resume(bucket: Bucket, key: str, state: StagingState | None) -> S3StagedWriter:
    """A writer that goes on where `state` ends: all its parts are there, its tail is fetched back.

    Raises: StagingLost when S3 no longer has what `state` records.
    """
    staging = S3Staging.from_state(state)
    if staging.upload_id is not None and not set(staging.parts) <= set(bucket.list_parts(key, staging.upload_id)):
        raise StagingLost(f"{key}: parts of the multipart upload are gone")
    buffer = PartBuffer()
    try:
        for chunk in read_tail(bucket, key, staging):
            buffer.add(chunk)
    except StorageError:
        buffer.close()
        raise
    # `state` is recorded, or it would not have come back: what it calls stale is needed by nobody.
    bucket.delete(staging.stale)
    staging.stale = []
    return S3StagedWriter(bucket, key=key, staging=staging, buffer=buffer)


def read_tail(bucket: Bucket, key: str, staging: S3Staging) -> Iterator[bytes]:
    """The bytes of the tail object, none if there is no tail. Raises: StagingLost when it is gone or too short."""
    if staging.tail is None:
        return iter(())
    try:
        return read_object(bucket, staging.tail, 0, staging.tail_size)
    except (ObjectMissing, StorageTruncated) as error:
        raise StagingLost(f"{key}: the tail of the upload is gone") from error
