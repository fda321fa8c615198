"""Which tags a rule would mean that nobody has made yet. Reads only."""

from dataclasses import dataclass

from haven_core.domain.selectors import Selector
from haven_core.policies.immutability import would_protect
from haven_registry.models import Tag

MAX_LOOKED_AT = 20_000
"""Tags that are looked at; who types a pattern wants an answer at once."""


@dataclass(frozen=True, slots=True)
class Preview:
    """names: the first of them, as repository:tag. matched: how many. is_complete: all tags of the project were looked
    at."""

    names: tuple[str, ...]
    matched: int
    is_complete: bool


def preview_rule(project_id: int, repository: Selector, tag: Selector, *, limit: int) -> Preview:
    """Of the live tags of the project, by repository and name. One statement. Raises BadRequest for selectors that can't
    be used."""
    is_meant = would_protect(repository, tag)
    live = Tag.objects.filter(repository__project_id=project_id, repository__deleted_at=None)
    rows = live.order_by("repository__name", "name").values_list("repository__name", "name")[: MAX_LOOKED_AT + 1]
    pairs = list(rows)
    found = [f"{place}:{name}" for place, name in pairs[:MAX_LOOKED_AT] if is_meant(place, name)]
    return Preview(tuple(found[:limit]), len(found), is_complete=len(pairs) <= MAX_LOOKED_AT)
