"""Reading the tables: columns between `|`, one for each caller, each cell the status the operation answers; the body last.

A new topic is a new file beside this one. Paths name what conftest.py's world holds, as {project}.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLERS = (
    "nobody", "stranger", "limitedGuest", "guest", "developer", "maintainer", "projectAdmin", "custom", "sysadmin",
)  # fmt: skip
_COLUMNS = ("operation", "call", *CALLERS, "body")


class Cell(NamedTuple):
    """What one caller is answered by one operation."""

    operation: str
    method: str
    path: str
    body: str
    caller: str
    status: int


def cells() -> Iterator[Cell]:
    """Every cell of every table."""
    for file in sorted(Path(__file__).parent.glob("*.csv")):
        head, *lines = file.read_text(encoding="utf-8").splitlines()
        assert tuple(_parts(head)) == _COLUMNS, file
        for line in lines:
            operation, call, *rest = _parts(line)
            *statuses, body = rest if len(rest) > len(CALLERS) else [*rest, ""]
            method, _, path = call.partition(" ")
            for caller, status in zip(CALLERS, statuses, strict=True):
                yield Cell(operation, method, path, body, caller, int(status))


def _parts(line: str) -> list[str]:
    return [part.strip() for part in line.split("|")]
