"""Retention on a real repository: what a dry run says is what the run removes."""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest

from haven_core.domain.selectors import Selector
from haven_core.errors import BadRequest
from haven_core.models import RetentionExecution, RetentionPolicy, RetentionTask, Schedule
from haven_core.policies import immutability
from haven_core.retention import policies
from haven_gc.retention import dispatch, run, scheduled
from haven_registry.models import Manifest, Tag
from haven_registry.services.restore import restore_manifest
from tests.integration.model.conftest import Clock
from tests.integration.model.test_accessories import sign
from tests.support.documents import index
from tests.support.site import Site


def keep(template: str, parameter: int = 0, tags: str = "**", untagged: bool = True) -> dict[str, Any]:
    extras = json.dumps({"untagged": untagged})
    return {
        "template": template, "params": {template: parameter},
        "tag_selectors": [Selector("doublestar", "matches", tags, extras)],
        "scope_selectors": {"repository": [Selector("doublestar", "repoMatches", "**")]},
    }  # fmt: skip


def policy(site: Site, *rules: dict[str, Any], mode: str = "artifact") -> int:
    return policies.create_policy(project_id=site.first, rules=rules, mode=mode)


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
    execution = run.run_retention(policy_id, True, run.MANUAL)
    assert live(site) == before
    [task] = RetentionTask.objects.filter(execution_id=execution)
    assert (task.status, task.total, task.retained) == ("Success", 4, 2)
    assert task.log.count("| DEL") == 2
    assert pushed[0] in task.log
    run.run_retention(policy_id, False, run.SCHEDULE)
    assert [site.is_live(digest) for digest in pushed] == [False, False, True, True]
    restore_manifest(repository_id=site.repository, digest=pushed[0])
    run.run_retention(policy_id, False, run.SCHEDULE)
    assert site.tag("v0") == pushed[0]  # what somebody brought back is left alone


def test_immutable_tags_stay(site: Site):
    digest = site.push(b"a", "v1")
    immutability.create_rule(
        project_id=site.first, repository=Selector("doublestar", "repoMatches", "**"),
        tag=Selector("doublestar", "matches", "v*"),
    )  # fmt: skip
    run.run_retention(policy(site, keep("latestPushedK", 0)), False, run.MANUAL)
    assert site.tag("v1") == digest
    assert "IMMUTABLE" in RetentionTask.objects.get().log


def test_single_tags(site: Site):
    digest = site.push(b"a", "keep", "go")
    run.run_retention(policy(site, keep("always", 0, tags="keep", untagged=False), mode="tag"), False, run.MANUAL)
    assert (site.tag("keep"), site.tag("go")) == (digest, None)


@pytest.mark.parametrize("mode", ["artifact", "tag"])
def test_accessories_go_and_come_back_with_their_artifact(site: Site, mode: str):
    digest = site.push(b"a", "v1")
    below = sign(site, digest)
    kept = site.push(b"b", "keep")
    other = site.push(b"o", subject={"mediaType": "x/y", "digest": kept, "size": 1}, artifactType="x/sbom")
    run.run_retention(policy(site, keep("always", tags="keep", untagged=False), mode=mode), False, run.MANUAL)
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
    run.run_retention(policy(site, keep("latestPushedK", 0)), False, run.MANUAL)
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
    run.run_retention(policy(site, keep("latestPushedK", 0)), False, run.MANUAL)
    assert (site.tag("v1"), site.tag("v2")) == (digest, digest)
    assert "pushed while the run went on" in RetentionTask.objects.get().log


def test_a_stopped_execution_removes_nothing(site: Site):
    digest = site.push(b"a", "v1")
    policy_id = policy(site, keep("latestPushedK", 0))
    execution = run.start_retention(policy_id, dry_run=False, trigger=run.MANUAL)
    run.stop_execution(policy_id, execution)
    assert run.run_execution(execution) is False
    assert RetentionExecution.objects.get().status == "Stopped"
    assert site.is_live(digest)


@pytest.mark.parametrize("mode", ["artifact", "tag"])
@pytest.mark.parametrize("seed", range(6))
def test_a_dry_run_equals_the_run(site: Site, clock: Clock, mode: str, seed: int):
    dice = random.Random(seed)
    pushed: list[str] = []
    for number in range(10):
        tags = [name for name in ("a", "b", "v1", "v2", "v3") if dice.random() < 0.3]
        if len(pushed) > 1 and dice.random() < 0.4:
            pushed.append(site.put(index(*dice.sample(pushed, 2), nonce=number), *tags).digest)
        else:
            pushed.append(site.push(b"%d" % number, *tags))
        clock.advance(hours=dice.randint(1, 30))
    rules = [keep("latestPushedK", dice.randint(0, 3), tags=dice.choice(["v*", "**"]), untagged=dice.random() < 0.5)]
    policy_id = policy(site, *rules, mode=mode)
    dry = RetentionTask.objects.get(execution_id=run.run_retention(policy_id, True, run.MANUAL))
    before = live(site)
    real = RetentionTask.objects.get(execution_id=run.run_retention(policy_id, False, run.MANUAL))
    assert [line for line in dry.log.splitlines() if "|" in line] == [
        line for line in real.log.splitlines() if "|" in line
    ]
    assert (dry.total, dry.retained) == (real.total, real.retained)
    assert live(site) <= before


def test_the_schedule_follows_the_policy_and_starts_runs(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatch, "hand_over", lambda _: None)
    digest = site.push(b"a", "v1")
    rule = keep("latestPushedK", 0)
    with pytest.raises(BadRequest):
        policies.create_policy(project_id=site.first, rules=[rule], cron="0 0 0 * *")
    assert RetentionPolicy.objects.count() == 0
    policy_id = policies.create_policy(project_id=site.first, rules=[rule], cron="0 0 0 * * *")
    assert Schedule.objects.get().subject_id == policy_id
    execution = scheduled.start_scheduled(SimpleNamespace(subject_id=policy_id))["execution"]  # type: ignore[arg-type]
    assert run.run_execution(execution) is True
    assert RetentionExecution.objects.get().trigger == "SCHEDULE"
    assert not site.is_live(digest)
    policies.update_policy(policy_id=policy_id, project_id=site.first, rules=[rule])
    assert Schedule.objects.count() == 0
    policies.delete_policy(policy_id)
    assert scheduled.start_scheduled(SimpleNamespace(subject_id=policy_id)) == {}  # type: ignore[arg-type]


def test_another_worker_goes_on_where_one_was_lost(site: Site, clock: Clock):
    digest = site.push(b"a", "v1")
    execution = run.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False, trigger=run.MANUAL)
    lost = run._claim(execution)
    assert lost is not None
    assert run.run_execution(execution) is False  # it is somebody's
    clock.advance(seconds=61)
    assert run.find_due_executions() == [execution]
    assert run.run_execution(execution) is True
    assert not site.is_live(digest)
    with pytest.raises(run._LostError):
        lost.keep()


def test_an_execution_that_gets_on_may_lose_any_number_of_workers(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    digests = [site.push(b"%d" % number, f"v{number}") for number in range(8)]
    execution = run.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False, trigger=run.MANUAL)
    monkeypatch.setattr(run, "BEAT_SECONDS", 0.0)
    honest, is_doomed = run._remove_one, False

    def remove_one(*arguments: Any) -> Any:
        nonlocal is_doomed
        is_doomed = not is_doomed
        if not is_doomed:  # each worker removes one and is killed at the next
            raise SystemExit
        return honest(*arguments)

    monkeypatch.setattr(run, "_remove_one", remove_one)
    for left in range(7, 0, -1):
        with pytest.raises(SystemExit):
            run.run_execution(execution)
        assert sum(map(site.is_live, digests)) == left
        clock.advance(seconds=61)
    assert run.run_execution(execution) is True
    assert RetentionExecution.objects.get().status == "Success"
    assert not any(map(site.is_live, digests))


def test_an_execution_that_kills_its_workers_ends(site: Site, clock: Clock):
    site.push(b"a", "v1")
    execution = run.start_retention(policy(site, keep("latestPushedK", 0)), dry_run=False, trigger=run.MANUAL)
    for _ in range(run.MAX_ATTEMPTS):
        assert run._claim(execution) is not None
        clock.advance(seconds=61)
    assert run.run_execution(execution) is False
    assert RetentionExecution.objects.get().status == "Error"
    assert site.tag("v1") is not None
