"""Retention on a real repository: what a dry run says is what the run removes."""

import json
import random
from contextlib import suppress
from typing import Any

import pytest

from haven_core.domain.selectors import Selector
from haven_core.errors import HavenError
from haven_core.jobs import dispatch, selectors
from haven_core.jobs.models import Execution, Task
from haven_core.jobs.runner import run_task
from haven_core.models import RetentionTask
from haven_core.policies import immutability
from haven_core.retention import policies
from haven_gc.retention import executions, run
from haven_gc.retention.preview import preview
from haven_registry.models import Manifest, Tag, TagHistory
from haven_registry.services.delete import delete_manifest
from haven_registry.services.restore import restore_manifest, restore_tag
from haven_registry.services.tags import delete_tag
from tests.integration.model.conftest import Clock
from tests.integration.model.test_accessories import sign
from tests.support.documents import index
from tests.support.site import Site


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "send", lambda *_, **__: None)


def keep(template: str, parameter: int = 0, tags: str = "**", untagged: bool = True) -> dict[str, Any]:
    extras = json.dumps({"untagged": untagged})
    return {
        "template": template, "params": {template: parameter},
        "tag_selectors": [Selector("doublestar", "matches", tags, extras)],
        "scope_selectors": {"repository": [Selector("doublestar", "repoMatches", "**")]},
    }  # fmt: skip


def policy(site: Site, *rules: dict[str, Any], mode: str = "artifact") -> int:
    return policies.create_policy(project_id=site.first, rules=rules, mode=mode)


def work_off() -> int:
    """Do every task of a job that is due; returns how many."""
    ids = list(Task.objects.filter(status__in=("Pending", "Scheduled")).order_by("id").values_list("id", flat=True))
    return sum(run_task(task_id, "w", has_keeper=False) for task_id in ids)


def run_now(policy_id: int, dry_run: bool = False) -> int:
    """A run to its end; its id."""
    execution = executions.start_retention(policy_id, dry_run=dry_run)
    assert work_off() == 1
    return execution


def job_log() -> list[dict[str, Any]]:
    """Of the newest job."""
    newest = Execution.objects.latest("id").pk
    return [line for _, lines in selectors.read_log(selectors.task_ids(newest)) for line in lines]


def _lost(tag: str) -> int:
    """The row of history to restore it by."""
    return TagHistory.objects.filter(name=tag, reason=TagHistory.DELETED).latest("id").pk


def live(site: Site) -> set[tuple[str, str]]:
    """(digest, tag or '') of all that is live."""
    tagged = set(Tag.objects.filter(repository_id=site.repository).values_list("manifest__digest", "name"))
    manifests = Manifest.objects.filter(repository_id=site.repository, deleted_at=None)
    return tagged | {(digest, "") for digest in manifests.values_list("digest", flat=True)}


def test_the_youngest_stay_and_the_rest_is_in_the_trash(site: Site, clock: Clock):
    pushed = []
    for number in range(4):
        pushed.append(site.push(b"%d" % number, f"v{number}"))
        clock.advance(hours=1)
    policy_id = policy(site, keep("latestPushedK", 2))
    before = live(site)
    execution = run_now(policy_id, dry_run=True)
    assert live(site) == before
    [task] = RetentionTask.objects.filter(execution_id=execution)
    assert (task.status, task.total, task.retained) == ("Success", 4, 2)
    assert task.log.count("| DEL") == 2
    assert pushed[0] in task.log
    run_now(policy_id)
    assert [site.is_live(digest) for digest in pushed] == [False, False, True, True]
    restore_manifest(repository_id=site.repository, digest=pushed[0])
    run_now(policy_id)
    assert site.tag("v0") == pushed[0]  # what somebody brought back is left alone


def test_immutable_tags_stay(site: Site):
    digest = site.push(b"a", "v1")
    immutability.create_rule(
        project_id=site.first, repository=Selector("doublestar", "repoMatches", "**"),
        tag=Selector("doublestar", "matches", "v*"),
    )  # fmt: skip
    run_now(policy(site, keep("latestPushedK", 0)))
    assert site.tag("v1") == digest
    assert "IMMUTABLE" in RetentionTask.objects.get().log


def test_single_tags(site: Site):
    digest = site.push(b"a", "keep", "go")
    run_now(policy(site, keep("always", 0, tags="keep", untagged=False), mode="tag"))
    assert (site.tag("keep"), site.tag("go")) == (digest, None)


@pytest.mark.parametrize("mode", ["artifact", "tag"])
def test_accessories_go_and_come_back_with_their_artifact(site: Site, mode: str):
    digest = site.push(b"a", "v1")
    below = sign(site, digest)
    kept = site.push(b"b", "keep")
    other = site.push(b"o", subject={"mediaType": "x/y", "digest": kept, "size": 1}, artifactType="x/sbom")
    run_now(policy(site, keep("always", tags="keep", untagged=False), mode=mode))
    assert live(site) == {(kept, "keep"), (kept, ""), (other, "")}
    restore_manifest(repository_id=site.repository, digest=digest)
    assert all(site.is_live(each) for each in (digest, *below))


def test_an_immutable_tag_of_an_accessory_keeps_the_artifact(site: Site):
    digest = site.push(b"a", "v1")
    below = sign(site, digest)
    immutability.create_rule(
        project_id=site.first, repository=Selector("doublestar", "repoMatches", "**"),
        tag=Selector("doublestar", "matches", "sha256-*"),
    )  # fmt: skip
    run_now(policy(site, keep("latestPushedK", 0)))
    assert all(site.is_live(each) for each in (digest, *below))
    assert site.tag("v1") == digest
    assert "IMMUTABLE" in RetentionTask.objects.get().log


def test_what_was_pushed_since_the_decision_stays(site: Site, monkeypatch: pytest.MonkeyPatch):
    digest = site.push(b"a", "v1")
    plan = run.plan_repository

    def plan_then_push(*arguments: Any) -> Any:
        found = plan(*arguments)
        site.put(bytes(Manifest.objects.get(digest=digest).payload), "v2")
        return found

    monkeypatch.setattr(run, "plan_repository", plan_then_push)
    run_now(policy(site, keep("latestPushedK", 0)))
    assert (site.tag("v1"), site.tag("v2")) == (digest, digest)
    assert "pushed while the run went on" in RetentionTask.objects.get().log


def test_an_accessory_that_was_brought_back_keeps_the_artifact(site: Site):
    digest = site.push(b"a", "v1")
    sign(site, digest)
    side_tag = digest.replace(":", "-") + ".sig"
    delete_tag(repository_id=site.repository, name=side_tag)
    restore_tag(repository_id=site.repository, history_id=_lost(side_tag))
    policy_id = policy(site, keep("latestPushedK", 0))
    before = live(site)
    run_now(policy_id)
    assert live(site) == before
    policies.update_policy(
        policy_id=policy_id, project_id=site.first, rules=[keep("latestPushedK", 0)], mode="tag"
    )  # fmt: skip
    run_now(policy_id)
    assert live(site) == before - {(digest, "v1")}


@pytest.mark.parametrize("mode", ["artifact", "tag"])
def test_an_accessory_that_is_brought_back_meanwhile_keeps_the_artifact(
    site: Site, monkeypatch: pytest.MonkeyPatch, mode: str
):
    digest = site.push(b"a", "v1")
    sign(site, digest)
    side_tag = digest.replace(":", "-") + ".sig"
    plan = run.plan_repository

    def plan_then_restore(*arguments: Any) -> Any:
        found = plan(*arguments)
        delete_tag(repository_id=site.repository, name=side_tag)
        restore_tag(repository_id=site.repository, history_id=_lost(side_tag))
        return found

    monkeypatch.setattr(run, "plan_repository", plan_then_restore)
    run_now(policy(site, keep("latestPushedK", 0), mode=mode))
    assert (site.tag("v1"), site.tag(side_tag) is not None) == (digest, True)


def test_an_untagged_artifact_that_is_brought_back_meanwhile_stays(site: Site, monkeypatch: pytest.MonkeyPatch):
    digest = site.push(b"a")
    plan = run.plan_repository

    def plan_then_restore(*arguments: Any) -> Any:
        found = plan(*arguments)
        delete_manifest(repository_id=site.repository, digest=digest)
        restore_manifest(repository_id=site.repository, digest=digest)
        return found

    monkeypatch.setattr(run, "plan_repository", plan_then_restore)
    run_now(policy(site, keep("latestPushedK", 0)))
    assert site.is_live(digest)


def _some_are_immutable(site: Site, dice: random.Random) -> None:
    if dice.random() < 0.5:
        immutability.create_rule(
            project_id=site.first, repository=Selector("doublestar", "repoMatches", "**"),
            tag=Selector("doublestar", "matches", dice.choice(["v1", "a", "sha256-*", "v*"])),
        )  # fmt: skip


def _some_come_back(site: Site, dice: random.Random) -> None:
    """Artifacts and tags, out of the trash."""
    for digest in Manifest.objects.values_list("digest", flat=True):
        if dice.random() < 0.2:
            with suppress(HavenError):  # immutable, or named by an index
                delete_manifest(repository_id=site.repository, digest=digest)
                restore_manifest(repository_id=site.repository, digest=digest)
    for name in list(Tag.objects.values_list("name", flat=True)):
        if dice.random() < 0.2:
            with suppress(HavenError):
                delete_tag(repository_id=site.repository, name=name)
                lost = _lost(name)
                restore_tag(repository_id=site.repository, history_id=lost)


def _push_some(site: Site, clock: Clock, dice: random.Random) -> None:
    pushed: list[str] = []
    for number in range(10):
        tags = [name for name in ("a", "b", "v1", "v2", "v3") if dice.random() < 0.3]
        if len(pushed) > 1 and dice.random() < 0.4:
            pushed.append(site.put(index(*dice.sample(pushed, 2), nonce=number), *tags).digest)
        else:
            pushed.append(site.push(b"%d" % number, *tags))
        if dice.random() < 0.2:
            with suppress(HavenError):
                sign(site, pushed[-1])
        clock.advance(hours=dice.randint(1, 30))


@pytest.mark.parametrize("mode", ["artifact", "tag"])
@pytest.mark.parametrize("seed", range(15))
def test_the_run_removes_what_the_dry_run_named_and_nothing_protected(site: Site, clock: Clock, mode: str, seed: int):
    dice = random.Random(seed)
    _push_some(site, clock, dice)
    _some_come_back(site, dice)
    _some_are_immutable(site, dice)
    rules = [keep("latestPushedK", dice.randint(0, 3), tags=dice.choice(["v*", "**"]), untagged=dice.random() < 0.5)]
    policy_id = policy(site, *rules, mode=mode)
    before, protection = live(site), immutability.tag_protection(site.first, "app")
    restored = set(Tag.objects.filter(restored_at__isnull=False).values_list("manifest__digest", "name"))
    dry = RetentionTask.objects.get(execution_id=run_now(policy_id, dry_run=True))
    named = [line for line in job_log() if line["message"] == "would be removed"]
    [previewed] = preview(site.first, rules, mode).repositories
    going = {(one.candidate.digest, ",".join(one.candidate.tags)) for one in previewed.changes if one.action == "DEL"}
    rows = [[cell.strip() for cell in line.split("|")] for line in dry.log.splitlines() if "| DEL" in line]
    assert (previewed.total, previewed.retained, going) == (dry.total, dry.retained, {(row[1], row[2]) for row in rows})
    assert live(site) == before
    real = RetentionTask.objects.get(execution_id=run_now(policy_id))
    gone = before - live(site)

    assert (dry.total, dry.retained) == (real.total, real.retained)
    assert [line for line in dry.log.splitlines() if "|" in line] == [
        line for line in real.log.splitlines() if "|" in line
    ]
    removed = [line for line in job_log() if line["message"] == "removed"]
    assert [(line["digest"], line["tags"]) for line in named] == [(line["digest"], line["tags"]) for line in removed]
    tags_named = {(line["digest"], tag) for line in named for tag in line["tags"]}
    # what hangs on an artifact goes along: accessories with their tags, children without any
    assert tags_named == {(digest, tag) for digest, tag in gone if tag and not tag.startswith("sha256-")}
    assert live(site) <= before
    assert not gone & restored
    assert not [tag for _, tag in gone if tag and protection is not None and protection(tag)]
