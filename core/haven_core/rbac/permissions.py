"""Who may do what: Harbor's matrix as data (harbor: src/common/rbac/project/rbac_role.go, system/policies.go).

A permission is a resource and an action. Inside a project everything is decided by `evaluate`, from what the caller is
there; views ask through `require`, which also answers for projects that are missing or hidden.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol

from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.errors import Forbidden, ProjectUnknown, Unauthorized


class Resource(StrEnum):
    """Harbor's resources. PROJECT inside a project is the project itself, which Harbor spells '' or '.'."""

    ACCESSORY = "accessory"
    ARTIFACT = "artifact"
    ARTIFACT_ADDITION = "artifact-addition"
    ARTIFACT_LABEL = "artifact-label"
    AUDIT_LOG = "audit-log"
    CATALOG = "catalog"
    CONFIGURATION = "configuration"
    DISTRIBUTION = "distribution"
    EXPORT_CVE = "export-cve"
    GARBAGE_COLLECTION = "garbage-collection"
    IMMUTABLE_TAG = "immutable-tag"
    JOBSERVICE_MONITOR = "jobservice-monitor"
    LABEL = "label"
    LDAP_USER = "ldap-user"
    LOG = "log"
    MEMBER = "member"
    METADATA = "metadata"
    NOTIFICATION_POLICY = "notification-policy"
    PREHEAT_INSTANCE = "preheat-instance"
    PREHEAT_POLICY = "preheat-policy"
    PROJECT = "project"
    PURGE_AUDIT = "purge-audit"
    QUOTA = "quota"
    REGISTRY = "registry"
    REPLICATION = "replication"
    REPLICATION_ADAPTER = "replication-adapter"
    REPLICATION_POLICY = "replication-policy"
    REPOSITORY = "repository"
    ROBOT = "robot"
    SBOM = "sbom"
    SCAN = "scan"
    SCAN_ALL = "scan-all"
    SCANNER = "scanner"
    SECURITY_HUB = "security-hub"
    SYSTEM_VOLUMES = "system-volumes"
    TAG = "tag"
    TAG_RETENTION = "tag-retention"
    USER = "user"
    USER_GROUP = "user-group"


class Action(StrEnum):
    """Harbor's actions."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    LIST = "list"
    PULL = "pull"
    PUSH = "push"
    OPERATE = "operate"
    STOP = "stop"


class Permission(NamedTuple):
    """One cell of the matrix."""

    resource: Resource
    action: Action


# resource: action and who has it: projectAdmin A, maintainer M, developer D, guest G, limitedGuest L, anybody in a
# public project P. What nobody has (metadata list) is the system administrators', and robots can be given it.
_MATRIX = """
accessory            list AMDGLP
artifact             create AMD, read AMDGLP, delete AM, list AMDGLP
artifact-addition    read AMDGLP
artifact-label       create AMD, delete AMD
configuration        read AMDGL, update A
export-cve           create AMD, read AMD, list AMD
immutable-tag        create AM, update AM, delete AM, list AM
label                create AM, read AMDGP, update AM, delete AM, list AMDGP
log                  list A
member               create A, read AMDG, update A, delete A, list AMDG
metadata             create A, read AM, update A, delete A, list -
notification-policy  create A, read AM, update A, delete A, list AM
preheat-policy       create A, read A, update A, delete A, list A
project              read AMDGLP, update A, delete A
quota                read AMDGL
repository           create AMD, read AMDGL, update AMD, delete AM, list AMDGLP, pull AMDGLP, push AMD
robot                create A, read AMDG, update A, delete A, list AMDG
sbom                 create AM, read AMDGL, stop AM
scan                 create AM, read AMDGLP, stop AM
scanner              create A, read AMDGLP
tag                  create AMD, delete AM, list AMDGLP
tag-retention        create AMD, read AMD, update AMD, delete AMD, list AMD, operate AMD
"""

# resource: actions of /system, all of them the system administrators'
_SYSTEM = """
audit-log            list
catalog              read
configuration        read, update
distribution         create, read, update, delete, list
garbage-collection   create, read, update, delete, list, stop
jobservice-monitor   read, list, stop
ldap-user            create, list
project              create, read, update, delete, list
registry             create, read, update, delete, list
replication          create, read, update, delete, list
scan-all             create, read, update, delete, list, stop
security-hub         read, list
system-volumes       read
user                 create, read, update, delete, list
user-group           create, read, update, delete, list
"""

_LETTERS = {
    "A": Role.PROJECT_ADMIN,
    "M": Role.MAINTAINER,
    "D": Role.DEVELOPER,
    "G": Role.GUEST,
    "L": Role.LIMITED_GUEST,
}


def _cells(table: str) -> Iterable[tuple[Permission, str]]:
    for line in table.strip().splitlines():
        resource, _, cells = line.partition(" ")
        for cell in cells.split(","):
            action, _, letters = cell.strip().partition(" ")
            yield Permission(Resource(resource), Action(action)), letters


BY_ROLE = {
    role: frozenset(permission for permission, letters in _cells(_MATRIX) if letter in letters)
    for letter, role in _LETTERS.items()
}
PUBLIC = frozenset(permission for permission, letters in _cells(_MATRIX) if "P" in letters)
PROJECT_PERMISSIONS = frozenset(permission for permission, _ in _cells(_MATRIX))
WITHOUT_ROLE = PROJECT_PERMISSIONS.difference(*BY_ROLE.values())
SYSTEM_PERMISSIONS = frozenset(permission for permission, _ in _cells(_SYSTEM))


class InProject(Protocol):
    """A project together with what the caller may do in it: rbac.access.Standing, projects.selectors.ProjectView."""

    @property
    def permissions(self) -> Collection[Permission]:
        """Everything the caller may do there, by all its roles and by the project being public."""


def evaluate(actor: Actor, resource: Resource, action: Action, project: InProject | None = None) -> bool:
    """Whether the actor may do `action`: in `project`, which was read for this actor, or without one in the system."""
    if actor.is_sysadmin:
        return True
    if project is None:
        return actor.rights.on_system(resource, action)
    return Permission(resource, action) in project.permissions


def require(actor: Actor, project: InProject | None, resource: Resource, action: Action) -> None:
    """Let who has the right pass. Everybody else gets the same answer for a project that is missing, hidden or shut:
    Unauthorized for nobody, Forbidden for somebody (Harbor). ProjectUnknown only for who sees everything.

    project: as a selector found it for this actor; None when it found none.
    """
    if project is not None and evaluate(actor, resource, action, project):
        return
    if actor.is_anonymous:
        raise Unauthorized
    raise ProjectUnknown if project is None and actor.sees_everything else Forbidden


def require_system(actor: Actor, resource: Resource, action: Action) -> None:
    """The same for what belongs to no project. Raises Unauthorized, Forbidden."""
    if evaluate(actor, resource, action):
        return
    raise Unauthorized if actor.is_anonymous else Forbidden


def permissions_of(actor: Actor, project: InProject | None = None) -> list[Permission]:
    """What the actor may do in `project`, or without one in the system; sorted."""
    known = PROJECT_PERMISSIONS if project is not None else SYSTEM_PERMISSIONS
    return sorted(cell for cell in known if evaluate(actor, *cell, project))
