"""Crashes and races of the filesystem driver, and what is on disk when (protocol brief 4.3, scenarios 1, 4, 8)."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from haven_registry.storage import (
    StagingLost,
    StorageDriver,
    UploadBusy,
    new_key,
    open_storage,
)
from tests.integration.storage.files import KEY, read, stage, staged_path

REGISTRY = pathlib.Path(__file__).parents[3] / "registry"


# --- scenario 1: kill -9


WRITE_AND_WAIT = """
import json, sys, time
from haven_registry.storage import open_storage
writer = open_storage(sys.argv[1]).append(sys.argv[2], None, 0)
writer.write(b"r" * int(sys.argv[3]))
state = writer.checkpoint()
writer.write(b"u" * 2_000_000)
print(json.dumps(state), flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_process(root: pathlib.Path) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of an append at KEY: 3,000,000 bytes recorded, 2,000,000 more written."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT, str(root), KEY, "3000000"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REGISTRY)},
    )
    yield process
    process.kill()
    process.communicate()


def recorded_by(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_killed_writer_leaves_its_recorded_bytes_and_no_lock(
    filesystem: StorageDriver, root: pathlib.Path, other_process: "subprocess.Popen[str]"
) -> None:
    state = recorded_by(other_process)
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert staged_path(root, KEY).stat().st_size == 5_000_000

    writer = filesystem.append(KEY, state, 3_000_000)
    assert writer.will_cut
    writer.write(b"n" * 10)
    assert staged_path(root, KEY).stat().st_size == 3_000_010
    filesystem.seal(KEY, writer.close(), 3_000_010)

    assert read(filesystem, KEY) == b"r" * 3_000_000 + b"n" * 10
    assert not staged_path(root, KEY).exists()


def test_upload_in_another_process_is_busy(
    filesystem: StorageDriver, root: pathlib.Path, other_process: "subprocess.Popen[str]"
) -> None:
    state = recorded_by(other_process)

    with pytest.raises(UploadBusy):
        filesystem.append(KEY, state, 3_000_000)
    with pytest.raises(UploadBusy):
        filesystem.append(KEY, None, 0)
    with pytest.raises(UploadBusy):
        filesystem.seal(KEY, state, 3_000_000)

    assert staged_path(root, KEY).stat().st_size == 5_000_000
    assert not (root / KEY).exists()


def test_writer_that_was_lost_without_discard_frees_its_lock(filesystem: StorageDriver) -> None:
    filesystem.append(KEY, None, 0).write(b"lost")

    filesystem.seal(KEY, stage(filesystem, KEY, b"next"), 4)

    assert read(filesystem, KEY) == b"next"


# --- races


def test_seal_between_open_and_lock_of_an_append(
    filesystem: StorageDriver, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late writer holds a descriptor of what is a published blob by now: it must neither cut it nor stage beside it."""
    state = stage(filesystem, KEY, b"published")
    flock, other = fcntl.flock, [open_storage(str(root))]

    def seal_first(fd: int, operation: int) -> None:
        if other:
            other.pop().seal(KEY, state, 9)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", seal_first)
    with pytest.raises(UploadBusy):
        filesystem.append(KEY, None, 0)

    assert read(filesystem, KEY) == b"published"
    assert not staged_path(root, KEY).exists()
    with pytest.raises(StagingLost):
        filesystem.append(KEY, state, 9)
    assert read(filesystem, KEY) == b"published"


def test_abandoned_upload_whose_writer_goes_on(filesystem: StorageDriver, root: pathlib.Path) -> None:
    writer = filesystem.append(KEY, None, 0)
    writer.write(b"abc")

    filesystem.abandon(KEY, None)
    state = writer.close()

    assert not staged_path(root, KEY).exists()
    with pytest.raises(StagingLost):
        filesystem.seal(KEY, state, 3)
    assert not (root / KEY).exists()


# --- scenario 8: what is on disk before seal returns


def test_file_is_fsynced_before_its_rename_and_the_folder_after(
    filesystem: StorageDriver, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(filesystem, new_key(), b"")  # folders are made
    done = spy_on_disk(monkeypatch)

    state = stage(filesystem, KEY, b"abc")
    assert done == [f"fsync {KEY}.upload"]
    filesystem.seal(KEY, state, 3)
    assert done == [f"fsync {KEY}.upload", f"rename {KEY}", "fsync blobs/ab"]

    filesystem.seal(KEY, state, 3)  # the first one may have died before its last step
    assert done[3:] == ["fsync blobs/ab"]


def test_empty_object_is_fsynced_too(filesystem: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem.check()
    done = spy_on_disk(monkeypatch)

    filesystem.seal(KEY, None, 0)

    assert done == [f"fsync {KEY}.upload", f"rename {KEY}", "fsync blobs/ab"]


def test_cut_is_fsynced_before_the_rename(filesystem: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    state = stage(filesystem, KEY, b"abc")
    writer = filesystem.append(KEY, state, 3)
    writer.write(b"unrecorded")
    writer.discard()
    done = spy_on_disk(monkeypatch)

    filesystem.seal(KEY, state, 3)

    assert done == [f"fsync {KEY}.upload", f"rename {KEY}", "fsync blobs/ab"]


def test_folders_are_made_once_and_fsynced_up_to_the_root(
    filesystem: StorageDriver, root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not root.exists()
    done = spy_on_disk(monkeypatch)

    filesystem.put(KEY, b"abc")

    assert done[:3] == ["fsync blobs", "fsync root", f"fsync {root.parent.name}"]
    assert len(list((root / "blobs").iterdir())) == 256
    assert [path.stat().st_mode & 0o777 for path in (root, root / "blobs", root / "blobs/ab")] == [0o700] * 3
    assert (root / KEY).stat().st_mode & 0o777 == 0o600
    del done[:]
    filesystem.put(new_key(), b"abc")
    assert len(done) == 3


def spy_on_disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every fsync and rename from now on, by the path's last components."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def short(path: str) -> str:
        return re.search(r"(blobs(/[0-9a-f]{2}(/.*)?)?|[^/]*)$", path)[0]  # type: ignore[index]

    def spied_fsync(fd: int) -> None:
        done.append(f"fsync {short(str(pathlib.Path(f'/proc/self/fd/{fd}').readlink()))}")
        fsync(fd)

    def spied_rename(source: str, target: str) -> None:
        done.append(f"rename {short(target)}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", spied_fsync)
    monkeypatch.setattr(os, "rename", spied_rename)
    return done


UPLOAD = """
import sys
from haven_registry.storage import open_storage
driver, key = open_storage(sys.argv[1]), sys.argv[2]
driver.check()
writer = driver.append(key, None, 0)
for _ in range(20):
    writer.write(bytes(1024 * 1024))
driver.seal(key, writer.close(), 20 * 1024 * 1024)
open(sys.argv[1] + "/sealed", "w").close()
"""


def test_order_as_the_kernel_sees_it(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "strace.log"
    calls = "trace=write,fsync,fdatasync,rename,renameat,renameat2,open,openat"
    command = [
        "strace",
        "-f",
        "-y",
        "-s",
        "0",
        "-o",
        str(log),
        "-e",
        calls,
        sys.executable,
        "-c",
        UPLOAD,
        str(root),
        KEY,
    ]
    traced = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REGISTRY)}, capture_output=True, text=True, timeout=60
    )
    if "ptrace" in traced.stderr.lower():
        pytest.skip(f"strace may not trace here: {traced.stderr.strip()[:100]}")
    assert traced.returncode == 0, traced.stderr

    staged, final, folder = f"{root}/{KEY}.upload", f"{root}/{KEY}", f"{root}/blobs/ab"
    lines = log.read_text().splitlines()
    last_write = max(at for at, line in enumerate(lines) if " write(" in line and f"<{staged}>" in line)
    file_fsync = next(at for at, line in enumerate(lines) if " fsync(" in line and f"<{staged}>" in line)
    rename = next(at for at, line in enumerate(lines) if " rename" in line and f'"{staged}"' in line)
    folder_fsync = next(at for at, line in enumerate(lines) if " fsync(" in line and f"<{folder}>" in line)
    returned = next(at for at, line in enumerate(lines) if f'"{root}/sealed"' in line)
    assert f'"{final}"' in lines[rename]
    assert last_write < file_fsync < rename < folder_fsync < returned
