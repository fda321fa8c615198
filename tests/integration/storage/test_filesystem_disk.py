"""Full, failing and vanishing disks below the filesystem driver (protocol brief 4.3, scenarios 9, 10 and 12)."""

import errno
import os
import pathlib
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from haven_registry.storage import (
    StagedWriter,
    StagingLost,
    StorageDriver,
    StorageError,
    StorageFull,
    StorageTruncated,
    StorageUnavailable,
    new_key,
    open_storage,
)
from tests.integration.storage.files import KEY, MIB, content, read, stage, staged_path


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A disk of 6 MiB with few inodes."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is a tmpfs, which root only may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m,nr_inodes=270", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def write_mebibytes(writer: StagedWriter, count: int) -> None:
    for _ in range(count):
        writer.write(bytes(MIB))
    writer.close()


def put_many(driver: StorageDriver, count: int) -> None:
    for _ in range(count):
        driver.put(new_key(), b"x")


def test_disk_full_loses_nothing_that_was_recorded(small_disk: pathlib.Path) -> None:
    driver = open_storage(str(small_disk))
    other = new_key()
    driver.put(other, b"other")
    data = content(2 * MIB)
    state = stage(driver, KEY, data)
    writer = driver.append(KEY, state, 2 * MIB)

    with pytest.raises(StorageFull):
        write_mebibytes(writer, 10)
    assert writer.size == 0
    writer.discard()

    assert staged_path(small_disk, KEY).stat().st_size == 2 * MIB  # room for others again
    assert read(driver, other) == b"other"
    driver.check()
    writer = driver.append(KEY, state, 2 * MIB)
    writer.write(b"end")
    driver.seal(KEY, writer.close(), 2 * MIB + 3)
    assert read(driver, KEY) == data + b"end"


def test_disk_full_keeps_what_the_same_writer_checkpointed(small_disk: pathlib.Path) -> None:
    driver = open_storage(str(small_disk))
    writer = driver.append(KEY, None, 0)
    writer.write(content(MIB))
    state = writer.checkpoint()

    with pytest.raises(StorageFull):
        writer.write(bytes(8 * MIB))

    assert writer.size == MIB
    driver.seal(KEY, state, MIB)
    assert read(driver, KEY) == content(MIB)


def test_object_that_does_not_fit_leaves_nothing(small_disk: pathlib.Path) -> None:
    driver = open_storage(str(small_disk))

    with pytest.raises(StorageFull):
        driver.put(KEY, bytes(8 * MIB))

    assert list(driver.list_keys()) == []
    assert not staged_path(small_disk, KEY).exists()


def test_no_inodes_left(small_disk: pathlib.Path) -> None:
    driver = open_storage(str(small_disk))
    driver.put(KEY, b"kept")

    with pytest.raises(StorageFull):
        put_many(driver, 270)

    assert read(driver, KEY) == b"kept"


def test_no_descriptors_left(tmp_path: pathlib.Path) -> None:
    """Refused as what may pass, with nothing torn and no descriptor lost; the same calls succeed after."""
    driver = open_storage(str(tmp_path / "root"))
    there = new_key()
    driver.put(there, b"there")
    before = len([*pathlib.Path("/proc/self/fd").iterdir()])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 20, limits[1]))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for call in (lambda: driver.put(KEY, b"x"), lambda: list(driver.read(there)), driver.check):
            with pytest.raises(StorageUnavailable, match="Too many open files"):
                call()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in held:
            os.close(descriptor)
    assert len([*pathlib.Path("/proc/self/fd").iterdir()]) == before
    driver.put(KEY, b"x")
    assert (read(driver, KEY), read(driver, there)) == (b"x", b"there")


def test_failed_fsync_is_never_taken_back(filesystem: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel drops dirty pages after a failed fsync; a second one would succeed without them."""
    writer = filesystem.append(KEY, None, 0)
    writer.write(b"safe")
    state = writer.checkpoint()
    writer.write(b"gone")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(StorageUnavailable):
            writer.checkpoint()

    with pytest.raises(ValueError):
        writer.checkpoint()
    with pytest.raises(ValueError):
        writer.close()
    filesystem.seal(KEY, state, 4)
    assert read(filesystem, KEY) == b"safe"


@pytest.mark.parametrize(("number", "expected"), [(errno.EIO, StorageUnavailable), (errno.EDQUOT, StorageFull)])
def test_early_write_back_that_fails_fails_the_upload(
    filesystem: StorageDriver,
    root: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[StorageError],
) -> None:
    monkeypatch.setattr(os, "fdatasync", failing(number))
    writer = filesystem.append(KEY, None, 0)

    with pytest.raises(expected):
        write_mebibytes(writer, 9)

    assert staged_path(root, KEY).stat().st_size == 0


def failing(number: int) -> Any:
    def fail(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_torn_object_is_found_before_the_first_byte(filesystem: StorageDriver, root: pathlib.Path) -> None:
    filesystem.put(KEY, b"0123456789")
    os.truncate(root / KEY, 4)

    with pytest.raises(StorageTruncated):
        filesystem.read(KEY, 0, 10)


def test_object_that_is_torn_while_it_is_read(filesystem: StorageDriver, root: pathlib.Path) -> None:
    filesystem.put(KEY, content(MIB))
    chunks = filesystem.read(KEY)
    next(chunks)
    os.truncate(root / KEY, 4)

    with pytest.raises(StorageTruncated):
        b"".join(chunks)


def test_staged_bytes_that_vanished(filesystem: StorageDriver, root: pathlib.Path) -> None:
    state = stage(filesystem, KEY, b"0123456789")
    os.truncate(staged_path(root, KEY), 4)

    with pytest.raises(StagingLost):
        filesystem.append(KEY, state, 10)
    with pytest.raises(StagingLost):
        filesystem.seal(KEY, state, 10)
    with pytest.raises(StagingLost):
        filesystem.read_staged(KEY, state, 10)

    assert staged_path(root, KEY).stat().st_size == 4
    assert not (root / KEY).exists()


def test_mount_that_went_away_is_not_written_below(filesystem: StorageDriver, root: pathlib.Path) -> None:
    filesystem.put(KEY, b"abc")
    shutil.rmtree(root / "blobs")

    with pytest.raises(StorageUnavailable):
        filesystem.append(KEY, None, 0)
    with pytest.raises(StorageUnavailable):
        filesystem.put(new_key(), b"abc")

    assert list(root.iterdir()) == []


def test_folder_without_permission(tmp_path: pathlib.Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_bytes(b"")

    with pytest.raises(StorageError):
        open_storage(str(blocker / "root")).check()


def test_staged_name_that_is_a_link_is_refused(
    filesystem: StorageDriver, root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    filesystem.check()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    staged_path(root, KEY).symlink_to(victim)

    with pytest.raises(StorageError):
        filesystem.append(KEY, None, 0)

    assert victim.read_bytes() == b"precious"


def test_foreign_files_are_not_listed(filesystem: StorageDriver, root: pathlib.Path) -> None:
    filesystem.put(KEY, b"abc")
    (root / "blobs/ab/notes.txt").write_bytes(b"")
    (root / "lost+found").mkdir()

    assert [found.key for found in filesystem.list_keys()] == [KEY]
