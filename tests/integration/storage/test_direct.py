"""Large uploads past the page cache: the same bytes as ever, whatever the disk can do and whatever goes wrong."""

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import pathlib
import subprocess
from random import Random
from typing import Any

import pytest

from haven_registry.storage import (
    StorageDriver,
    StorageError,
    StorageFull,
    StorageUnavailable,
    direct,
    filesystem_writer,
)
from tests.integration.storage.files import KEY, MIB, content, read, staged_path

BLOCK = direct.BLOCK_BYTES


def is_direct(fd: int) -> bool:
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT)


def cached_share(path: pathlib.Path, start: int) -> float:
    """Which part of a file's pages behind `start` is in the page cache (mincore(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        pages = (ctypes.c_ubyte * -(-len(view) // mmap.PAGESIZE))()
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(view)), pages) == 0
        behind = [page & 1 for page in pages[start // mmap.PAGESIZE :]]
    return sum(behind) / len(behind)


def can_be_direct(path: pathlib.Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_DIRECT))
    except OSError:
        return False
    return True


def filesystem_type(path: pathlib.Path) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes are many."""
    monkeypatch.setattr(filesystem_writer, "DIRECT_FROM", 4 * BLOCK)
    monkeypatch.setattr(direct, "BUFFER_BYTES", 2 * BLOCK)


def test_the_first_bytes_stay_in_memory_and_the_rest_is_on_the_disk(
    filesystem: StorageDriver, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, honest, ways = content(24 * MIB + 5), os.write, []

    def write(fd: int, view: memoryview) -> int:
        ways.append((is_direct(fd), len(view)))
        return honest(fd, view)

    monkeypatch.setattr(os, "write", write)
    writer = filesystem.append(KEY, None, 0)
    for start in range(0, len(data), MIB):
        writer.write(data[start : start + MIB])
    writer.close()
    monkeypatch.undo()
    past, path = [size for is_past, size in ways if is_past], staged_path(root, KEY)
    if can_be_direct(path):
        assert (sum(past), max(past)) == (8 * MIB, direct.BUFFER_BYTES)
    else:
        assert past == []
    if can_be_direct(path) and filesystem_type(path) != "tmpfs":  # which is memory
        assert cached_share(path, 16 * MIB) < 0.1
    assert cached_share(path, 0) > 0.5
    assert path.stat().st_size == len(data)
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("is_supported", [True, False], ids=["past the cache", "not possible"])
def test_bytes_in_pieces_of_any_size(
    filesystem: StorageDriver, monkeypatch: pytest.MonkeyPatch, seed: int, is_supported: bool
) -> None:
    """Several requests, checkpoints in the middle of a block, buffers full and not."""
    if not is_supported:
        refuse_direct(monkeypatch)
    random, expected, state = Random(seed), b"", None
    for _ in range(random.randint(1, 4)):
        writer = filesystem.append(KEY, state, len(expected))
        begun = len(expected)
        for _ in range(random.randint(1, 30)):
            piece = random.randbytes(
                random.choice([1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, random.randint(1, 9000)])
            )
            writer.write(piece)
            expected += piece
            if random.random() < 0.2:
                assert writer.checkpoint() == {"bytes": len(expected)}
        state = writer.close()
        assert writer.size == len(expected) - begun
    filesystem.seal(KEY, state, len(expected))
    assert read(filesystem, KEY) == expected


def refuse_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a filesystem that takes the flag and then no write."""
    honest = os.write

    def write(fd: int, view: memoryview) -> int:
        if is_direct(fd):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return honest(fd, view)

    monkeypatch.setattr(os, "write", write)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("short", [BLOCK, BLOCK + 3])
def test_a_write_that_takes_a_part(filesystem: StorageDriver, monkeypatch: pytest.MonkeyPatch, short: int) -> None:
    honest = os.write

    def write(fd: int, view: memoryview) -> int:
        if is_direct(fd) and len(view) > short:
            if short % BLOCK:
                fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT)
            return honest(fd, view[:short])
        return honest(fd, view)

    monkeypatch.setattr(os, "write", write)
    data = content(40 * BLOCK + 11)
    writer = filesystem.append(KEY, None, 0)
    for start in range(0, len(data), 3000):
        writer.write(data[start : start + 3000])
    filesystem.seal(KEY, writer.close(), len(data))
    assert read(filesystem, KEY) == data


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("number", "expected"), [(errno.EIO, StorageUnavailable), (errno.ENOSPC, StorageFull)])
@pytest.mark.parametrize("is_at_the_end", [False, True], ids=["while it goes on", "at its end"])
def test_a_disk_that_fails_fails_the_upload(
    filesystem: StorageDriver,
    root: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[StorageError],
    is_at_the_end: bool,
) -> None:
    """Nothing since the last checkpoint counts, and what was there before is whole."""
    data = content(9 * BLOCK + 1)
    writer = filesystem.append(KEY, None, 0)
    writer.write(data)
    state = writer.checkpoint()
    honest = os.write

    def write(fd: int, view: memoryview) -> int:
        if is_direct(fd):
            raise OSError(number, os.strerror(number))
        return honest(fd, view)

    def go_on() -> Any:
        for _ in range(1 if is_at_the_end else 20):
            writer.write(content(3 * BLOCK))
        return writer.close()

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(expected):
        go_on()
    monkeypatch.undo()
    assert staged_path(root, KEY).stat().st_size == len(data)
    filesystem.seal(KEY, state, len(data))
    assert read(filesystem, KEY) == data


@pytest.mark.usefixtures("small")
def test_a_writer_let_go_of_leaves_the_recorded_bytes(filesystem: StorageDriver) -> None:
    """A client that went away: the disk may be at a buffer when the lock is given back."""
    data = content(9 * BLOCK)
    writer = filesystem.append(KEY, None, 0)
    writer.write(data)
    state = writer.checkpoint()
    writer.write(content(7 * BLOCK + 5))
    writer.discard()
    again = filesystem.append(KEY, state, len(data))
    again.write(b"end")
    filesystem.seal(KEY, again.close(), len(data) + 3)
    assert read(filesystem, KEY) == data + b"end"
