"""What a tag meant, and who changed that. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_registry.models import Manifest, TagHistory

LISTING = Listing(
    filters={"id": Column("id", Kind.NUMBER), "by": Column("by"), "time": Column("ended_at", Kind.MOMENT)},
    sorts={"id": "id", "time": "ended_at"},
    order=("-id",),
)
_HOW = {
    TagHistory.PUSHED: "push",
    TagHistory.MOVED: "retag",
    TagHistory.COPIED: "copy",
    TagHistory.DELETED: "delete",
    TagHistory.MANIFEST_DELETED: "delete",
    TagHistory.RESTORED: "restore",
    TagHistory.ROLLED_BACK: "rollback",
}


class State(StrEnum):
    """Where a former artifact is: a tag can go back to it while it is not GONE."""

    LIVE = "live"
    TRASH = "trash"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class TagChange:
    """before, after: digests; None: no such tag. how: push, retag, copy, delete, restore, rollback. by: '' for Haven
    itself. before_state, after_state: None where there is no digest."""

    id: int
    name: str
    before: str | None
    before_state: State | None
    after: str | None
    after_state: State | None
    how: str
    by: str
    at: datetime


def list_tag_history(repository_id: int, name: str, query: ListQuery) -> tuple[list[TagChange], int]:
    """A page of a tag's changes, newest first, and the number of all; also of a tag that is deleted. Three statements.
    Raises BadRequest."""
    found = LISTING.narrow(TagHistory.objects.filter(repository_id=repository_id, name=name), query)
    rows = list(
        LISTING.page(found, query).values_list("id", "name", "digest", "new_digest", "reason", "by", "ended_at")
    )
    states = _states(repository_id, {digest for row in rows for digest in (row[2], row[3]) if digest is not None})
    return [
        TagChange(
            row_id, tag, before, states.get(before, State.GONE) if before else None,
            after, states.get(after, State.GONE) if after else None, _HOW[reason], by, at,
        )
        for row_id, tag, before, after, reason, by, at in rows
    ], total(found)  # fmt: skip


def _states(repository_id: int, digests: set[str]) -> dict[str, State]:
    rows = Manifest.objects.filter(repository_id=repository_id, digest__in=digests)
    return {
        digest: State.LIVE if deleted_at is None else State.TRASH
        for digest, deleted_at in rows.values_list("digest", "deleted_at")
    }
