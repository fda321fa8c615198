"""Changing robots. Slow hashes are made before a transaction begins; caches of this process follow after COMMIT.

Locks, in this order: project (KEY SHARE), robot (NO KEY UPDATE by its UPDATE), robot_permission and robot_secret, outbox.
Whether the caller may is asked by the view (robots.access); how much they may pass on is asked here
(robots.passing_on).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.actor import Actor
from haven_core.domain.rights import Permission
from haven_core.errors import BadRequest, Conflict, NotFound
from haven_core.events.outbox import publish
from haven_core.projects.models import Project
from haven_core.robots.actors import forget_robots
from haven_core.robots.models import Robot, RobotPermission, RobotSecret
from haven_core.robots.names import login_name
from haven_core.robots.passing_on import check_within
from haven_core.robots.secrets import generate_secret, hash_chosen, hash_generated
from haven_core.robots.specs import EVERY_PROJECT, SYSTEM_LEVEL, PermissionSpec, RobotSpec, check_spec, expiry

MAX_LIVE_SECRETS = 5
MAX_OVERLAP = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CreatedRobot:
    """A new robot and its secret, which nobody can read again. expires_at: None is never."""

    robot_id: int
    name: str
    secret: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret, shown once."""

    secret_id: int
    secret: str


def create_robot(actor: Actor, spec: RobotSpec) -> CreatedRobot:
    """Create a robot. One transaction.

    Raises BadRequest (check_spec), NotFound for a project that is not there, Denied when somebody would pass on more than
    their own rights, Conflict when the name is taken: decided by the unique constraint.
    """
    check_spec(spec)
    secret = generate_secret()

    def write() -> CreatedRobot:
        now = timezone.now()
        projects = _projects(spec.permissions)
        check_within(actor, _rows(spec.permissions, projects))
        values = {
            "project": projects[spec.project] if spec.project else None,
            "name": spec.name,
            "description": spec.description,
            "duration_days": spec.duration_days,
            "expires_at": expiry(spec.duration_days, now),
            "is_disabled": spec.is_disabled,
            "epoch": 0,
            "creator_type": "robot" if actor.is_robot else "local",
            "creator_id": actor.subject_id,
            "created_at": now,
            "updated_at": now,
        }
        name = login_name(spec.name, spec.project)
        rows = backend.insert(Robot, list(values), [tuple(values.values())], on_conflict="DO NOTHING")
        if not rows:
            raise Conflict(f"robot {name} already exists")
        robot_id: int = rows[0][0]
        _grant(robot_id, spec.permissions, projects)
        _add_secret(robot_id, hash_generated(secret), now)
        publish("robot.created", now, robot_id=robot_id, project_id=values["project"], name=name, by=actor.name)
        return CreatedRobot(robot_id, name, secret, now, expiry(spec.duration_days, now))

    return run_write(write)


def update_robot(actor: Actor, robot_id: int, spec: RobotSpec, *, name: str) -> None:
    """Replace what can change of a robot: description, state, duration (counted from its creation) and all permissions.

    `name`: what it logs in as, for the event. Its tokens end with any change but that of the description, in other
    processes within actors.STALENESS_SECONDS; clients fetch new ones by themselves.
    Raises BadRequest (check_spec; another project), NotFound, Denied.
    """
    check_spec(spec)

    def write() -> None:
        now = timezone.now()
        projects = _projects(spec.permissions)
        check_within(actor, _rows(spec.permissions, projects))
        rows = backend.locked(
            Robot.objects.filter(pk=robot_id).values_list("project_id", "duration_days", "is_disabled"), "NO KEY UPDATE"
        )
        if not rows:
            raise NotFound(f"robot {robot_id} not found")
        if rows[0][0] != (projects[spec.project] if spec.project else None):
            raise BadRequest("cannot update the project id of robot")
        created_at = Robot.objects.values_list("created_at", flat=True).get(pk=robot_id)
        stored, wanted = set(_stored(robot_id)), set(_rows(spec.permissions, projects))
        is_changed = stored != wanted or tuple(rows[0][1:]) != (spec.duration_days, spec.is_disabled)
        Robot.objects.filter(pk=robot_id).update(
            description=spec.description,
            duration_days=spec.duration_days,
            expires_at=expiry(spec.duration_days, created_at),
            is_disabled=spec.is_disabled,
            epoch=F("epoch") + int(is_changed),
            updated_at=now,
        )
        if stored != wanted:
            RobotPermission.objects.filter(robot_id=robot_id).delete()
            _grant(robot_id, spec.permissions, projects)
        publish("robot.updated", now, robot_id=robot_id, project_id=rows[0][0], name=name, by=actor.name)
        transaction.on_commit(forget_robots)

    run_write(write)


def replace_secret(actor: Actor, robot_id: int, chosen: str = "") -> str:
    """Give a robot one new secret, the `chosen` one or a generated one that is returned ('' for a chosen one).

    Every other secret, and every token made under one, is worthless from here on, in other processes within
    actors.STALENESS_SECONDS. Raises BadRequest for a chosen one that breaks the rule, NotFound, Denied when the robot may
    more than the caller, who would be it by its secret.
    """
    secret = "" if chosen else generate_secret()
    stored = hash_chosen(chosen) if chosen else hash_generated(secret)

    def write() -> None:
        now = timezone.now()
        project_id = _touch(robot_id, now, ends_tokens=True)
        check_within(actor, _stored(robot_id))
        RobotSecret.objects.filter(robot_id=robot_id).delete()
        _add_secret(robot_id, stored, now)
        publish("robot.secret_replaced", now, robot_id=robot_id, project_id=project_id, by=actor.name)
        transaction.on_commit(forget_robots)

    run_write(write)
    return secret


def add_secret(actor: Actor, robot_id: int, *, overlap: timedelta) -> NewSecret:
    """Give a robot a further, generated secret; the ones it has end after `overlap`, those that end sooner stay so.

    With them all clients can be moved to the new one without a pause. Tokens stay good: their robot is.
    Raises BadRequest for an overlap beyond MAX_OVERLAP, Conflict with MAX_LIVE_SECRETS alive, NotFound, Denied as
    replace_secret().
    """
    if not timedelta() < overlap <= MAX_OVERLAP:
        raise BadRequest(f"the overlap must be more than 0 and at most {MAX_OVERLAP.days} days")
    secret = generate_secret()

    def write() -> NewSecret:
        now = timezone.now()
        project_id = _touch(robot_id, now, ends_tokens=False)
        check_within(actor, _stored(robot_id))
        own = RobotSecret.objects.filter(robot_id=robot_id)
        own.filter(expires_at__lte=now).delete()
        if own.count() >= MAX_LIVE_SECRETS:
            raise Conflict(f"the robot has {MAX_LIVE_SECRETS} live secrets; revoke one first")
        own.filter(Q(expires_at=None) | Q(expires_at__gt=now + overlap)).update(expires_at=now + overlap)
        secret_id = _add_secret(robot_id, hash_generated(secret), now)
        publish("robot.secret_added", now, robot_id=robot_id, project_id=project_id, by=actor.name)
        return NewSecret(secret_id, secret)

    return run_write(write)


def revoke_secret(actor: Actor, robot_id: int, secret_id: int) -> None:
    """End one secret now, and with it every token of the robot, since no token says which secret it came from.

    Raises NotFound; Conflict for the last one: disable or delete the robot instead.
    """

    def write() -> None:
        now = timezone.now()
        project_id = _touch(robot_id, now, ends_tokens=True)
        own = RobotSecret.objects.filter(robot_id=robot_id)
        live = set(own.filter(Q(expires_at=None) | Q(expires_at__gt=now)).values_list("id", flat=True))
        if secret_id not in live:
            raise NotFound(f"secret {secret_id} not found")
        if live == {secret_id}:
            raise Conflict("a robot keeps its last secret; disable or delete it instead")
        own.filter(pk=secret_id).delete()
        publish("robot.secret_revoked", now, robot_id=robot_id, project_id=project_id, by=actor.name)
        transaction.on_commit(forget_robots)

    run_write(write)


def delete_robot(actor: Actor, robot_id: int, *, name: str) -> None:
    """Remove a robot with all it has; its tokens end as in update_robot(). Raises NotFound."""

    def write() -> None:
        now = timezone.now()
        project_id = _touch(robot_id, now, ends_tokens=True)
        _remove([robot_id])
        publish("robot.deleted", now, robot_id=robot_id, project_id=project_id, name=name, by=actor.name)
        transaction.on_commit(forget_robots)

    run_write(write)


def remove_project_robots(project_id: int) -> None:
    """Remove the robots of a project, and what others may do in it: part of the transaction that deletes the project,
    after its row is locked."""
    _remove(list(Robot.objects.filter(project_id=project_id).order_by("id").values_list("id", flat=True)))
    RobotPermission.objects.filter(project_id=project_id).delete()
    transaction.on_commit(forget_robots)


def _remove(robot_ids: list[int]) -> None:
    RobotSecret.objects.filter(robot_id__in=robot_ids).delete()
    RobotPermission.objects.filter(robot_id__in=robot_ids).delete()
    Robot.objects.filter(pk__in=robot_ids).delete()


def _touch(robot_id: int, now: datetime, *, ends_tokens: bool) -> int | None:
    """Lock the robot by changing it; returns its project. Raises NotFound."""
    if not Robot.objects.filter(pk=robot_id).update(epoch=F("epoch") + int(ends_tokens), updated_at=now):
        raise NotFound(f"robot {robot_id} not found")
    return Robot.objects.values_list("project_id", flat=True).get(pk=robot_id)


def _projects(permissions: tuple[PermissionSpec, ...]) -> Mapping[str, int]:
    """Ids of the projects that are named, KEY SHARE locked by id, so that none is deleted meanwhile. Raises NotFound."""
    names = {one.namespace for one in permissions if one.kind != SYSTEM_LEVEL} - {EVERY_PROJECT}
    live = Project.objects.filter(name__in=names, deleted_at=None).order_by("id").values_list("name", "id")
    found: dict[str, int] = dict(backend.locked(live, "KEY SHARE"))
    if missing := sorted(names - found.keys()):
        raise NotFound(f"project {missing[0]} not found")
    return found


def _rows(
    permissions: tuple[PermissionSpec, ...], projects: Mapping[str, int]
) -> list[tuple[str, int | None, tuple[Permission, ...]]]:
    """Scope, project and sorted access, one for each place."""
    places: dict[tuple[str, int | None], frozenset[Permission]] = {}
    for one in permissions:
        if one.kind == SYSTEM_LEVEL:
            place: tuple[str, int | None] = ("system", None)
        elif one.namespace == EVERY_PROJECT:
            place = ("all", None)
        else:
            place = ("project", projects[one.namespace])
        places[place] = places.get(place, frozenset()) | one.access
    return [(scope, project_id, tuple(sorted(access))) for (scope, project_id), access in places.items()]


def _stored(robot_id: int) -> list[tuple[str, int | None, tuple[Permission, ...]]]:
    """What _rows() made of the robot's permissions."""
    rows = RobotPermission.objects.filter(robot_id=robot_id).values_list("scope", "project_id", "access")
    return [(scope, project_id, tuple((one[0], one[1]) for one in access)) for scope, project_id, access in rows]


def _grant(robot_id: int, permissions: tuple[PermissionSpec, ...], projects: Mapping[str, int]) -> None:
    RobotPermission.objects.bulk_create(
        RobotPermission(robot_id=robot_id, scope=scope, project_id=project_id, access=access)
        for scope, project_id, access in _rows(permissions, projects)
    )


def _add_secret(robot_id: int, stored: str, now: datetime) -> int:
    return RobotSecret.objects.create(robot_id=robot_id, hash=stored, created_at=now).pk
