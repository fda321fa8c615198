"""Reading the tables: columns between `|`, one for each caller, each cell the status the operation answers; the body last.

A new topic is a new file beside this one. Paths name what conftest.py's world holds, as {project}.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLERS = (
    "nobody", "stranger", "limitedGuest", "guest", "developer", "maintainer", "projectAdmin", "custom", "auditor",
    "sysadmin", "projectRobot", "systemRobot", "expiredRobot",
)  # fmt: skip
_COLUMNS = ("operation", "call", *CALLERS, "body")


class Row(NamedTuple):
    """One operation, and the status that each caller is answered."""

    operation: str
    method: str
    path: str
    body: str
    statuses: dict[str, int]


def rows() -> Iterator[Row]:
    """Every row of every table."""
    for file in sorted(Path(__file__).parent.glob("*.csv")):
        head, *lines = file.read_text(encoding="utf-8").splitlines()
        assert tuple(_parts(head)) == _COLUMNS, file
        for line in lines:
            operation, call, *rest = _parts(line)
            *statuses, body = rest if len(rest) > len(CALLERS) else [*rest, ""]
            method, _, path = call.partition(" ")
            yield Row(operation, method, path, body, dict(zip(CALLERS, map(int, statuses), strict=True)))


def _parts(line: str) -> list[str]:
    return [part.strip() for part in line.split("|")]
