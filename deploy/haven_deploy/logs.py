"""Log files of the processes: opened for append, rotated by size, read by `haven logs`."""

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROTATE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5


def open_log(path: Path) -> int:
    """A descriptor for a child's stdout and stderr. O_APPEND, so that truncation moves the child's position too."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def rotate_logs(log_dir: Path, max_bytes: int = ROTATE_BYTES, kept_files: int = KEPT_FILES) -> None:
    """Move what is in every too large *.log to NAME.log.1 and empty it.

    Copied, not renamed: the children hold the file open and need no signal, and no pipe through the supervisor stands
    between them and their log. Lines written between the copy and the truncation (microseconds) are lost.
    """
    for log in log_dir.glob("*.log"):
        if log.stat().st_size < max_bytes:
            continue
        for number in range(kept_files - 1, 0, -1):
            older = log.with_name(f"{log.name}.{number}")
            if older.exists():
                older.rename(log.with_name(f"{log.name}.{number + 1}"))
        copy = log.with_name(f"{log.name}.1")
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        shutil.copyfile(log, copy)
        os.truncate(log, 0)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, looking at no more than its last MiB."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1024 * 1024))
            lines = deque(file.read().decode(errors="replace").splitlines(), maxlen=count)
    except FileNotFoundError:
        return []
    return list(lines)


def tail_logs(
    data_dir: Path,
    *,
    follow: bool = False,
    names: Iterable[str] = (),
    lines: int = 50,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, str]]:
    """Yield (log name, line): the last lines of each log, then, with `follow`, new ones for ever.

    names: log names without ".log"; none means all. New log files are noticed, a rotation starts the file anew.
    """
    wanted = frozenset(names)
    positions: dict[Path, int] = {}
    for log in _logs(data_dir, wanted):
        positions[log] = log.stat().st_size
        yield from ((log.stem, line) for line in last_lines(log, lines))
    while follow:
        for log in _logs(data_dir, wanted):
            new, positions[log] = _read_from(log, positions.get(log, 0))
            yield from ((log.stem, line) for line in new)
        sleep(0.3)


def _logs(data_dir: Path, names: frozenset[str]) -> list[Path]:
    return sorted(log for log in (data_dir / "log").glob("*.log") if not names or log.stem in names)


def _read_from(log: Path, position: int) -> tuple[list[str], int]:
    """Whole lines after `position` and the position behind them; an unfinished line waits for its end."""
    with log.open("rb") as file:
        if position > file.seek(0, os.SEEK_END):
            position = 0  # truncated by a rotation
        file.seek(position)
        data = file.read()
    end = data.rfind(b"\n") + 1
    return data[:end].decode(errors="replace").splitlines(), position + end
