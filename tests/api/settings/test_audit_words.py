"""What the REST API's writes are called in the audit log, and in whose project's log they stand."""

import pytest

from tests.api.settings.support import Call, assert_error, audit_log, ok
from tests.support.site import Site

pytestmark = pytest.mark.django_db(transaction=True)


def names(api: Call, where: str, user: str) -> list[tuple[str, str, str]]:
    """What a project's log, or the whole one, tells, oldest first."""
    audit_log()
    shown = ok(api("GET", f"{where}?sort=id&page_size=100", user=user)).json()
    return [(one["operation"], one["resource_type"], one["resource"]) for one in shown]


def test_a_project_s_log_has_what_concerns_it_wherever_it_was_asked(api: Call, projects: dict[str, int]) -> None:
    project = projects["private"]
    access = [{"resource": "repository", "action": "pull"}]
    body = {
        "name": "ci", "level": "project", "duration": -1,
        "permissions": [{"kind": "project", "namespace": "private", "access": access}],
    }  # fmt: skip
    robot = ok(api("POST", "/robots", body, user="owner"), 201).json()["id"]
    ok(api("PATCH", f"/robots/{robot}", {}, user="owner"))
    secret = ok(api("POST", f"/haven/robots/{robot}/secrets", {"overlap_hours": 1}, user="owner"), 201).json()["id"]
    ok(api("DELETE", f"/haven/robots/{robot}/secrets/{secret}", user="owner"))
    assert_error(api("DELETE", f"/robots/{robot}", user="guest"), 403, "FORBIDDEN")
    ok(api("DELETE", f"/robots/{robot}", user="owner"))
    label = {"name": "ready", "scope": "p", "project_id": project}
    made = ok(api("POST", "/labels", label, user="owner"), 201)["Location"].removeprefix("/api/v2.0")
    ok(api("DELETE", made, user="owner"))
    ok(api("PUT", f"/quotas/{project}", {"hard": {"storage": 5}}, user="root"))
    policy = {"algorithm": "or", "rules": [], "scope": {"level": "project", "ref": project}, "trigger": None}
    made = ok(api("POST", "/retentions", policy, user="owner"), 201)["Location"].removeprefix("/api/v2.0")
    ok(api("POST", "/haven/retentions/preview", policy, user="owner"))  # changes nothing
    ok(api("DELETE", made, user="owner"))
    login = "robot$private+ci"
    assert names(api, "/projects/private/auditlog-exts", "owner") == [
        ("create", "robot", login), ("update", "robot", login), ("create", "robot-secret", login),
        ("delete", "robot-secret", login), ("delete", "robot", login), ("create", "label", "ready"),
        ("delete", "label", "ready"), ("update", "quota", "private"), ("create", "tag-retention", "/retentions"),
        ("delete", "tag-retention", made),
    ]  # fmt: skip
    assert not names(api, "/projects/public/auditlog-exts", "owner")


def test_people_robots_and_roles_have_their_names(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    """Of a number nobody knows any more whose it was."""
    member = {"role_id": 3, "member_user": {"user_id": users["stranger"]}}
    made = ok(api("POST", "/projects/private/members", member, user="owner"), 201)["Location"]
    place = made.removeprefix("/api/v2.0")
    ok(api("PUT", place, {"role_id": 2}, user="owner"))
    ok(api("DELETE", place, user="owner"))
    stranger = f"/users/{users['stranger']}"
    ok(api("PUT", f"{stranger}/sysadmin", {"sysadmin_flag": True}, user="root"))
    ok(api("PUT", f"{stranger}/sysadmin", {"sysadmin_flag": False}, user="root"))
    ok(api("PUT", f"{stranger}/auditor", {"auditor_flag": True}, user="root"))
    ok(api("PUT", f"{stranger}/password", {"new_password": "Another1horse"}, user="root"))
    ok(api("PUT", stranger, {"email": "s@example.com", "realname": "S"}, user="root"))
    ok(api("DELETE", stranger, user="root"))
    group = ok(api("POST", "/usergroups", {"group_name": "crew", "group_type": 3}, user="root"), 201)["Location"]
    number = group.rpartition("/")[2]
    ok(api("PUT", f"/haven/usergroups/{number}/members", {"user_ids": []}, user="root"))
    ok(api("DELETE", f"/usergroups/{number}", user="root"))
    role = ok(api("POST", "/haven/roles", {"name": "keeper", "permissions": []}, user="root"), 201)["Location"]
    path = role.removeprefix("/api/v2.0")
    ok(api("PUT", path, {"name": "holder", "permissions": []}, user="root"))
    ok(api("DELETE", path, user="root"))
    assert names(api, "/auditlog-exts", "root") == [
        ("create", "member", "stranger"), ("update", "member", "stranger"), ("delete", "member", "stranger"),
        *[("update", "user", "stranger")] * 5, ("delete", "user", "stranger"),
        ("create", "user-group", "crew"), ("update", "user-group", "crew"), ("delete", "user-group", "crew"),
        ("create", "role", "keeper"), ("update", "role", "keeper"), ("delete", "role", "holder"),
    ]  # fmt: skip


def test_the_trash_is_no_project(api: Call, site: Site) -> None:
    """A purge is told; what is restored tells it by itself."""
    repository = "/projects/private/repositories/team%252Fapp"
    site.push(b"layer", "v1")
    ok(api("DELETE", f"{repository}/artifacts/v1", user="owner"))
    [thing] = ok(api("GET", "/projects/private/trash", user="owner")).json()
    path = f"/projects/private/trash/artifact/{thing['id']}"
    ok(api("POST", f"{path}/restore", {}, user="owner"))
    ok(api("DELETE", f"{repository}/artifacts/v1", user="owner"))
    ok(api("DELETE", path, user="owner"))
    ok(api("DELETE", "/projects/private/trash", user="owner"))
    told = [one[:2] for one in names(api, "/projects/private/auditlog-exts", "owner")]
    assert [one for one in told if one[0] == "restore"] == [("restore", "artifact")]
    assert told[-2:] == [("delete", "trash"), ("delete", "trash")]
    assert not [one for one in told if one[1] == "project"]


def test_names_in_a_path_are_not_looked_at(api: Call, users: dict[str, int]) -> None:
    ok(api("POST", "/projects", {"project_name": "users"}, user="owner"), 201)
    ok(api("PUT", "/projects/users", {"metadata": {"auto_scan": "true"}}, user="owner"))
    ok(api("POST", "/projects/users/metadatas/", {"severity": "low"}, user="owner"))
    ok(api("DELETE", "/projects/users", user="owner"))
    assert names(api, "/auditlog-exts", "root") == [
        ("create", "project", "users"), ("update", "project", "users"),
        ("create", "metadata", "/projects/users/metadatas/"), ("delete", "project", "users"),
    ]  # fmt: skip
