"""A database in which every list of the REST API has 100 rows and more."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone

from haven_core.accounts.services import create_user
from haven_core.groups.models import UserGroup
from haven_core.jobs.models import Execution, Schedule
from haven_core.models import AuditLog, Label, Project, Robot, RobotPermission
from haven_core.personal_tokens.models import PersonalToken
from haven_core.policies.models import ImmutableRule
from haven_core.retention.models import RetentionExecution, RetentionPolicy, RetentionTask
from haven_project.seeding.run import seed
from haven_project.seeding.scale import Scale
from haven_registry import store
from haven_registry.models import Manifest, ManifestBlob, Tag, TagHistory
from tests.api.conftest import PASSWORD

MANY = 100
# the biggest repository has a hundredth of the artifacts
SCALE = Scale(projects=110, repositories=4_300, artifacts=11_000, users=210)


def fill() -> Mapping[str, str]:
    """Seed, and add what the seed makes few of; returns what stands for the words in the paths of the baseline. `root` is
    the administrator, `payments/order-api:latest` the artifact."""
    seed(SCALE, store.driver())
    root = create_user(username="root", password=PASSWORD, is_sysadmin=True)
    project, now = Project.objects.get(name="payments").id, timezone.now()
    _labels_and_robots(project, now)
    _people(root, now)
    _content(now)
    _jobs(now)
    policy, run = _policies(project, now)
    used = ManifestBlob.objects.values("repository_blob__project_blob__blob__digest").annotate(uses=Count("id"))
    blob = used.order_by("-uses").first()
    assert blob is not None
    return {
        "PROJECT": str(project), "ROOT": str(root), "POLICY": str(policy), "RUN": str(run),
        "BLOB": blob["repository_blob__project_blob__blob__digest"],
    }  # fmt: skip


def _labels_and_robots(project: int, now: datetime) -> None:
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


def _people(root: int, now: datetime) -> None:
    UserGroup.objects.bulk_create(UserGroup(name=f"crew-{number}", kind=3) for number in range(MANY))
    PersonalToken.objects.bulk_create(
        PersonalToken(
            user_id=root, name=f"t{number}", hash=f"{number:064}", scope="full", created_at=now,
            expires_at=now + timedelta(days=1),
        )
        for number in range(MANY)
    )  # fmt: skip


def _content(now: datetime) -> None:
    """Tags, accessories and changes of one artifact and its tag, and a trash."""
    newest = Tag.objects.get(name="latest", repository__full_name="payments/order-api")
    later = now + timedelta(days=1)
    Tag.objects.bulk_create(
        Tag(repository_id=newest.repository_id, name=f"t{number}", manifest_id=newest.manifest_id, updated_at=now)
        for number in range(MANY)
    )
    accessory = {"accessory_type": "signature.cosign", "subject_digest": newest.manifest.digest}
    for kind, more in (("accessory", accessory), ("trash", {"deleted_at": now, "purge_after": later})):
        Manifest.objects.bulk_create(
            _manifest(newest.repository_id, f"{kind} {number}", now, **more) for number in range(MANY)
        )
    TagHistory.objects.bulk_create(
        TagHistory(
            repository_id=newest.repository_id, name="latest", digest=_digest(f"{number}"),
            new_digest=newest.manifest.digest, reason=TagHistory.MOVED, ended_at=now, restorable_until=later,
        )
        for number in range(MANY)
    )  # fmt: skip


def _manifest(repository_id: int, name: str, now: datetime, **more: Any) -> Manifest:
    return Manifest(
        repository_id=repository_id, digest=_digest(name), media_type="application/vnd.oci.image.manifest.v1+json",
        kind="UNKNOWN", payload=b"{}", payload_size=2, total_size=2, pushed_at=now, **more,
    )  # fmt: skip


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _jobs(now: datetime) -> None:
    for kind in ("GARBAGE_COLLECTION", "PURGE_AUDIT_LOG"):
        Execution.objects.bulk_create(Execution(kind=kind, created_at=now, updated_at=now) for _ in range(MANY))
    Schedule.objects.bulk_create(
        Schedule(
            kind="RETENTION", subject_id=number, word="Custom", cron="0 0 0 * * *", next_fire_at=now, armed_at=now,
            created_at=now, updated_at=now,
        )
        for number in range(MANY)
    )  # fmt: skip


def _policies(project: int, now: datetime) -> tuple[int, int]:
    """Immutability rules; a retention policy and one of its runs."""
    selector = {"kind": "doublestar", "decoration": "matches", "pattern": "**", "extras": ""}
    ImmutableRule.objects.bulk_create(
        ImmutableRule(
            project_id=project, repository=selector, tag={**selector, "pattern": f"v{number}"},
            fingerprint=hashlib.sha256(str(number).encode()).digest(),
        )
        for number in range(MANY)
    )  # fmt: skip
    policy = RetentionPolicy.objects.create(project_id=project, rules=[], created_at=now, updated_at=now)
    runs = RetentionExecution.objects.bulk_create(
        RetentionExecution(policy=policy, trigger="manual", is_dry_run=True, rules=[], mode="artifact", started_at=now)
        for _ in range(MANY)
    )
    RetentionTask.objects.bulk_create(
        RetentionTask(execution=run, repository_id=number, repository=f"payments/r{number}", started_at=now)
        for run in runs[:2]
        for number in range(MANY)
    )
    return policy.pk, runs[0].pk
