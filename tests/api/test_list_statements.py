"""Every list takes the same number of SQL statements for 2 rows and for 100: those of list_statements.csv, for a system
administrator whose account and caches are warm. A number may only change with a reason."""

import csv
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from haven_core.accounts.services import create_user
from haven_core.models import AuditLog, Label, Project, Robot, RobotPermission
from haven_core.projects.contents import register_repository_counts
from haven_project.seeding.run import seed
from haven_project.seeding.scale import Scale
from haven_registry import store
from haven_registry.models import Tag
from haven_registry.selectors import count_repositories
from tests.api.conftest import PASSWORD, Call

BASELINE = Path(__file__).with_name("list_statements.csv")
FEW, MANY = 2, 100
# the biggest repository has a hundredth of the artifacts
SCALE = Scale(projects=110, repositories=4_300, artifacts=11_000, users=210)


def baseline() -> dict[str, int]:
    """Statements by path."""
    with BASELINE.open() as file:
        return {row["path"]: int(row["statements"]) for row in csv.DictReader(file)}


@pytest.fixture
def seeded(transactional_db: None) -> None:
    seed(SCALE, store.driver())
    create_user(username="root", password=PASSWORD, is_sysadmin=True)
    register_repository_counts(count_repositories)
    _fill_short_lists()


def _fill_short_lists() -> None:
    """What the seed makes few of: labels, robots, tags of one artifact, lines of one project in the audit log."""
    now = timezone.now()
    project = Project.objects.get(name="payments").id
    newest = Tag.objects.get(name="latest", repository__full_name="payments/order-api")
    for place, level in ((None, "system"), (project, "project")):
        names = [f"{level}-{number}" for number in range(MANY)]
        Label.objects.bulk_create(Label(project_id=place, name=name, created_at=now, updated_at=now) for name in names)
        robots = Robot.objects.bulk_create(
            Robot(
                project_id=place, name=name, duration_days=-1, creator_type="local", creator_id=1, created_at=now,
                updated_at=now,
            )
            for name in names
        )  # fmt: skip
        RobotPermission.objects.bulk_create(
            RobotPermission(robot=robot, scope="project", project_id=project, access=[["repository", "pull"]])
            for robot in robots
        )
    AuditLog.objects.bulk_create(
        AuditLog(event_id=number, op_time=now, project_id=project, is_success=True) for number in range(1, MANY + 1)
    )
    Tag.objects.bulk_create(
        Tag(repository_id=newest.repository_id, name=f"t{number}", manifest_id=newest.manifest_id, updated_at=now)
        for number in range(MANY)
    )


def test_statements_do_not_grow_with_the_rows(api: Call, seeded: None) -> None:
    found = {}
    project = str(Project.objects.get(name="payments").id)
    for path in baseline():
        paged = f"{path.replace('PROJECT', project)}{'&' if '?' in path else '?'}page_size="
        assert api("GET", f"{paged}{FEW}", user="root").status_code == 200, path
        counts = []
        for size in (FEW, MANY):
            # of two, since what is kept for some seconds is read again now and then
            counts.append(min(_ask(api, f"{paged}{size}") for _ in range(2)))
        assert counts == [(counts[0][0], FEW), (counts[0][0], MANY)], path
        found[path] = counts[0][0]
    assert found == baseline()


def _ask(api: Call, path: str) -> tuple[int, int]:
    """Statements and rows."""
    with CaptureQueriesContext(connection) as captured:
        rows = api("GET", path, user="root").json()
    return len(captured), len(rows)
