"""Changing accounts. The slow hash is made before a transaction begins; caches of this process follow after COMMIT."""

import secrets
import string

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from haven_core.accounts import passwords
from haven_core.accounts.actors import forget_actors
from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.models import Session, User
from haven_core.accounts.profiles import check_profile
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.names import MAX_LENGTH, is_username
from haven_core.errors import BadRequest, Conflict, Forbidden, NotFound
from haven_core.events.outbox import publish
from haven_core.groups.models import GroupMembership
from haven_core.personal_tokens.holders import forget_holders
from haven_core.personal_tokens.services import end_tokens
from haven_core.projects.models import ProjectMember
from haven_core.rbac.access import forget_access

ADMIN = "admin"
FIRST_ID = 1  # the account an installation begins with; Harbor protects it by this id


def create_user(
    *,
    username: str,
    password: str,
    email: str = "",
    realname: str = "",
    comment: str = "",
    is_sysadmin: bool = False,
    must_change_password: bool = False,
    created_by: str = "",
) -> int:
    """Create an account and return its id.

    Raises BadRequest for a name or password against the rules, Conflict when the name or the e-mail address is taken:
    decided by the unique constraints, so two requests at once make one account.
    """
    if not is_username(username):
        raise BadRequest('the user name must have 1 to 255 printable characters and none of , " ~ # % $ : \\')
    passwords.check_rule(password)
    values = {
        "username": username,
        "email": email,
        "realname": realname,
        "comment": comment,
        "password": passwords.hash_password(password),
        "is_sysadmin": is_sysadmin,
        "is_auditor": False,
        "is_active": True,
        "must_change_password": must_change_password,
        "credential_epoch": 0,
        "created_at": timezone.now(),
        "updated_at": timezone.now(),
        "deleted_at": None,
    }

    def write() -> int:
        created = backend.insert(User, list(values), [tuple(values.values())], on_conflict="DO NOTHING")
        if not created:
            raise Conflict(f"user {username} or its e-mail address already exists")
        user_id: int = created[0][0]
        publish("user.created", timezone.now(), user_id=user_id, name=username, by=created_by)
        return user_id

    return run_write(write)


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
    """Give admin a new password, its rights and its log-in back; its personal tokens end. Raises BadRequest (the rule),
    NotFound."""
    passwords.check_rule(password)
    stored = passwords.hash_password(password)
    _change(
        admin_actor().user_id,
        ends_tokens=True,
        must_change_password=False,
        password=stored,
        is_active=True,
        is_sysadmin=True,
        is_auditor=False,
    )


def generate_password() -> str:
    """24 letters and digits, some 140 bits, that satisfy the rule."""
    alphabet = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(24))
        if all(any(map(kind, password)) for kind in (str.isupper, str.islower, str.isdigit)):
            return password


def set_password(*, user_id: int, password: str, changed_by: str = "", ends_tokens: bool = False) -> None:
    """Replace the password. Every proof of identity made before (cached verdict, registry token) is worthless from here
    on, in other processes within actors.STALENESS_SECONDS; with `ends_tokens` the personal access tokens are as well.
    Raises BadRequest, NotFound."""
    passwords.check_rule(password)
    stored = passwords.hash_password(password)
    _change(user_id, changed_by=changed_by, ends_tokens=ends_tokens, password=stored, must_change_password=False)


def deactivate(*, user_id: int) -> None:
    """Take every right from an account, within the bound set_password names; the row stays, its personal tokens don't.
    Raises NotFound."""
    _change(user_id, ends_tokens=True, is_active=False)


def change_own_password(*, user_id: int, old: str, new: str, address: str = "") -> None:
    """Replace the password by who knows the old one. Raises Forbidden when `old` is wrong, BadRequest for a new one
    against the rule or equal to the old one, TooManyRequests as every guess does, NotFound."""
    if verify_basic(_live(user_id).username, old, address=address) is None:
        raise Forbidden("Current password is incorrect")
    _check_is_new(user_id, new)
    set_password(user_id=user_id, password=new)


def reset_password(*, user_id: int, password: str, reset_by: str) -> None:
    """Replace somebody's password: who does that for them may think that somebody else knew it, so their personal tokens
    end, too. Raises BadRequest (against the rule, or the same as before), NotFound."""
    _check_is_new(user_id, password)
    set_password(user_id=user_id, password=password, changed_by=reset_by, ends_tokens=True)


def update_profile(*, user_id: int, email: str, realname: str, comment: str, updated_by: str) -> None:
    """Replace what a profile says. Raises NotFound, and BadRequest: profiles.check_profile, or
    another's address (the contract of this operation has no conflict)."""
    check_profile(email=email, realname=realname, comment=comment)

    def write() -> None:
        live = User.objects.filter(pk=user_id, deleted_at=None)
        now = timezone.now()
        if not live.update(email=email, realname=realname, comment=comment, updated_at=now):
            raise NotFound(f"user {user_id} not found")
        publish("user.updated", now, user_id=user_id, name=live.values_list("username", flat=True).get(), by=updated_by)

    try:
        run_write(write)
    except IntegrityError:
        raise BadRequest("the e-mail address is another user's") from None


def set_sysadmin(*, user_id: int, is_sysadmin: bool, set_by: str) -> None:
    """Give or take the rights of a system administrator; taken, they are gone within actors.STALENESS_SECONDS. An auditor
    who gets them is none any more.

    Raises NotFound; Forbidden for the first account, so that there always is one.
    """
    if user_id == FIRST_ID and not is_sysadmin:
        raise Forbidden(f"User with ID {FIRST_ID} stays a system administrator")

    def write() -> None:
        now = timezone.now()
        live = User.objects.filter(pk=user_id, deleted_at=None)
        ended = {"is_auditor": False} if is_sysadmin else {}
        if not live.update(is_sysadmin=is_sysadmin, updated_at=now, **ended):
            raise NotFound(f"user {user_id} not found")
        name = live.values_list("username", flat=True).get()
        publish("user.updated", now, user_id=user_id, name=name, by=set_by, is_sysadmin=is_sysadmin)
        transaction.on_commit(_forget)

    run_write(write)


def set_auditor(*, user_id: int, is_auditor: bool, set_by: str) -> None:
    """Make somebody a read-only system auditor, or end that; it counts everywhere within actors.STALENESS_SECONDS.

    Raises NotFound; Conflict for a system administrator, who would lose rights by it: take those first.
    """

    def write() -> None:
        now = timezone.now()
        live = User.objects.filter(pk=user_id, deleted_at=None)
        rows = backend.locked(live.values_list("username", "is_sysadmin"), "NO KEY UPDATE")
        if not rows:
            raise NotFound(f"user {user_id} not found")
        name, is_sysadmin = rows[0]
        if is_auditor and is_sysadmin:
            raise Conflict("a system administrator can't be an auditor; take the administrator's rights first")
        live.update(is_auditor=is_auditor, updated_at=now)
        publish("user.updated", now, user_id=user_id, name=name, by=set_by, is_auditor=is_auditor)
        transaction.on_commit(_forget)

    run_write(write)


def delete_user(*, user_id: int, deleted_by: Actor) -> None:
    """Delete an account softly: the row stays for what refers to it, the name and the address are free again, every
    session, token and membership ends. Its projects stay. Raises NotFound; Forbidden for oneself and the first account.

    Locks: the account's row, by its update, then memberships; members.services takes the row's SHARE before it adds one.
    """
    if user_id in (FIRST_ID, deleted_by.user_id):
        raise Forbidden(f"User with ID {user_id} cannot be deleted")

    def write() -> None:
        now = timezone.now()
        live = User.objects.filter(pk=user_id, deleted_at=None)
        rows = backend.locked(live.values_list("username", "email"), "NO KEY UPDATE")
        if not rows:
            raise NotFound(f"user {user_id} not found")
        name, email = rows[0]
        live.update(
            username=_marked(name, user_id),
            email=_marked(email, user_id) if email else "",
            deleted_at=now,
            updated_at=now,
            credential_epoch=F("credential_epoch") + 1,
        )
        for gone in (ProjectMember, GroupMembership, Session):
            gone.objects.filter(user_id=user_id).delete()
        end_tokens(user_id)
        publish("user.deleted", now, user_id=user_id, name=name, by=deleted_by.name)
        transaction.on_commit(_forget)

    run_write(write)


def _marked(text: str, user_id: int) -> str:
    """`text#id`, within the column."""
    suffix = f"#{user_id}"
    return text[: MAX_LENGTH - len(suffix)] + suffix


def _live(user_id: int) -> User:
    user = User.objects.filter(pk=user_id, deleted_at=None).first()
    if user is None:
        raise NotFound(f"user {user_id} not found")
    return user


def _check_is_new(user_id: int, password: str) -> None:
    passwords.check_rule(password)
    if passwords.matches(password, _live(user_id).password):
        raise BadRequest("New password is identical to old password")


def _forget() -> None:
    """Make this process ask again what accounts are and may."""
    forget_actors()
    forget_holders()
    forget_access()


def _change(user_id: int, *, changed_by: str = "", ends_tokens: bool = False, **values: object) -> None:
    def write() -> None:
        now = timezone.now()
        live = User.objects.filter(pk=user_id, deleted_at=None)
        if not live.update(credential_epoch=F("credential_epoch") + 1, updated_at=now, **values):
            raise NotFound("no such user")
        if ends_tokens:
            end_tokens(user_id)
        name = live.values_list("username", flat=True).get()
        publish("user.updated", now, user_id=user_id, name=name, by=changed_by or name)
        transaction.on_commit(_forget)

    run_write(write)
