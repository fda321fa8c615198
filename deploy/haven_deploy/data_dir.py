"""The data folder of the embedded stack: its layout, its marker and its lock.

DATA/                 0700, all of it belongs to the user who started Haven
  haven.json          marker: {"product": "haven", "format": 1}
  haven.lock          flock held while a supervisor, or its guardian, is alive; holds the supervisor's pid
  run/                sockets, pid files, state.json, nginx/; may be emptied when nothing runs
  log/                one file per process, 0600
  valkey/ storage/ …  kept data
"""

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Self

from haven_deploy.errors import AlreadyRunning, DataDirUnusable, ForeignDataDir

MARKER = {"product": "haven", "format": 1}
SOCKET_PATH_BYTES = 107  # sockaddr_un holds 108 with the closing NUL
LONGEST_SOCKET = "run/registry.sock"


def prepare_data_dir(data_dir: Path) -> Path:
    """Create the folder, or check that it is Haven's; return its absolute path. A foreign folder is not touched.

    Raises: ForeignDataDir, DataDirUnusable.
    """
    data_dir = data_dir.absolute()
    if len(os.fsencode(data_dir / LONGEST_SOCKET)) > SOCKET_PATH_BYTES:
        raise DataDirUnusable(data_dir, f"its path is too long for sockets inside it ({SOCKET_PATH_BYTES} bytes)")
    if "%" in str(data_dir):
        raise DataDirUnusable(data_dir, "its path has a %, which Celery would expand")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _claim(data_dir)
        data_dir.chmod(0o700)
        for name in ("run", "log"):
            (data_dir / name).mkdir(mode=0o700, exist_ok=True)
        if not os.access(data_dir, os.W_OK | os.X_OK):
            raise DataDirUnusable(data_dir, "it is not writable")
    except OSError as error:
        raise DataDirUnusable(data_dir, error.strerror or str(error)) from error
    return data_dir


def _claim(data_dir: Path) -> None:
    """Check the marker, or write it into an empty folder."""
    marker = data_dir / "haven.json"
    try:
        found = json.loads(marker.read_text())
    except FileNotFoundError:
        if any(entry.name != "lost+found" for entry in data_dir.iterdir()):  # a fresh file system is empty too
            raise ForeignDataDir(data_dir) from None
        write_atomically(marker, json.dumps(MARKER))
        return
    except ValueError:
        raise ForeignDataDir(data_dir) from None
    if not isinstance(found, dict) or found.get("product") != MARKER["product"]:
        raise ForeignDataDir(data_dir)
    if found.get("format") != MARKER["format"]:
        raise DataDirUnusable(data_dir, f"its format {found.get('format')} belongs to another version of Haven")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file, 0600; readers see the old or the new text. Not fsynced: for what a start can make again."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


class DataDirLock:
    """An exclusive flock on DATA/haven.lock. The kernel releases it with its last holder, however that one ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Raises: AlreadyRunning."""
        descriptor = os.open(self._data_dir / "haven.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise AlreadyRunning(self._data_dir, lock_holder(self._data_dir)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(data_dir: Path) -> bool:
    """Whether a supervisor or its guardian is alive. Writes nothing."""
    try:
        descriptor = os.open(data_dir / "haven.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_holder(data_dir: Path) -> int | None:
    """The pid written into the lock file; only meaningful while is_locked()."""
    try:
        return int((data_dir / "haven.lock").read_text())
    except (FileNotFoundError, ValueError):
        return None
