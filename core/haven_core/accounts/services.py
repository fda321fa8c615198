"""Changing accounts. The slow hash is made before a transaction begins; caches of this process follow after COMMIT."""

import secrets
import string

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from haven_core.accounts import passwords
from haven_core.accounts.actors import forget_actors
from haven_core.accounts.models import User
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.names import is_username
from haven_core.errors import BadRequest, Conflict, NotFound

ADMIN = "admin"


def create_user(
    *,
    username: str,
    password: str,
    email: str = "",
    realname: str = "",
    is_sysadmin: bool = False,
    must_change_password: bool = False,
) -> int:
    """Create an account and return its id.

    Raises BadRequest for a name or password against the rules, Conflict when the name is taken: decided by the unique
    constraint, so two requests at once make one account.
    """
    if not is_username(username):
        raise BadRequest('the user name must have 1 to 255 printable characters and none of , " ~ # % $ : \\')
    passwords.check_rule(password)
    values = {
        "username": username,
        "email": email,
        "realname": realname,
        "password": passwords.hash_password(password),
        "is_sysadmin": is_sysadmin,
        "is_active": True,
        "must_change_password": must_change_password,
        "credential_epoch": 0,
        "created_at": timezone.now(),
        "deleted_at": None,
    }
    created = run_write(
        lambda: backend.insert(
            User,
            list(values),
            [tuple(values.values())],
            on_conflict="(username) WHERE deleted_at IS NULL DO NOTHING",
        )
    )
    if not created:
        raise Conflict(f"user {username} already exists")
    user_id: int = created[0][0]
    return user_id


def ensure_admin(password: str | None) -> str | None:
    """Make the first administrator of an installation, unless an account `admin` was ever made.

    With a password given it is used (BadRequest when it breaks the rule) and None is returned. Without, one is
    generated, to be changed at the first login in the portal, and returned to be shown once: there is no default
    password. An existing account is left as it is, whatever `password` says.
    """
    if User.objects.filter(username=ADMIN).exists():
        return None
    chosen = password or generate_password()
    try:
        create_user(username=ADMIN, password=chosen, is_sysadmin=True, must_change_password=password is None)
    except Conflict:
        return None  # another process of the same start was first
    return None if password else chosen


def admin_actor() -> Actor:
    """The first administrator, for what the installation does by itself. Raises NotFound before ensure_admin()."""
    user = User.objects.filter(username=ADMIN, deleted_at=None).first()
    if user is None:
        raise NotFound("there is no account named admin")
    return Actor(kind="user", user_id=user.pk, name=user.username, is_sysadmin=True, epoch=user.credential_epoch)


def reset_admin(password: str) -> None:
    """Give admin a new password, its rights and its log-in back. Raises BadRequest (rule), NotFound."""
    passwords.check_rule(password)
    values = {"password": passwords.hash_password(password), "is_active": True, "is_sysadmin": True}
    _change(admin_actor().user_id, must_change_password=False, **values)


def generate_password() -> str:
    """24 letters and digits, some 140 bits, that satisfy the rule."""
    alphabet = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(24))
        if all(any(map(kind, password)) for kind in (str.isupper, str.islower, str.isdigit)):
            return password


def set_password(*, user_id: int, password: str) -> None:
    """Replace the password. Every proof of identity made before (cached verdict, token) is worthless from here on, in
    other processes within actors.STALENESS_SECONDS. Raises BadRequest, NotFound."""
    passwords.check_rule(password)
    _change(user_id, password=passwords.hash_password(password), must_change_password=False)


def deactivate(*, user_id: int) -> None:
    """Take every right from an account, within the bound set_password names; the row stays. Raises NotFound."""
    _change(user_id, is_active=False)


def _change(user_id: int, **values: object) -> None:
    def write() -> None:
        live = User.objects.filter(pk=user_id, deleted_at=None)
        if not live.update(credential_epoch=F("credential_epoch") + 1, **values):
            raise NotFound("no such user")
        transaction.on_commit(forget_actors)

    run_write(write)
