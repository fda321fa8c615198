"""Reading accounts, only ever those the caller may see."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from haven_core.accounts.models import User
from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.errors import BadRequest
from haven_core.rbac.permissions import Action, Resource, evaluate

LISTING = Listing(
    filters={
        "user_id": Column("id", Kind.NUMBER),
        "username": Column("username"),
        "email": Column("email"),
        "realname": Column("realname"),
        "comment": Column("comment"),
        "sysadmin_flag": Column("is_sysadmin", Kind.BOOLEAN),
        "auditor_flag": Column("is_auditor", Kind.BOOLEAN),
        "creation_time": Column("created_at", Kind.MOMENT),
        "update_time": Column("updated_at", Kind.MOMENT),
    },
    sorts={
        "user_id": "id",
        "username": "username",
        "email": "email",
        "realname": "realname",
        "sysadmin_flag": "is_sysadmin",
        "creation_time": "created_at",
        "update_time": "updated_at",
    },
    order=("id",),
)
_COLUMNS = (
    "id", "username", "email", "realname", "is_sysadmin", "is_auditor", "created_at", "comment", "updated_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """An account as others may see it: without anything secret."""

    user_id: int
    username: str
    email: str
    realname: str
    is_sysadmin: bool
    is_auditor: bool
    created_at: datetime
    comment: str
    updated_at: datetime


def find_account(actor: Actor, user_id: int, action: Action = Action.READ) -> Account | None:
    """A live account by id: the actor's own, or one that they may do `action` with."""
    row = _reachable(actor, action, own=True).filter(pk=user_id).values_list(*_COLUMNS).first()
    return Account(*row) if row else None


def list_accounts(actor: Actor, query: ListQuery) -> tuple[list[Account], int]:
    """A page of the live accounts and the number of all, narrowed and ordered by the keys of LISTING; nothing for who may
    not list them.

    Two SQL statements. Raises BadRequest for a value a column can't have.
    """
    found = LISTING.narrow(_reachable(actor, Action.LIST), query)
    return [Account(*row) for row in LISTING.page(found, query).values_list(*_COLUMNS)], total(found)


def search_names(actor: Actor, query: ListQuery) -> tuple[list[tuple[int, str]], int]:
    """A page of ids and names of live accounts, for whoever is logged in: they make members of them. As list_accounts."""
    found = LISTING.narrow(_live().none() if actor.is_anonymous else _live(), query)
    return list(LISTING.page(found, query).values_list("id", "username")), total(found)


def first_sysadmin_id() -> int:
    """The administrator with the lowest id, who owns what no user made. Raises BadRequest when there is none."""
    found = _live().filter(is_sysadmin=True).order_by("id").values_list("id", flat=True).first()
    if found is None:
        raise BadRequest("this needs an administrator, and there is none")
    return found


def account_exists(*, username: str = "", email: str = "") -> bool:
    """Whether a live account has this name, or this address."""
    return (_live().filter(username=username) if username else _live().filter(email=email)).exists()


def _reachable(actor: Actor, action: Action, *, own: bool = False) -> "QuerySet[User, User]":
    if evaluate(actor, Resource.USER, action):
        return _live()
    return _live().filter(pk=actor.user_id) if own else _live().none()


def _live() -> "QuerySet[User, User]":
    return User.objects.filter(deleted_at=None)
