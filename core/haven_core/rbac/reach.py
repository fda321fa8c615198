"""From what an account is to what its actor reaches beside its memberships: the read-only system auditor."""

from dataclasses import replace

from haven_core.domain.actor import Actor
from haven_core.domain.limits import Limit
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


def user_actor(user_id: int, name: str, *, is_sysadmin: bool, is_auditor: bool, epoch: int) -> Actor:
    """The actor of an account, by what its row says now."""
    actor = Actor("user", user_id, name, is_sysadmin, epoch)
    if not is_auditor or is_sysadmin:
        return actor
    return replace(actor, rights=_AUDITOR_RIGHTS, limit=_AUDITOR_LIMIT, is_auditor=True)
