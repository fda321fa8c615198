"""Reading tokens, one's own and for administrators anybody's; never a secret."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.errors import NotFound
from haven_core.personal_tokens.models import PersonalToken
from haven_core.projects.models import Project
from haven_core.rbac.permissions import Action, Resource, evaluate

LISTING = Listing(
    filters={
        "name": Column("name"),
        "scope": Column("scope"),
        "creation_time": Column("created_at", Kind.MOMENT),
    },
    sorts={"name": "name", "creation_time": "created_at", "last_used_time": "last_used_at"},
    order=("-id",),
)
_COLUMNS = ("id", "name", "scope", "projects", "created_at", "expires_at", "last_used_at", "last_used_from")


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token, without its secret. projects: names of the only ones it is good for, sorted, deleted ones left out; None
    for all."""

    token_id: int
    name: str
    scope: str
    projects: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    last_used_from: str


def list_tokens(actor: Actor, query: ListQuery, *, user_id: int | None = None) -> tuple[list[TokenView], int]:
    """A page of the actor's tokens, or of those of `user_id`, and the number of all; of another's none, unless the actor
    may read accounts. Narrowed and ordered by the keys of LISTING; expired ones stay
    until the next is made. Three SQL statements. Raises BadRequest for a value a column can't have."""
    found = LISTING.narrow(_tokens(actor, user_id), query)
    return _views(LISTING.page(found, query)), total(found)


def find_token(actor: Actor, token_id: int, *, user_id: int | None = None) -> TokenView:
    """One of the tokens that list_tokens() shows the actor. Raises NotFound, also for any other."""
    views = _views(_tokens(actor, user_id).filter(pk=token_id))
    if not views:
        raise NotFound(f"token {token_id} not found")
    return views[0]


def _tokens(actor: Actor, user_id: int | None) -> "QuerySet[PersonalToken, PersonalToken]":
    if user_id is None or user_id == actor.user_id:
        return PersonalToken.objects.filter(user_id=actor.user_id)
    found = PersonalToken.objects.filter(user_id=user_id)
    return found if evaluate(actor, Resource.USER, Action.READ) else found.none()


def _views(rows: "QuerySet[PersonalToken, PersonalToken]") -> list[TokenView]:
    found: list[Any] = list(rows.values_list(*_COLUMNS))
    ids = {project_id for row in found for project_id in row[3] or ()}
    names = dict(Project.objects.filter(pk__in=ids, deleted_at=None).values_list("pk", "name"))
    return [
        TokenView(token_id, name, scope, _named(projects, names), *times)
        for token_id, name, scope, projects, *times in found
    ]


def _named(project_ids: list[int] | None, names: dict[int, str]) -> tuple[str, ...] | None:
    return None if project_ids is None else tuple(sorted(names[one] for one in project_ids if one in names))
