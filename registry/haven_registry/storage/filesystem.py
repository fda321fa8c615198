"""Blobs as files below one root folder, on a local disk or a shared filesystem.

    root/blobs/<aa>/<uuid>           published: written once, fsynced, its folder fsynced
    root/blobs/<aa>/<uuid>.upload    staged: next to it, so that publishing is one rename in one folder

Why it survives crashes:
- A staged file is fsynced by `checkpoint` and `close`, so `seal` only renames it and fsyncs the folder.
- A writer holds flock(LOCK_EX) on the staged file. The kernel drops it with the process, also after kill -9.
- The caller's recorded offset rules: bytes beyond it are cut by the next writer (and by `seal`).
- The name of a staged file becomes durable with the folder's fsync in `seal`, not before. Where fsync of a new file
  does not keep its name (ext4, XFS and btrfs do), power loss can take an unfinished upload: StagingLost, the client
  starts over. Nothing that was sealed is ever at stake.
- Shard folders are made and fsynced once for a driver, never for an upload. One that vanishes later is an error, not
  made anew: it means that the mount is away.

Files are 0600 and folders 0700: the web server that sends them runs as the same user.
"""

import fcntl
import os
import pathlib
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
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
    os_errors,
    translate_os_error,
)
from haven_registry.storage.filesystem_writer import FilesystemWriter
from haven_registry.storage.keys import BLOBS, is_key, validate_key

_STAGED_SUFFIX = ".upload"
_LOCK_ATTEMPTS = 5


class FilesystemDriver:
    """StorageDriver over a root folder. Several processes and machines may share it (flock must work across them)."""

    name = "filesystem"
    sees_staged = True

    def __init__(self, root: pathlib.Path) -> None:
        """Touches nothing yet: the folders are made at the first write."""
        if not root.is_absolute():
            raise ValueError(f"the storage root must be an absolute path: {root}")
        self._root = root
        self._prepare_lock = threading.Lock()
        self._is_prepared = False

    def __repr__(self) -> str:
        return f"FilesystemDriver({str(self._root)!r})"

    def append(self, key: str, state: StagingState | None, offset: int) -> StagedWriter:
        """Go on with an upload at `offset`, under the staged file's lock until the writer is released."""
        path = self._staged_path(key)
        require_offset(state, offset)
        self._prepare()
        fd = _open_locked(path, key, create=offset == 0)
        try:
            staged = _staged_size(fd, key, offset)
            will_cut = staged > offset
            if staged == 0 and _size_of(path.removesuffix(_STAGED_SUFFIX)) is not None:
                _unlink(path)  # we have just made it: another request has published the upload since our caller read it
                raise UploadBusy(f"{key}: another request is at the end of this upload")
            with os_errors(f"append to {key}"):
                os.lseek(fd, offset, os.SEEK_SET)
        except BaseException:
            os.close(fd)
            raise
        is_dirty = will_cut or offset == 0
        return FilesystemWriter(fd, path=path, key=key, offset=offset, is_dirty=is_dirty, will_cut=will_cut)

    def seal(self, key: str, state: StagingState | None, size: int, *, may_cut: bool = True) -> None:
        """Rename the staged file to its key and fsync the folder."""
        staged, final = self._staged_path(key), self._final_path(key)
        require_recorded(key, state, size)
        self._prepare()
        published = _size_of(final)
        if published is None:
            try:
                _publish(staged, final, key, size, is_durable=state is not None, may_cut=may_cut)
            except StagingLost:
                if _size_of(final) != size:  # unless another request of the same upload has just published it
                    raise
        elif published != size:
            if not may_cut:
                raise StagedAhead(f"{key}: {published} bytes are published")
            raise StorageError(f"{key}: an object of {published} bytes is there, not {size}")
        else:
            _unlink(staged)
        # Also when the object was there before: an earlier seal may have died between its rename and this.
        _fsync_folder(os.path.dirname(final))

    def abandon(self, key: str, state: StagingState | None) -> None:  # noqa: ARG002 - the key says it all
        """Unlink the staged file."""
        _unlink(self._staged_path(key))

    def read_staged(self, key: str, state: StagingState | None, size: int) -> Iterator[bytes]:
        """The staged file's first `size` bytes, or the published file's."""
        path = self._staged_path(key)
        require_recorded(key, state, size)
        if size == 0:
            return iter(())
        try:
            return _open_range(path, key, 0, size)
        except (ObjectMissing, StorageTruncated) as error:
            final = self._final_path(key)
            if _size_of(final) == size:
                return _open_range(final, key, 0, size)
            raise StagingLost(f"{key}: fewer than {size} bytes are staged") from error

    def put(self, key: str, data: bytes) -> None:
        """Stage and seal in one go."""
        if _size_of(self._final_path(key)) is not None:
            self.seal(key, {"bytes": len(data)}, len(data))  # once more: durable now, if it was not
            return
        writer = self.append(key, None, 0)
        try:
            writer.write(data)
            state = writer.close()
            self.seal(key, state, len(data))
        except StorageError:
            writer.discard()
            self.abandon(key, None)
            raise

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A range of the file; its length is checked before the first byte."""
        require_range(start, length)
        return _open_range(self._final_path(key), key, start, length)

    def size(self, key: str) -> int:
        """The file's size in bytes."""
        size = _size_of(self._final_path(key))
        if size is None:
            raise ObjectMissing(f"{key}: no such object")
        return size

    def delete(self, keys: Iterable[str]) -> None:
        """Unlink files. Folders are not fsynced: power loss may bring one back as an orphan, which fsck finds."""
        first_error: StorageError | None = None
        for key in keys:
            try:
                _unlink(self._final_path(key))
            except StorageError as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def local_path(self, key: str) -> pathlib.Path | None:
        """The object's path."""
        return pathlib.Path(self._final_path(key))

    def presigned_url(
        self,
        key: str,
        expires_seconds: int,  # noqa: ARG002 - the Protocol's
        *,
        content_type: str | None = None,  # noqa: ARG002
        content_disposition: str | None = None,  # noqa: ARG002
    ) -> str | None:
        """None: files have no URLs."""
        validate_key(key)
        return None

    def list_keys(self, prefix: str = "", *, only_staged: bool = False) -> Iterator[StoredObject]:
        """Shard by shard; the memory of one shard's names at a time."""
        for shard in _scan(self._root / BLOBS):
            shard_prefix = f"{BLOBS}{shard.name}/"
            if not (shard_prefix.startswith(prefix) or prefix.startswith(shard_prefix)):
                continue
            for entry in _scan(pathlib.Path(shard.path)):
                if only_staged and not entry.name.endswith(_STAGED_SUFFIX):
                    continue
                found = _stored_object(shard_prefix, entry)
                if found is not None and found.key.startswith(prefix):
                    yield found

    def check(self) -> None:
        """Write, fsync, read and unlink a small file in the root."""
        self._prepare()
        path, probe = self._root / f".check-{uuid.uuid4().hex}", b"haven"
        with os_errors(f"check of {self._root}"):
            try:
                with path.open("xb") as file:
                    file.write(probe)
                    file.flush()
                    os.fsync(file.fileno())
                if path.read_bytes() != probe:
                    raise StorageError(f"check of {self._root}: what was written does not read back")
            finally:
                path.unlink(missing_ok=True)

    def _final_path(self, key: str) -> str:
        """A text: every pull and push asks, and a path of pathlib costs more than the look at the file."""
        return f"{self._root}/{validate_key(key)}"

    def _staged_path(self, key: str) -> str:
        return self._final_path(key) + _STAGED_SUFFIX

    def _prepare(self) -> None:
        """Make the root and its 256 shards durable, once for this driver; another process may be doing the same."""
        if self._is_prepared:
            return
        with self._prepare_lock, os_errors(f"prepare {self._root}"):
            if self._is_prepared:
                return
            blobs = self._root / BLOBS
            named_anew = [path.parent for path in (self._root, *self._root.parents) if not path.exists()]
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            blobs.mkdir(mode=0o700, exist_ok=True)
            present = {entry.name for entry in os.scandir(blobs)}
            for shard in (f"{number:02x}" for number in range(256)):
                if shard not in present:
                    (blobs / shard).mkdir(mode=0o700, exist_ok=True)
            # Unconditional: the process that made them may have died before its fsync.
            for folder in (blobs, self._root, *named_anew):
                _fsync_folder(folder)
            self._is_prepared = True


def _open_locked(path: str, key: str, *, create: bool) -> int:
    """A descriptor of the staged file with its lock. Raises: UploadBusy, StagingLost when it is not there."""
    flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    for _ in range(_LOCK_ATTEMPTS):
        with os_errors(f"open staged {key}"):
            try:
                fd = os.open(path, flags, 0o600)
            except FileNotFoundError as error:
                if create:
                    raise
                raise StagingLost(f"{key}: nothing is staged") from error
        try:
            with os_errors(f"lock staged {key}"):
                if _lock(fd) and _is_at(path, fd):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise UploadBusy(f"{key}: another writer is at this upload")


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: str, fd: int) -> bool:
    """Whether `path` still names the file at `fd`.

    The race: between our open and our flock another process sealed the upload. The file we hold is then a published
    blob, and cutting it would destroy it.
    """
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _staged_size(fd: int, key: str, size: int) -> int:
    """Bytes of the staged file. Raises: StagingLost when they are fewer than `size`."""
    with os_errors(f"open staged {key}"):
        staged = os.fstat(fd).st_size
    if staged < size:
        raise StagingLost(f"{key}: {staged} bytes are staged, not {size}")
    return staged


def _publish(staged: str, final: str, key: str, size: int, *, is_durable: bool, may_cut: bool) -> None:
    """Rename under the lock, so that no writer is at the file any more."""
    fd = _open_locked(staged, key, create=size == 0)
    try:
        if size == 0 and _size_of(final) is not None:
            _unlink(staged)  # we have just made it: another request has published what it staged
            raise StagingLost(f"{key}: published meanwhile")
        is_longer = _staged_size(fd, key, size) > size
        if is_longer and not may_cut:
            raise StagedAhead(f"{key}: more than {size} bytes are staged")
        with os_errors(f"seal {key}"):
            if is_longer:
                os.ftruncate(fd, size)
            if is_longer or not is_durable:
                os.fsync(fd)
            os.rename(staged, final)
    finally:
        os.close(fd)


def _open_range(path: str, key: str, start: int, length: int | None) -> Iterator[bytes]:
    with os_errors(f"read {key}"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise ObjectMissing(f"{key}: no such object") from error
        file = os.fdopen(fd, "rb", buffering=0)  # owns fd: closed with the iterator, or by the collector
        size = os.fstat(fd).st_size
        end = size if length is None else start + length
        if max(start, end) > size:
            file.close()
            raise StorageTruncated(f"{key}: {size} bytes, not {max(start, end)}")
        file.seek(start)

    def chunks() -> Iterator[bytes]:
        left = end - start
        with file:
            while left:
                with os_errors(f"read {key}"):
                    chunk = file.read(min(READ_CHUNK_BYTES, left))
                if not chunk:
                    raise StorageTruncated(f"{key}: ended {left} bytes early")
                left -= len(chunk)
                yield chunk

    return chunks()


def _size_of(path: str) -> int | None:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translate_os_error(error, f"stat {os.path.basename(path)}") from error


def _unlink(path: str) -> None:
    with os_errors(f"unlink {os.path.basename(path)}"), suppress(FileNotFoundError):
        os.unlink(path)


def _fsync_folder(path: str | pathlib.Path) -> None:
    with os_errors(f"fsync {path}"):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _scan(folder: pathlib.Path) -> list["os.DirEntry[str]"]:
    with os_errors(f"list {folder}"):
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return []


def _stored_object(shard_prefix: str, entry: "os.DirEntry[str]") -> StoredObject | None:
    key = shard_prefix + entry.name.removesuffix(_STAGED_SUFFIX)
    if not is_key(key):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone since the scan
        return None
    return StoredObject(
        key=key,
        size=status.st_size,
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
        is_staged=entry.name.endswith(_STAGED_SUFFIX),
    )
