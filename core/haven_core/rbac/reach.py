"""From what an account is, and what it logged in with, to what its actor reaches: the read-only system auditor, personal
access tokens."""

from dataclasses import replace

from haven_core.domain.actor import Actor
from haven_core.domain.limits import Limit
from haven_core.domain.personal_tokens import TokenScope
from haven_core.domain.rights import Rights
from haven_core.rbac.permissions import PROJECT_PERMISSIONS, Action, Permission, Resource

_READS = (Action.READ, Action.LIST)
PULL = Permission(Resource.REPOSITORY, Action.PULL)
PROJECT_READS = frozenset(one for one in PROJECT_PERMISSIONS if one.action in _READS)
SYSTEM_READS = frozenset(Permission(resource, action) for resource in Resource for action in _READS)

# An auditor reads everything there is to read but the content of images, and keeps of its memberships no more than pull:
# who can change what is audited is no auditor.
_AUDITOR_RIGHTS = Rights(system=SYSTEM_READS, everywhere=PROJECT_READS)
_AUDITOR_LIMIT = Limit(permissions=frozenset({PULL}))

# What each scope of a token leaves; None is everything.
_SCOPES: dict[TokenScope, frozenset[Permission] | None] = {
    TokenScope.READ: PROJECT_READS | {PULL},
    TokenScope.PULL: frozenset({PULL}),
    TokenScope.PUSH: frozenset({PULL, Permission(Resource.REPOSITORY, Action.PUSH)}),
    TokenScope.FULL: None,
}


def user_actor(user_id: int, name: str, *, is_sysadmin: bool, is_auditor: bool, epoch: int) -> Actor:
    """The actor of an account, by what its row says now."""
    actor = Actor("user", user_id, name, is_sysadmin, epoch)
    if not is_auditor or is_sysadmin:
        return actor
    return replace(actor, rights=_AUDITOR_RIGHTS, limit=_AUDITOR_LIMIT, is_auditor=True)


def through_token(owner: Actor, *, token_id: int, scope: TokenScope, projects: frozenset[int] | None) -> Actor:
    """The owner of a personal access token as far as the token reaches: never beyond what the owner may now.

    A system administrator or auditor gets through a token that is not full the part of their rights that it leaves, as
    rights that are named; is_sysadmin would open everything.
    """
    allowed = _SCOPES[scope]
    if allowed is None and projects is None:
        return replace(owner, token_id=token_id)
    held = PROJECT_PERMISSIONS if owner.is_sysadmin else owner.rights.everywhere
    everywhere = held if allowed is None else held & allowed
    if projects is None:
        may_read = scope is TokenScope.READ and (owner.is_sysadmin or owner.is_auditor)
        rights = Rights(system=SYSTEM_READS if may_read else frozenset(), everywhere=everywhere)
    else:
        rights = Rights(projects=dict.fromkeys(projects, everywhere) if everywhere else {})
    both = (allowed, owner.limit.permissions)
    limits = [one for one in both if one is not None]
    return replace(
        owner,
        is_sysadmin=False,
        rights=rights,
        limit=Limit(frozenset.intersection(*limits) if limits else None, projects),
        token_id=token_id,
        is_registry_only=scope in (TokenScope.PULL, TokenScope.PUSH),
    )
