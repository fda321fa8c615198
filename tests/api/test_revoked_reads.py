"""A right that was taken away in another process: how long /v2 may still grant it. The bound is ten seconds."""

import io
import time
from collections.abc import Callable

from django.utils import timezone

from haven_core.accounts.models import User
from haven_core.accounts.services import create_user
from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.services import create_project
from haven_core.tokens.grants import issue_token
from haven_core.tokens.keys import ensure_key
from haven_core.tokens.scopes import Scope
from haven_registry.services.repositories import delete_repository
from haven_registry.v2 import recent
from haven_registry.v2.app import application
from tests.api.conftest import PASSWORD
from tests.support.site import seen_repository

BOUND_SECONDS = 10.0


Read = Callable[[], int]

TAKEN_AWAY: dict[str, Callable[[int, int], object]] = {
    "disabled": lambda user, _: User.objects.filter(pk=user).update(is_active=False),
    "new-password": lambda user, _: User.objects.filter(pk=user).update(credential_epoch=1),
    "no-member": lambda user, _: ProjectMember.objects.filter(user_id=user).delete(),
    "project-gone": lambda _, project: Project.objects.filter(pk=project).update(deleted_at=timezone.now()),
}


def reader(name: str, owner: int) -> tuple[Read, int, int]:
    """A guest of a private project, both called `name`: GET of a tag list with its token, user id, project id."""
    user_id = create_user(username=name, password=PASSWORD)
    project_id = create_project(name=name, owner_id=owner)
    ProjectMember.objects.create(project_id=project_id, user_id=user_id, role=Role.GUEST, created_at=timezone.now())
    guest = Actor(kind="user", user_id=user_id, name=name, is_sysadmin=False)
    token = issue_token(guest, [Scope("repository", f"{name}/app", frozenset({"pull"}))]).token

    def ask() -> int:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/v2/{name}/app/tags/list",
            "QUERY_STRING": "",
            "HTTP_HOST": "registry.test",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
        }
        answered: list[str] = []
        b"".join(application(environ, lambda status, _: answered.append(status)))
        return int(answered[0][:3])

    return ask, user_id, project_id


def test_a_right_taken_away_elsewhere_ends_within_the_bound(users: dict[str, int]) -> None:
    """Asked ten times a second meanwhile, as a pull does, so that every cache is as warm as it can be."""
    ensure_key()
    recent.forget()
    readers = {name: reader(name, users["owner"]) for name in TAKEN_AWAY}
    assert {name: ask() for name, (ask, _, _) in readers.items()} == dict.fromkeys(
        readers, 404
    )  # allowed; no such repository
    for name, (_, user_id, project_id) in readers.items():
        TAKEN_AWAY[name](user_id, project_id)
    started = time.monotonic()
    while still := [name for name, (ask, _, _) in readers.items() if ask() != 401]:
        assert time.monotonic() - started < BOUND_SECONDS, f"still allowed: {still}"
        time.sleep(0.1)


def test_only_the_permission_is_remembered(users: dict[str, int]) -> None:
    ensure_key()
    ask, _, project_id = reader("here", users["owner"])
    assert ask() == 404
    repository_id = seen_repository(project_id, "app")
    assert ask() == 200
    delete_repository(repository_id)
    assert ask() == 404
