"""Making and revoking personal access tokens."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from haven_core.accounts.models import User
from haven_core.configuration import selectors as configuration
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.personal_tokens import TokenScope, generate_secret, hash_secret
from haven_core.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from haven_core.events.outbox import publish
from haven_core.personal_tokens.holders import forget_holders
from haven_core.personal_tokens.models import PersonalToken
from haven_core.rbac.access import forget_access, visible_projects
from haven_core.rbac.permissions import Action, Resource, require_system

MAX_NAME = 64
MAX_TOKENS = 100  # live ones of a person
MAX_PROJECTS = 100  # of one token


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made: the only moment its secret is known."""

    token_id: int
    secret: str = field(repr=False)
    created_at: datetime
    expires_at: datetime


def create_token(
    actor: Actor, *, name: str, scope: str, projects: Collection[str] | None = None, days: int | None = None
) -> NewToken:
    """Make the actor a token. projects: names of the only ones it is good for; days: until it expires, by default as the
    configuration says.

    The token never may more than its owner does when it is used, so nothing of its scope is checked here. The owner's
    expired tokens are removed.
    Raises BadRequest for a name, scope or time against the rules; NotFound for a project the actor can't see; Conflict for
    a taken name or too many tokens; Forbidden for who is no user, or came by a token; Unauthorized when the account
    changed since the actor logged in. Locks: the account's row, so that none is made beside a change that ends all.
    """
    if actor.kind != "user" or actor.token_id:
        raise Forbidden("a token is made with a password or a session")
    _check(name, scope)
    lifetime = _lifetime(days)
    ids = None if projects is None else _project_ids(actor, projects)
    secret = generate_secret()

    def write() -> NewToken:
        now = timezone.now()
        account = User.objects.filter(
            pk=actor.user_id, is_active=True, deleted_at=None, credential_epoch=actor.epoch
        ).values_list("id")
        if not backend.locked(account, "NO KEY UPDATE"):
            raise Unauthorized
        own = PersonalToken.objects.filter(user_id=actor.user_id)
        own.filter(expires_at__lte=now).delete()
        if own.filter(name=name).exists():
            raise Conflict(f"you have a token named {name}")
        if own.count() >= MAX_TOKENS:
            raise Conflict(f"you have {MAX_TOKENS} tokens; revoke one first")
        made = PersonalToken.objects.create(
            user_id=actor.user_id, name=name, hash=hash_secret(secret), scope=scope, projects=ids,
            created_at=now, expires_at=now + lifetime,
        )  # fmt: skip
        publish(
            "personal_token.created",
            now,
            user_id=actor.user_id,
            token_id=made.pk,
            name=name,
            scope=scope,
            by=actor.name,
        )
        return NewToken(made.pk, secret, now, now + lifetime)

    return run_write(write)


def revoke_token(actor: Actor, token_id: int, *, user_id: int | None = None) -> None:
    """End one of the actor's tokens now, or of those of `user_id` for who may change accounts; registry tokens made with
    it end within holders.STALENESS_SECONDS in other processes.

    Raises NotFound, also for somebody else's than asked for; Forbidden for who came by a token, or may not.
    """
    if actor.token_id:
        raise Forbidden("a token is revoked with a password or a session")
    owner_id = actor.user_id if user_id is None else user_id
    if actor.kind != "user" or owner_id != actor.user_id:
        require_system(actor, Resource.USER, Action.UPDATE)

    def write() -> None:
        rows = PersonalToken.objects.filter(pk=token_id, user_id=owner_id)
        name = rows.values_list("name", flat=True).first()
        if not rows.delete()[0]:
            raise NotFound(f"token {token_id} not found")
        publish("personal_token.revoked", timezone.now(), user_id=owner_id, token_id=token_id, name=name, by=actor.name)
        transaction.on_commit(forget_holders)
        transaction.on_commit(forget_access)

    run_write(write)


def end_tokens(user_id: int) -> None:
    """Remove all tokens of an account: part of the transaction that changes the account, whose row is locked by it."""
    PersonalToken.objects.filter(user_id=user_id).delete()
    transaction.on_commit(forget_holders)


def _check(name: str, scope: str) -> None:
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise BadRequest(f"the token's name must have 1 to {MAX_NAME} printable characters")
    if scope not in list(TokenScope):
        raise BadRequest(f"scope must be one of: {', '.join(TokenScope)}")


def _lifetime(days: int | None) -> timedelta:
    longest = int(configuration.value("personal_token_max_duration"))
    if days is None:
        days = min(int(configuration.value("personal_token_duration")), longest)
    if not 0 < days <= longest:
        raise BadRequest(f"a token lives from 1 to {longest} days")
    return timedelta(days=days)


def _project_ids(actor: Actor, names: Collection[str]) -> list[int]:
    """Raises NotFound for a name of no project the actor can see; one that is hidden looks the same."""
    wanted = set(names)
    if not 0 < len(wanted) <= MAX_PROJECTS:
        raise BadRequest(f"a token is for 1 to {MAX_PROJECTS} projects, or without a list for all")
    found = dict(visible_projects(actor).filter(name__in=wanted).values_list("name", "pk"))
    if missing := sorted(wanted - found.keys()):
        raise NotFound(f"project {missing[0][:255]} not found")
    return sorted(found.values())
