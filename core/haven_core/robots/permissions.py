"""What robots can be given: Harbor's two lists (harbor: src/common/rbac/const.go), as data."""

from typing import Any

from haven_core.domain.rights import Permission

_CRUD = "create read update delete list"


def _pairs(table: dict[str, str]) -> tuple[Permission, ...]:
    return tuple((resource, action) for resource, actions in table.items() for action in actions.split())


SYSTEM = _pairs(
    {
        "audit-log": "list",
        "preheat-instance": _CRUD,
        "project": "list create",
        "replication-policy": _CRUD,
        "replication": "read create list",
        "replication-adapter": "list",
        "registry": _CRUD,
        "scan-all": "read update stop create",
        "system-volumes": "read",
        "garbage-collection": "read create list update stop",
        "purge-audit": "read create list update stop",
        "jobservice-monitor": "list stop",
        "scanner": _CRUD,
        "label": "read create delete update",
        "security-hub": "read list",
        "catalog": "read",
        "quota": "read list update",
        "robot": "create read list delete",
        "user": _CRUD,
        "ldap-user": "create list",
        "user-group": _CRUD,
    }
)
PROJECT = _pairs(
    {
        "log": "list",
        "project": "read delete update",
        "metadata": _CRUD,
        "repository": "read update delete list pull push",
        "artifact": "read create list delete",
        "scan": "create read stop",
        "sbom": "create stop read",
        "tag": "create list delete",
        "accessory": "list",
        "artifact-addition": "read",
        "artifact-label": "create delete",
        "scanner": "create read",
        "preheat-policy": _CRUD,
        "immutable-tag": "create delete list update",
        "notification-policy": _CRUD,
        "tag-retention": _CRUD,
        "label": _CRUD,
        "quota": "read",
        "robot": "create read list delete",
        "export-cve": "create read",
        "member": _CRUD,
    }
)
_BY_KIND: dict[Any, frozenset[Permission]] = {"system": frozenset(SYSTEM), "project": frozenset(PROJECT)}


def is_grantable(kind: str, permission: Permission) -> bool:
    """Whether a permission of `kind` (system or project) can be given to a robot."""
    return permission in _BY_KIND.get(kind, frozenset())
