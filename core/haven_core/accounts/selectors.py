"""Reading accounts."""

from dataclasses import dataclass
from datetime import datetime

from haven_core.accounts.models import User
from haven_core.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Account:
    """An account as others may see it: without anything secret."""

    user_id: int
    username: str
    email: str
    realname: str
    is_sysadmin: bool
    created_at: datetime


def find_account(user_id: int) -> Account | None:
    """A live account by id."""
    row = (
        User.objects.filter(pk=user_id, deleted_at=None)
        .values_list("id", "username", "email", "realname", "is_sysadmin", "created_at")
        .first()
    )
    return Account(*row) if row else None


def first_sysadmin_id() -> int:
    """The administrator with the lowest id, who owns what no user made. Raises BadRequest when there is none."""
    found = User.objects.filter(is_sysadmin=True, deleted_at=None).order_by("id").values_list("id", flat=True).first()
    if found is None:
        raise BadRequest("this needs an administrator, and there is none")
    return found
