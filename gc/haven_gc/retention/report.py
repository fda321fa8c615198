"""The log of a repository's run, in Harbor's form."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from haven_core.domain.retention import Action, Decision

MAX_ROWS = 10_000  # of kept artifacts; what goes is always named
_HEAD = ("Digest", "Tag", "Kind", "Labels", "PushedTime", "PulledTime", "CreatedTime", "Retention", "Reason")


def headline(repository: str, *, is_dry_run: bool) -> str:
    """The first line, there while the run goes on."""
    return f"Run retention process. Repository: {repository}, Rule Algorithm: or, Dry Run: {str(is_dry_run).lower()}\n"


def table(decisions: Sequence[Decision]) -> str:
    """A row for each candidate; kept ones may be left out behind MAX_ROWS, and then their number is said."""
    named = [one for one in decisions if one.action is not Action.RETAIN]
    kept = [one for one in decisions if one.action is Action.RETAIN]
    rows = [_HEAD, *(_row(one) for one in (*named, *kept[:MAX_ROWS]))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    if len(kept) > MAX_ROWS:
        lines.append(f"... and {len(kept) - MAX_ROWS} more that are retained")
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _row(decision: Decision) -> tuple[str, ...]:
    one = decision.candidate
    tags = ",".join(one.tags)
    times = (_time(one.pushed_at), _time(one.pulled_at), _time(one.created_at))
    return (one.digest, tags, "image", "", *times, decision.action.value, decision.reason)


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y/%m/%d %H:%M:%S") if moment else ""
