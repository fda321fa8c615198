"""Accounts, projects, and who may do what in them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from haven_core.db.bulk import load, next_ids
from haven_core.domain.roles import Role
from haven_core.labels.models import Label
from haven_core.models import Project, ProjectMember, Robot, RobotPermission, RobotSecret, User
from haven_project.seeding import words
from haven_project.seeding.scale import CROWD, CROWDED_PROJECTS, Scale

TABLES = (User, Project, ProjectMember, Robot, RobotPermission, RobotSecret, Label)
SYSTEM_ROBOTS = 10
_LABELS = {
    "approved": "#48960C", "deprecated": "#F52F22", "lts": "#0065AB", "needs-review": "#FFDC0B", "nightly": "#343DAC",
    "production": "#00AB9A", "staging": "#9B0D54",
}  # fmt: skip
_PROJECT_LABELS = {"candidate": "#007CBB", "released": "#4CB7A5"}
_PULL, _PUSH = ["repository", "pull"], ["repository", "push"]
_ROLES = (Role.DEVELOPER, Role.DEVELOPER, Role.DEVELOPER, Role.GUEST, Role.MAINTAINER, Role.LIMITED_GUEST)


@dataclass(frozen=True, slots=True)
class Owned:
    """A project: its owner's name, the ids of its labels and of those of all projects."""

    project_id: int
    name: str
    owner: str
    created_at: datetime
    labels: tuple[int, ...]


def seed_people(scale: Scale, rng: Random, end: datetime, password_hash: str) -> list[Owned]:
    """Users (password_hash: of all of them, '' can't log in), projects with members, robots, labels. Quotas come with the
    content. `end`: nothing is younger."""
    names = words.usernames(scale.users)
    users = list(zip(next_ids(User), names, strict=False))
    load(
        User,
        ("id", "username", "email", "realname", "comment", "password", "is_sysadmin", "is_auditor", "is_active",
         "must_change_password", "credential_epoch", "created_at", "updated_at"),
        [
            (user_id, name, f"{name}@example.com", name.replace(".", " ").title(), "", password_hash, False, False, True,
             False, 0, end - timedelta(days=730), end - timedelta(days=730))
            for user_id, name in users
        ],
    )  # fmt: skip
    label_ids = next_ids(Label)
    everywhere = _labels(label_ids, None, _LABELS, end)
    projects: list[Owned] = []
    rows, members = [], []
    project_ids, member_ids = next_ids(Project), next_ids(ProjectMember)
    for number, name in enumerate(words.project_names(scale.projects)):
        crowd = CROWD if number < CROWDED_PROJECTS else rng.randint(3, 12)
        people = rng.sample(users, min(crowd, len(users)))
        created = end - timedelta(days=rng.randint(370, 700))
        project_id, owner = next(project_ids), people[0]
        projects.append(Owned(project_id, name, owner[1], created, everywhere))
        is_public = rng.random() < 0.2
        rows.append((project_id, name, owner[0], is_public, {"auto_scan": "false"}, created, created))
        roles = [Role.PROJECT_ADMIN, *(rng.choice(_ROLES) for _ in people[1:])]
        members += [
            (next(member_ids), project_id, user_id, int(role), created)
            for (user_id, _), role in zip(people, roles, strict=True)
        ]
    columns = ("id", "name", "owner", "is_public", "metadata", "created_at", "updated_at")
    load(Project, columns, rows)
    load(ProjectMember, ("id", "project", "user", "role", "created_at"), members)
    _robots(projects, users[0][0], rng)
    own = _labels(label_ids, [project.project_id for project in projects], _PROJECT_LABELS, end)
    each = len(_PROJECT_LABELS)
    return [
        Owned(project.project_id, project.name, project.owner, project.created_at,
              (*everywhere, *own[number * each : (number + 1) * each]))
        for number, project in enumerate(projects)
    ]  # fmt: skip


def _labels(
    ids: Iterator[int], project_ids: list[int] | None, colors: dict[str, str], end: datetime
) -> tuple[int, ...]:
    places: list[int | None] = [None] if project_ids is None else [*project_ids]
    rows = [
        (next(ids), place, name, f"{name.capitalize()} images", color, end, end)
        for place in places
        for name, color in colors.items()
        if place is not None or not Label.objects.filter(project=None, name=name).exists()
    ]
    load(Label, ("id", "project", "name", "description", "color", "created_at", "updated_at"), rows)
    return tuple(row[0] for row in rows)


def _robots(projects: list[Owned], creator: int, rng: Random) -> None:
    """A robot for each project, and some of the system. Nobody knows their secrets."""
    robots, permissions, secrets = [], [], []
    ids, permission_ids, secret_ids = next_ids(Robot), next_ids(RobotPermission), next_ids(RobotSecret)
    first = projects[0]
    taken = set(Robot.objects.filter(project=None).values_list("name", flat=True))
    system = [name for name in (f"mirror-{number}" for number in range(1, SYSTEM_ROBOTS + 1)) if name not in taken]
    wanted = [(None, name, first.created_at) for name in system]
    for project_id, name, at in [*wanted, *((owned.project_id, "ci", owned.created_at) for owned in projects)]:
        robot_id = next(ids)
        robots.append((robot_id, project_id, name, "Seeded", -1, False, 0, "local", creator, at, at))
        scope = "all" if project_id is None else "project"
        access = [_PULL] if project_id is None else [_PULL, _PUSH]
        permissions.append((next(permission_ids), robot_id, scope, project_id, access))
        unknown = hashlib.sha256(rng.randbytes(32)).hexdigest()
        secrets.append((next(secret_ids), robot_id, f"sha256${unknown}", at, ""))
    load(
        Robot,
        ("id", "project", "name", "description", "duration_days", "is_disabled", "epoch", "creator_type", "creator_id",
         "created_at", "updated_at"),
        robots,
    )  # fmt: skip
    load(RobotPermission, ("id", "robot", "scope", "project", "access"), permissions)
    load(RobotSecret, ("id", "robot", "hash", "created_at", "last_used_from"), secrets)
