"""What a personal access token opens: never more than its owner may, never the account, nothing once it ended."""

import time
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.models import FailedLogins, User
from haven_core.accounts.services import set_auditor, set_sysadmin
from haven_core.domain.roles import Role
from haven_core.personal_tokens import holders
from haven_core.personal_tokens.models import PersonalToken
from haven_core.projects.models import Project, ProjectMember
from haven_core.rbac.access import forget_access, visible_projects
from haven_core.tokens.grants import current_actor, verify_token
from haven_core.uses import PERSONAL_TOKENS
from tests.api.conftest import PASSWORD
from tests.api.personal_tokens.conftest import PATH, Call, Make, ask, granted
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)

EVERYTHING = "repository:private/a:pull,push,delete"


@pytest.mark.parametrize(
    ("scope", "user", "actions"),
    [
        ("pull", "owner", {"pull"}),
        ("push", "owner", {"pull", "push"}),
        ("read", "owner", {"pull"}),
        ("full", "owner", {"pull", "push", "delete"}),
        ("pull", "guest", {"pull"}),
        ("push", "guest", {"pull"}),
        ("full", "guest", {"pull"}),
        ("full", "stranger", set()),
        ("pull", "root", {"pull"}),
        ("push", "root", {"pull", "push"}),
        ("full", "root", {"pull", "push", "delete"}),
    ],
)
def test_scopes_at_the_registry(make: Make, projects: dict[str, int], scope: str, user: str, actions: set[str]) -> None:
    made = make(user, scope=scope)
    expected = {"repository:private/a": actions} if actions else {}
    assert granted(made, EVERYTHING) == expected


@pytest.mark.parametrize("user", ["owner", "root"])
def test_a_list_of_projects(make: Make, projects: dict[str, int], user: str) -> None:
    Project.objects.create(name="other")
    made = make(user, scope="full", projects=["private"])
    assert granted(made, EVERYTHING, "repository:public/a:pull,push", "repository:other/a:pull") == {
        "repository:private/a": {"pull", "push", "delete"},
        "repository:public/a": {"pull"},  # as anybody
    }
    actor = verify_basic(user, made["secret"], takes_tokens=True)
    assert actor is not None
    assert sorted(one.name for one in visible_projects(actor)) == ["private", "public"]


def test_a_project_under_an_old_name_inherits_nothing(make: Make, projects: dict[str, int]) -> None:
    made = make("root", scope="pull", projects=["private"])
    Project.objects.filter(name="private").update(name="gone", deleted_at=timezone.now())
    Project.objects.create(name="private")
    assert granted(made, EVERYTHING) == {}


CALLS = [
    # call, body, then the statuses with: full, full in private, read, read in private
    ("GET", "/projects/private", None, (200, 200, 200, 200)),
    ("GET", "/projects/other", None, (200, 403, 200, 403)),
    ("GET", "/users", None, (200, 403, 200, 403)),
    ("GET", "/configurations", None, (200, 403, 200, 403)),
    ("GET", "/quotas", None, (200, 403, 200, 403)),
    ("GET", "/users/current", None, (200, 200, 200, 200)),
    ("GET", PATH, None, (200, 200, 200, 200)),
    ("PUT", "/projects/private", {"metadata": {"auto_scan": "true"}}, (200, 200, 403, 403)),
    ("PUT", "/projects/other", {"metadata": {"auto_scan": "true"}}, (200, 403, 403, 403)),
    ("POST", "/projects", {"project_name": "new"}, (201, 403, 403, 403)),
    ("POST", "/labels", {"name": "l", "scope": "g"}, (201, 403, 403, 403)),
    ("POST", "/haven/roles", {"name": "r", "permissions": []}, (201, 403, 403, 403)),
    ("PUT", "/users/{guest}/sysadmin", {"sysadmin_flag": True}, (200, 403, 403, 403)),
    ("PUT", "/configurations", {"read_only": False}, (200, 403, 403, 403)),
]


@pytest.mark.parametrize(("method", "path", "body", "statuses"), CALLS)
def test_scopes_at_the_api_of_an_administrator(
    api: Call, make: Make, projects: dict[str, int], users: dict[str, int], method: str, path: str, body: Any,
    statuses: tuple[int, ...],
) -> None:  # fmt: skip
    Project.objects.create(name="other", owner_id=users["owner"])
    kinds = [{"scope": scope} | places for scope in ("full", "read") for places in ({}, {"projects": ["private"]})]
    wrong = []
    for kind, status in reversed(list(zip(kinds, statuses, strict=True))):
        answer = api(method, path.format(**users), body, user="root", password=make("root", **kind)["secret"])
        if answer.status_code != status:
            wrong.append((kind, answer.status_code, answer.content))
    assert not wrong


@pytest.mark.parametrize("scope", ["pull", "push"])
def test_tokens_for_the_registry_are_none_for_the_api(
    api: Call, make: Make, projects: dict[str, int], scope: str
) -> None:
    secret = make("root", scope=scope)["secret"]
    for method, path, body in (("GET", "/projects", None), ("GET", PATH, None), ("POST", "/projects", {})):
        assert_error(api(method, path, body, user="root", password=secret), 403, "FORBIDDEN")


@pytest.mark.parametrize("scope", ["full", "read"])
def test_a_token_never_touches_the_account(api: Call, make: Make, users: dict[str, int], scope: str) -> None:
    made, other = make("root", scope=scope), make("root")
    me = users["root"]
    before = list(User.objects.order_by("id").values_list()), list(PersonalToken.objects.values_list())
    change = {"old_password": made["secret"], "new_password": "Another1horse"}
    profile = {"email": "root@example.com", "realname": "Root", "comment": ""}
    for method, path, body in (
        ("PUT", f"/users/{me}/password", change),
        ("PUT", f"/users/{me}/password", change | {"old_password": PASSWORD}),
        ("PUT", f"/users/{users['guest']}/password", {"new_password": "Another1horse"}),
        ("PUT", f"/users/{me}", profile),
        ("POST", PATH, {"name": "more"}),
        ("DELETE", f"{PATH}/{other['id']}", None),
        ("DELETE", f"{PATH}/{made['id']}", None),
    ):
        assert_error(api(method, path, body, user="root", password=made["secret"]), 403, "FORBIDDEN")
    assert (list(User.objects.order_by("id").values_list()), list(PersonalToken.objects.values_list())) == before


def test_a_token_is_no_password(api: Call, client: Any, make: Make, users: dict[str, int]) -> None:
    """Not where a session begins, which could do everything, and not as the old password."""
    made = make("owner")
    assert verify_basic("owner", made["secret"]) is None
    path = f"/users/{users['owner']}/password"
    answer = api("PUT", path, {"old_password": made["secret"], "new_password": "Another1horse"}, user="owner")
    assert_error(answer, 403, "FORBIDDEN")
    home = client.get("/api/v2.0/systeminfo")
    options = {
        "content_type": "application/x-www-form-urlencoded",
        "headers": {"X-Harbor-CSRF-Token": home.headers["X-Harbor-CSRF-Token"]},
    }
    for password, status in ((made["secret"], 401), (PASSWORD, 200)):
        form = urlencode({"principal": "owner", "password": password})
        assert client.post("/c/login", form, **options).status_code == status
        assert ("sid" in client.cookies) is (status == 200)


def test_ends_at_once(api: Call, make: Make, projects: dict[str, int], hashes: list[str]) -> None:
    made = make("owner")
    assert api("GET", "/projects/private", user="owner", password=made["secret"]).status_code == 200
    claims = verify_token(ask("owner", made["secret"], EVERYTHING)[1])
    assert current_actor(claims) is not None
    api("DELETE", f"{PATH}/{made['id']}", user="owner")
    assert_error(api("GET", "/projects/private", user="owner", password=made["secret"]), 401, "UNAUTHORIZED")
    assert ask("owner", made["secret"], EVERYTHING)[0] == 401
    assert current_actor(claims) is None


def test_another_process_honours_a_revocation(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Basic at once; a registry token within STALENESS_SECONDS."""
    made = make("owner")
    claims = verify_token(ask("owner", made["secret"])[1])
    assert current_actor(claims) is not None
    PersonalToken.objects.all().delete()  # nothing of this process is told
    assert verify_basic("owner", made["secret"], takes_tokens=True) is None
    assert current_actor(claims) is not None
    later = time.monotonic() + holders.STALENESS_SECONDS + 0.1
    monkeypatch.setattr(holders._cache, "_clock", lambda: later)
    assert current_actor(claims) is None


def test_expires(api: Call, make: Make, projects: dict[str, int], later: Any) -> None:
    made = make("owner", expires_in_days=1)
    claims = verify_token(ask("owner", made["secret"])[1])
    later(hours=23.9)
    assert api("GET", "/projects/private", user="owner", password=made["secret"]).status_code == 200
    assert current_actor(claims) is not None
    later(hours=0.2)
    assert current_actor(claims) is None
    assert_error(api("GET", "/projects/private", user="owner", password=made["secret"]), 401, "UNAUTHORIZED")


def test_it_is_its_owners(api: Call, make: Make, projects: dict[str, int]) -> None:
    made = make("owner")
    for user in ("guest", "root", "nobody", "Owner"):
        assert verify_basic(user, made["secret"], takes_tokens=True) is None


def test_never_more_than_the_owner_may_now(api: Call, make: Make, projects: dict[str, int]) -> None:
    made, read = make("owner"), make("root", scope="read")
    assert granted(made, EVERYTHING) == {"repository:private/a": {"pull", "push", "delete"}}
    ProjectMember.objects.filter(user__username="owner").update(role=Role.GUEST)
    forget_access()  # as the service does that changes a role
    assert granted(made, EVERYTHING) == {"repository:private/a": {"pull"}}
    User.objects.filter(username="root").update(is_sysadmin=False)
    assert_error(api("GET", "/users", user="root", password=read["secret"]), 403, "FORBIDDEN")
    actor = verify_basic("root", read["secret"], takes_tokens=True)
    assert actor is not None
    assert [one.name for one in visible_projects(actor)] == ["public"]


def test_of_an_auditor(api: Call, make: Make, projects: dict[str, int], users: dict[str, int]) -> None:
    set_auditor(user_id=users["stranger"], is_auditor=True, set_by="root")
    read, full, pull = (make("stranger", scope=scope) for scope in ("read", "full", "pull"))
    for made in (read, full):
        assert api("GET", "/users", user="stranger", password=made["secret"]).status_code == 200
        assert_error(api("POST", "/projects", {}, user="stranger", password=made["secret"]), 403, "FORBIDDEN")
    for made in (read, full, pull):
        assert granted(made, EVERYTHING, "repository:public/a:pull") == {"repository:public/a": {"pull"}}
    set_sysadmin(user_id=users["stranger"], is_sysadmin=True, set_by="root")
    assert granted(full, EVERYTHING) == {"repository:private/a": {"pull", "push", "delete"}}
    assert granted(pull, EVERYTHING) == {"repository:private/a": {"pull"}}


def test_costs_no_slow_hash_and_passes_the_throttle(make: Make, hashes: list[str], users: dict[str, int]) -> None:
    made = make("owner")
    hashes.clear()
    for _ in range(3):
        assert verify_basic("owner", made["secret"], takes_tokens=True) is not None
    assert hashes == []
    for number in range(5):
        verify_basic("owner", f"wrong{number}", takes_tokens=True)
    assert FailedLogins.objects.get().count == 5
    assert verify_basic("owner", made["secret"], takes_tokens=True) is not None


def test_one_that_is_none_is_a_wrong_password(make: Make, hashes: list[str]) -> None:
    made = make("owner")
    PersonalToken.objects.all().delete()
    hashes.clear()
    assert verify_basic("owner", made["secret"], takes_tokens=True) is None
    assert hashes == [made["secret"]]
    assert FailedLogins.objects.get().count == 1


def test_last_use_is_told_without_a_write_at_login(api: Call, make: Make) -> None:
    made = make("owner")
    ask("owner", made["secret"])
    used = PERSONAL_TOKENS.take()
    assert {token_id: address for token_id, (_, address) in used.items()} == {made["id"]: "192.0.2.1"}
    PERSONAL_TOKENS.record(used)
    shown = api("GET", f"{PATH}/{made['id']}", user="owner").json()
    assert shown["last_used_from"] == "192.0.2.1"
    assert shown["last_used_time"] is not None
