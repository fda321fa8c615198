"""Blobs in this process's memory: for unit tests. Gone with the process, so nothing in it is durable."""

import pathlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from haven_registry.storage.driver import (
    READ_CHUNK_BYTES,
    StagedWriter,
    StagingState,
    StoredObject,
    require_offset,
    require_range,
    require_recorded,
)
from haven_registry.storage.errors import (
    ObjectMissing,
    StagedAhead,
    StagingLost,
    StorageError,
    StorageTruncated,
    UploadBusy,
)
from haven_registry.storage.keys import validate_key


@dataclass(slots=True)
class _Staged:
    data: bytearray = field(default_factory=bytearray)
    has_writer: bool = False
    modified_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class _Published:
    data: bytes
    modified_at: datetime


class MemoryWriter:
    """StagedWriter over a bytearray."""

    def __init__(self, staged: _Staged, offset: int, forget: Callable[[], object]) -> None:
        """`forget`: removes what is staged."""
        self.size = 0
        self._forget = forget
        self._staged = staged
        self._offset = offset
        self.will_cut = len(staged.data) > offset
        self._is_open = True
        self._closed_state: StagingState | None = None

    def write(self, chunk: bytes | memoryview) -> None:
        """Append `chunk`."""
        self._require_open()
        self._cut()
        self._staged.data += chunk
        self.size += len(chunk)

    def checkpoint(self) -> StagingState:
        """The state with everything written so far."""
        self._require_open()
        self._cut()
        return {"bytes": self._offset + self.size}

    def close(self) -> StagingState:
        """Checkpoint and release."""
        if self._closed_state is None:
            self._closed_state = self.checkpoint()
            self.discard()
        return dict(self._closed_state)

    def discard(self) -> None:
        """Release."""
        if self._is_open:
            self._is_open = self._staged.has_writer = False

    def revert(self) -> None:
        """Cut, or forget it whole, and release."""
        del self._staged.data[self._offset :]
        if self._offset == 0:
            self._forget()
        self.discard()

    def _cut(self) -> None:
        if self.will_cut:
            del self._staged.data[self._offset :]
            self.will_cut = False

    def _require_open(self) -> None:
        if not self._is_open:
            raise ValueError("the writer is released")


class MemoryDriver:
    """StorageDriver over two dictionaries; one lock guards both."""

    name = "memory"
    sees_staged = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._staged: dict[str, _Staged] = {}
        self._published: dict[str, _Published] = {}

    def append(self, key: str, state: StagingState | None, offset: int) -> StagedWriter:
        """Go on with an upload at `offset`."""
        validate_key(key)
        require_offset(state, offset)
        with self._lock:
            if offset == 0 and key in self._published and key not in self._staged:
                raise UploadBusy(f"{key}: another request is at the end of this upload")
            staged = self._staged.setdefault(key, _Staged()) if offset == 0 else self._staged.get(key)
            if staged is None or len(staged.data) < offset:
                raise StagingLost(f"{key}: fewer than {offset} bytes are staged")
            if staged.has_writer:
                raise UploadBusy(f"{key}: another writer is at this upload")
            staged.has_writer = True
        return MemoryWriter(staged, offset, lambda: self._staged.pop(key, None))

    def seal(self, key: str, state: StagingState | None, size: int, *, may_cut: bool = True) -> None:
        """Publish the staged bytes."""
        validate_key(key)
        require_recorded(key, state, size)
        with self._lock:
            published = self._published.get(key)
            if published is not None:
                if len(published.data) != size:
                    if not may_cut:
                        raise StagedAhead(f"{key}: {len(published.data)} bytes are published")
                    raise StorageError(f"{key}: an object of {len(published.data)} bytes is there, not {size}")
                self._staged.pop(key, None)
                return
            staged = self._staged.get(key, _Staged())
            if staged.has_writer:
                raise UploadBusy(f"{key}: another writer is at this upload")
            if len(staged.data) < size:
                raise StagingLost(f"{key}: fewer than {size} bytes are staged")
            if len(staged.data) > size and not may_cut:
                raise StagedAhead(f"{key}: more than {size} bytes are staged")
            self._published[key] = _Published(bytes(staged.data[:size]), datetime.now(UTC))
            self._staged.pop(key, None)

    def abandon(self, key: str, state: StagingState | None) -> None:  # noqa: ARG002 - the key says it all
        """Forget what is staged."""
        validate_key(key)
        with self._lock:
            self._staged.pop(key, None)

    def read_staged(self, key: str, state: StagingState | None, size: int) -> Iterator[bytes]:
        """The staged bytes, or the published ones."""
        validate_key(key)
        require_recorded(key, state, size)
        with self._lock:
            published = self._published.get(key)
            data = published.data if published else bytes(self._staged.get(key, _Staged()).data[:size])
        if len(data) < size:
            raise StagingLost(f"{key}: fewer than {size} bytes are staged")
        return _chunks(data)

    def put(self, key: str, data: bytes) -> None:
        """Publish `data`."""
        if key in self._published:
            self.seal(key, {"bytes": len(data)}, len(data))
            return
        writer = self.append(key, None, 0)
        writer.write(data)
        self.seal(key, writer.close(), len(data))

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of a range."""
        require_range(start, length)
        data = self._get(key).data
        end = len(data) if length is None else start + length
        if max(start, end) > len(data):
            raise StorageTruncated(f"{key}: {len(data)} bytes, not {max(start, end)}")
        return _chunks(data[start:end])

    def size(self, key: str) -> int:
        """Bytes of the published object."""
        return len(self._get(key).data)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove published objects."""
        for key in keys:
            validate_key(key)
            with self._lock:
                self._published.pop(key, None)

    def local_path(self, key: str) -> pathlib.Path | None:
        """None: memory has no paths."""
        validate_key(key)
        return None

    def presigned_url(
        self,
        key: str,
        expires_seconds: int,  # noqa: ARG002 - the Protocol's
        *,
        content_type: str | None = None,  # noqa: ARG002
        content_disposition: str | None = None,  # noqa: ARG002
    ) -> str | None:
        """None: memory has no URLs."""
        validate_key(key)
        return None

    def list_keys(self, prefix: str = "", *, only_staged: bool = False) -> Iterator[StoredObject]:
        """Everything under `prefix`, as it was at the call."""
        with self._lock:
            found = [StoredObject(key, len(it.data), it.modified_at, False) for key, it in self._published.items()]
            found += [StoredObject(key, len(it.data), it.modified_at, True) for key, it in self._staged.items()]
        return (it for it in found if it.key.startswith(prefix) and (it.is_staged or not only_staged))

    def check(self) -> None:
        """Memory is always there."""

    def _get(self, key: str) -> _Published:
        published = self._published.get(validate_key(key))
        if published is None:
            raise ObjectMissing(f"{key}: no such object")
        return published


def _chunks(data: bytes) -> Iterator[bytes]:
    return (data[at : at + READ_CHUNK_BYTES] for at in range(0, len(data), READ_CHUNK_BYTES))
