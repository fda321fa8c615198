"""Robots at the token service and the API: what they get, until when, and how late a refusal may be."""

import base64
import io
import json
import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from haven_api.token_service import token_application
from haven_core.accounts import passwords
from haven_core.accounts.services import create_user
from haven_core.domain.actor import Actor
from haven_core.models import Robot, RobotPermission, RobotSecret
from haven_core.projects.models import Project
from haven_core.rbac.access import project_access
from haven_core.robots import actors
from haven_core.robots.actors import STALENESS_SECONDS
from haven_core.robots.names import login_name, parse_login
from haven_core.tokens.grants import Claims, current_actor, verify_token
from haven_core.uses import ROBOT_SECRETS
from tests.api.robots.conftest import Call, Clock, MakeRobot, place, project_robot, system_robot

pytestmark = pytest.mark.django_db(transaction=True)


def ask(made: dict[str, Any], *scopes: str, password: str = "") -> tuple[int, dict[str, Any]]:
    """GET /service/token with the robot's credentials."""
    pair = base64.b64encode(f"{made['name']}:{password or made['secret']}".encode()).decode()
    seen: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET", "QUERY_STRING": urlencode([("scope", scope) for scope in scopes]),
        "REMOTE_ADDR": "192.0.2.1", "HTTP_AUTHORIZATION": f"Basic {pair}", "wsgi.input": io.BytesIO(),
    }  # fmt: skip
    payload = b"".join(token_application(environ, lambda status, headers: seen.extend([status, headers])))
    return int(seen[0].split()[0]), json.loads(payload)


def claims_of(made: dict[str, Any], *scopes: str) -> Claims:
    status, body = ask(made, *scopes)
    assert status == 200, body
    return verify_token(body["token"])


def granted(made: dict[str, Any], *scopes: str) -> dict[str, set[str]]:
    return {key: set(actions) for key, actions in claims_of(made, *scopes).access.items() if actions}


def test_push_implies_pull_on_robots_of_a_project_only(make_robot: MakeRobot) -> None:
    everything = "repository:private/a:pull,push,delete"
    push = place("project", "private", "repository:push")
    assert granted(make_robot(project_robot("ci", "private", "repository:push")), everything) == {
        "repository:private/a": {"pull", "push"}
    }
    assert granted(make_robot(system_robot("ci", push)), everything) == {"repository:private/a": {"push"}}


@pytest.mark.parametrize(
    "scope",
    [
        "repository:private/a:delete", "registry:catalog:*", "repository:private2/a:pull", "repository:priv/a:pull",
        "repository:private/../other/a:pull", "repository:PRIVATE/a:pull", "repository:private/a/:pull",
        "repository:private%2fa:pull", "repository:private:pull", "repository:other/a:pull", "repository:*:*",
        "repository:private/a:admin",
    ],
)  # fmt: skip
def test_a_robot_that_may_pull_gets_nothing_else(make_robot: MakeRobot, users: dict[str, int], scope: str) -> None:
    for name in ("private2", "other", "priv"):
        Project.objects.create(name=name)
    assert granted(make_robot(project_robot()), scope) == {}


def test_asking_for_more_gives_what_there_is(make_robot: MakeRobot) -> None:
    assert granted(make_robot(project_robot()), "repository:private/a:pull,push,delete", "registry:catalog:*") == {
        "repository:private/a": {"pull"}
    }


def test_what_it_may_is_what_it_gets(make_robot: MakeRobot) -> None:
    everywhere = place("project", "*", "repository:pull", "repository:delete")
    made = make_robot(system_robot("ci", everywhere, place("system", "/", "catalog:read")))
    assert granted(made, "repository:private/a:*", "registry:catalog:*") == {
        "repository:private/a": {"pull", "delete"}, "registry:catalog": {"*"},
    }  # fmt: skip
    Project.objects.create(name="later")
    assert granted(made, "repository:later/a:pull") == {"repository:later/a": {"pull"}}


def test_what_is_public_robots_may_pull_too(make_robot: MakeRobot) -> None:
    made = make_robot(project_robot("ci", "private", "log:list"))
    assert granted(made, "repository:public/a:pull,push", "repository:private/a:pull") == {
        "repository:public/a": {"pull"}
    }


def test_the_claims_say_robot(make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    claims = claims_of(made, "repository:private/a:pull")
    assert (claims.kind, claims.subject_id, claims.sub) == ("robot", made["id"], "robot$private+ci")
    actor = current_actor(claims)
    assert actor is not None
    assert (actor.kind, actor.user_id, actor.robot_id, actor.is_sysadmin) == ("robot", 0, made["id"], False)
    assert actor.subject == f"robot:{made['id']}"


def test_a_robot_is_no_user_with_its_number(make_robot: MakeRobot, users: dict[str, int]) -> None:
    """Robot N must not have what user N has, also when the user's rights were looked up a moment ago."""
    made = make_robot(project_robot("ci", "public", "log:list"))
    RobotPermission.objects.all().delete()
    secret = RobotSecret.objects.get().hash
    RobotSecret.objects.all().delete()
    Robot.objects.update(id=users["owner"])
    RobotSecret.objects.create(robot_id=users["owner"], hash=secret, created_at=timezone.now())
    owner = project_access(Actor("user", users["owner"], "owner", is_sysadmin=False), "private", frozenset({"push"}))
    assert owner is not None
    assert "push" in owner.actions
    claims = claims_of(made, "repository:private/a:pull,push")
    assert (claims.subject_id, set(claims.actions_on("private/a"))) == (users["owner"], set())


@pytest.mark.parametrize(
    "name", ["robot$ci", "robot$private+other", "robot$public+ci", "ROBOT$private+ci", "robot$private+ci+x", "robot$"]
)
def test_other_names(make_robot: MakeRobot, name: str) -> None:
    made = make_robot(project_robot())
    assert ask(made | {"name": name})[0] == 401


def test_wrong_secrets_are_refused_and_slowed_but_the_right_one_passes(make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    statuses = [ask(made, password=f"wrong-{number}")[0] for number in range(8)]
    assert statuses[:5] == [401] * 5
    assert 429 in statuses
    assert ask(made)[0] == 200


def test_whatever_is_wrong_costs_one_slow_hash(make_robot: MakeRobot, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_robot(project_robot())
    hashed: list[str | None] = []
    monkeypatch.setattr(passwords, "matches", lambda _password, stored: hashed.append(stored))
    assert ask(made, password="wrong")[0] == ask(made | {"name": "robot$private+none"}, password="wrong")[0] == 401
    assert len(hashed) == 2
    assert ask(made)[0] == 200
    assert len(hashed) == 2


def test_a_login_is_two_statements_and_none_after(make_robot: MakeRobot, django_assert_num_queries: Any) -> None:
    made = make_robot(project_robot())
    claims = claims_of(made)
    actors.forget_robots()
    with django_assert_num_queries(2):
        assert ask(made)[0] == 200
    with django_assert_num_queries(0):
        assert current_actor(claims) is not None


def test_expiry_to_the_second(api: Call, make_robot: MakeRobot, clock: Clock) -> None:
    made = make_robot(project_robot(duration=1))
    claims = claims_of(made, "repository:private/a:pull")
    clock.advance(hours=23, minutes=59)
    assert ask(made)[0] == 200
    assert current_actor(claims) is not None
    clock.advance(minutes=1)
    assert ask(made)[0] == 401
    assert current_actor(claims) is None  # though this process remembers it
    assert _is_nobody(api, made)
    body = project_robot(made["name"], duration=-1)
    assert api("PUT", f"/robots/{made['id']}", body, user="owner").status_code == 200
    assert ask(made)[0] == 200


def test_disabling(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    claims = claims_of(made, "repository:private/a:pull")
    body = project_robot(made["name"], disable=True)
    assert api("PUT", f"/robots/{made['id']}", body, user="owner").status_code == 200
    assert current_actor(claims) is None
    assert ask(made)[0] == 401
    assert _is_nobody(api, made)
    assert api("PUT", f"/robots/{made['id']}", body | {"disable": False}, user="owner").status_code == 200
    assert current_actor(claims) is None  # of another epoch
    assert ask(made)[0] == 200


def test_a_change_elsewhere_counts_within_the_bound(make_robot: MakeRobot, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process sees it: nothing told this one's caches."""
    made = make_robot(project_robot())
    now = time.monotonic()
    monkeypatch.setattr(actors._cache, "_clock", lambda: now)
    claims = claims_of(made, "repository:private/a:pull")
    assert current_actor(claims) is not None
    Robot.objects.update(is_disabled=True, epoch=1)
    assert ask(made)[0] == 401  # a login is always asked
    now += STALENESS_SECONDS - 0.1
    assert current_actor(claims) is not None
    now += 0.2
    assert current_actor(claims) is None
    assert STALENESS_SECONDS <= 5


def test_a_lost_permission_ends_tokens_and_is_not_granted_again(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot("ci", "private", "repository:push"))
    scope = "repository:private/a:pull,push"
    claims = claims_of(made, scope)
    body = project_robot(made["name"], "private", "repository:pull")
    assert api("PUT", f"/robots/{made['id']}", body, user="owner").status_code == 200
    assert current_actor(claims) is None
    assert granted(made, scope) == {"repository:private/a": {"pull"}}
    described = body | {"description": "only words"}
    kept = claims_of(made, scope)
    assert api("PUT", f"/robots/{made['id']}", described, user="owner").status_code == 200
    assert current_actor(kept) is not None


def test_refreshing_and_deleting_end_tokens(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    claims = claims_of(made)
    fresh = api("PATCH", f"/robots/{made['id']}", {}, user="owner").json()["secret"]
    assert current_actor(claims) is None
    claims = claims_of(made | {"secret": fresh})
    assert api("DELETE", f"/robots/{made['id']}", user="owner").status_code == 200
    assert current_actor(claims) is None


def test_a_robot_at_the_api(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot("ci", "private", "project:read"))
    login = {"user": made["name"], "password": made["secret"]}
    assert {project["name"] for project in api("GET", "/projects", **login).json()} == {"private", "public"}
    assert api("GET", "/projects/private", **login).json()["current_user_role_id"] == 0
    for method, path, body, status in (
        ("GET", "/users/current", None, 412), ("POST", "/projects", {"project_name": "new"}, 403),
        ("DELETE", "/projects/private", None, 403), ("GET", "/permissions", None, 403), ("GET", "/robots", None, 403),
    ):  # fmt: skip
        assert api(method, path, body, **login).status_code == status, path
    assert Project.objects.filter(deleted_at=None).count() == 2


def test_a_robot_that_makes_and_removes_projects(api: Call, make_robot: MakeRobot, users: dict[str, int]) -> None:
    made = make_robot(
        system_robot("ci", place("system", "/", "project:create"), place("project", "*", "project:delete"))
    )
    login = {"user": made["name"], "password": made["secret"]}
    assert api("POST", "/projects", {"project_name": "new"}, **login).status_code == 201
    assert Project.objects.get(name="new").owner_id == users["root"]
    assert api("DELETE", "/projects/new", **login).status_code == 200


def _is_nobody(api: Call, made: dict[str, Any]) -> bool:
    """Whether the API takes the credentials for nobody's."""
    return api("GET", "/robots/1", user=made["name"], password=made["secret"]).status_code == 401


def test_secrets_overlap(api: Call, make_robot: MakeRobot, clock: Clock) -> None:
    made = make_robot(project_robot())
    path = f"/haven/robots/{made['id']}/secrets"
    claims = claims_of(made)
    response = api("POST", path, {"overlap_hours": 24}, user="owner")
    assert response.status_code == 201
    fresh = response.json()
    assert response["Location"] == f"/api/v2.0{path}/{fresh['id']}"
    assert ask(made)[0] == ask(made | {"secret": fresh["secret"]})[0] == 200
    assert current_actor(claims) is not None
    listed = api("GET", path, user="owner").json()
    assert [secret["id"] for secret in listed] == [fresh["id"], RobotSecret.objects.order_by("id")[0].pk]
    assert listed[0]["expires_at"] == -1
    assert listed[1]["expires_at"] == pytest.approx(timezone.now().timestamp() + 24 * 3600, abs=5)
    clock.advance(hours=24)
    assert ask(made)[0] == 401
    assert ask(made | {"secret": fresh["secret"]})[0] == 200
    assert [secret["id"] for secret in api("GET", path, user="owner").json()] == [fresh["id"]]


def test_a_chosen_secret_ends_with_its_overlap_also_where_it_was_judged(
    api: Call, make_robot: MakeRobot, clock: Clock
) -> None:
    made = make_robot(project_robot())
    assert api("PATCH", f"/robots/{made['id']}", {"secret": "My0wnSecret"}, user="owner").status_code == 200
    api("POST", f"/haven/robots/{made['id']}/secrets", {"overlap_hours": 1}, user="owner")
    assert ask(made, password="My0wnSecret")[0] == 200
    clock.advance(hours=1)
    assert ask(made, password="My0wnSecret")[0] == 401


def test_a_secret_is_revoked(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    path = f"/haven/robots/{made['id']}/secrets"
    old = RobotSecret.objects.get().pk
    assert api("DELETE", f"{path}/{old}", user="owner").status_code == 409  # the last one
    fresh = api("POST", path, {"overlap_hours": 24}, user="owner").json()
    claims = claims_of(made)
    assert api("DELETE", f"{path}/{old}", user="owner").status_code == 200
    assert ask(made)[0] == 401
    assert ask(made | {"secret": fresh["secret"]})[0] == 200
    assert current_actor(claims) is None
    assert api("DELETE", f"{path}/{old}", user="owner").status_code == 404


def test_secrets_refused(api: Call, make_robot: MakeRobot) -> None:
    made, other = make_robot(project_robot()), make_robot(project_robot("other"))
    path = f"/haven/robots/{made['id']}/secrets"
    for body, status in (
        ({}, 422),
        ({"overlap_hours": 0}, 422),
        ({"overlap_hours": "1"}, 422),
        ({"overlap_hours": 10**9}, 400),
    ):
        assert api("POST", path, body, user="owner").status_code == status
    for _ in range(4):
        assert api("POST", path, {"overlap_hours": 24}, user="owner").status_code == 201
    assert api("POST", path, {"overlap_hours": 24}, user="owner").status_code == 409
    theirs = RobotSecret.objects.get(robot_id=other["id"]).pk
    assert api("DELETE", f"{path}/{theirs}", user="owner").status_code == 404
    assert RobotSecret.objects.filter(robot_id=made["id"]).count() == 5
    assert RobotSecret.objects.filter(robot_id=other["id"]).count() == 1


def test_login_names(users: dict[str, int]) -> None:
    for project, name in (("", "ci"), ("library", "ci"), ("a.b-c", "d_e")):
        assert parse_login(login_name(name, project)) == (project, name)
    for text in (
        "ci",
        "robot$",
        "robot$+ci",
        "robot$p+",
        "robot$a+b+c",
        "robot$A",
        "robot$p+ci\n",
        "robot$" + "a" * 256,
    ):
        assert parse_login(text) is None


def test_another_prefix(api: Call, make_robot: MakeRobot) -> None:
    """It renames every robot; a user whose name begins so logs in as before."""
    made = make_robot(project_robot())
    create_user(username="bot-private", password="Correct1horse")
    assert api("PUT", "/configurations", {"robot_name_prefix": "bot-"}, user="root").status_code == 200
    actors.forget_robots()
    renamed = api("GET", f"/robots/{made['id']}", user="root").json()["name"]
    assert renamed == "bot-private+ci"
    assert granted(made | {"name": renamed}, "repository:private/a:pull") == {"repository:private/a": {"pull"}}
    assert ask(made)[0] == 401
    assert api("GET", "/users/current", user="bot-private").status_code == 200


def test_last_use_is_told_without_a_write_at_login(
    api: Call, make_robot: MakeRobot, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_robot(project_robot())
    path = f"/haven/robots/{made['id']}/secrets"
    before = list(RobotSecret.objects.values())
    ask(made)
    assert list(RobotSecret.objects.values()) == before
    used = ROBOT_SECRETS.take()
    assert {secret_id: address for secret_id, (_, address) in used.items()} == {before[0]["id"]: "192.0.2.1"}
    ROBOT_SECRETS.record(used)
    secret = api("GET", path, user="owner").json()[0]
    assert secret["last_used_from"] == "192.0.2.1"
    at = datetime.fromisoformat(secret["last_used_time"])
    assert abs(timezone.now() - at) < timedelta(minutes=1)
    ROBOT_SECRETS.record({before[0]["id"]: (at - timedelta(hours=1), "192.0.2.9"), 999_999: (at, "192.0.2.9")})
    assert api("GET", path, user="owner").json()[0] == secret  # an older use, and a secret that is gone
