"""What rules that nobody saved yet would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from haven_core.domain.retention import Action, Decision
from haven_core.retention.rules import check_rules
from haven_gc.retention.plan import plan_repository, select_repositories

MAX_NAMED = 1000
MAX_REPOSITORIES = 200


@dataclass(frozen=True, slots=True)
class RepositoryPreview:
    """changes: what would go, or only stays because something protects it; named as far as MAX_NAMED reaches."""

    name: str
    total: int
    retained: int
    changes: list[Decision]


@dataclass(frozen=True, slots=True)
class Preview:
    """is_complete: every selected repository was looked at and everything that would go is named."""

    repositories: list[RepositoryPreview]
    is_complete: bool


def preview(project_id: int, sent_rules: Sequence[Mapping[str, Any]], mode: str) -> Preview:
    """Decide as a run would at this moment, and change nothing. Raises BadRequest, Conflict (rules).

    Looks at MAX_REPOSITORIES at most, by name: somebody waits for the answer.
    """
    now, room = timezone.now(), MAX_NAMED
    selected = select_repositories(project_id, check_rules(sent_rules))
    previews, is_complete = [], len(selected) <= MAX_REPOSITORIES
    for repository in selected[:MAX_REPOSITORIES]:
        decisions = plan_repository(project_id, repository, mode, now).decisions
        changes = [one for one in decisions if one.action is not Action.RETAIN]
        gone = sum(one.action is Action.DELETE for one in changes)
        previews.append(RepositoryPreview(repository.name, len(decisions), len(decisions) - gone, changes[:room]))
        is_complete = is_complete and len(changes) <= room
        room -= len(previews[-1].changes)
    return Preview(previews, is_complete)
