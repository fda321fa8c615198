"""Reading accounts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from haven_core.accounts.models import User
from haven_core.errors import BadRequest

SORTABLE = {
    "user_id": "id",
    "username": "username",
    "email": "email",
    "realname": "realname",
    "sysadmin_flag": "is_sysadmin",
    "creation_time": "created_at",
    "update_time": "updated_at",
}
FILTERABLE = {"username": "username", "email": "email", "realname": "realname"}
_COLUMNS = ("id", "username", "email", "realname", "is_sysadmin", "created_at", "comment", "updated_at")


@dataclass(frozen=True, slots=True)
class Account:
    """An account as others may see it: without anything secret."""

    user_id: int
    username: str
    email: str
    realname: str
    is_sysadmin: bool
    created_at: datetime
    comment: str
    updated_at: datetime


def find_account(user_id: int) -> Account | None:
    """A live account by id."""
    row = _live().filter(pk=user_id).values_list(*_COLUMNS).first()
    return Account(*row) if row else None


def first_sysadmin_id() -> int:
    """The administrator with the lowest id, who owns what no user made. Raises BadRequest when there is none."""
    found = _live().filter(is_sysadmin=True).order_by("id").values_list("id", flat=True).first()
    if found is None:
        raise BadRequest("this needs an administrator, and there is none")
    return found


def list_accounts(
    *, exactly: Mapping[str, str], containing: Mapping[str, str], order: Iterable[str], offset: int, limit: int
) -> tuple[list[Account], int]:
    """A page of the live accounts and the number of all. The keys of the conditions are FILTERABLE's, `containing` looks
    at no case; `order`: SORTABLE's, '-' first for descending. Two SQL statements."""
    conditions = {FILTERABLE[key]: text for key, text in exactly.items()}
    conditions |= {f"{FILTERABLE[key]}__icontains": text for key, text in containing.items()}
    found = _live().filter(**conditions)
    columns = [("-" if key.startswith("-") else "") + SORTABLE[key.lstrip("-")] for key in order]
    rows = found.order_by(*columns, "id").values_list(*_COLUMNS)[offset : offset + limit]
    return [Account(*row) for row in rows], found.count()


def account_exists(*, username: str = "", email: str = "") -> bool:
    """Whether a live account has this name, or this address."""
    return (_live().filter(username=username) if username else _live().filter(email=email)).exists()


def _live() -> "QuerySet[User, User]":
    return User.objects.filter(deleted_at=None)
