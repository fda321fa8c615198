"""Commands that look for what is wrong or not needed: fsck, gc, scrub. Jobs run in this process, and are recorded like those
of the workers."""

import argparse
from collections.abc import Mapping
from typing import Any

from haven_project.cli.care import with_django
from haven_project.cli.main import FAILED, complain


def fsck(options: argparse.Namespace) -> int:
    """Every invariant, one line each; exit code 1 when one is broken."""
    with_django(options)
    from haven_gc.fsck import INVARIANTS, check, check_bytes
    from haven_registry.store import driver

    if options.repair:
        _repair(with_orphans=not options.no_bytes)
    broken = check()
    damaged: list[str] = [] if options.no_bytes else [str(damage) for damage in check_bytes(driver())]
    for name in INVARIANTS:
        if name in broken:
            print(f"BROKEN  {name}: {broken[name]}")
    for line in damaged:
        print(f"BROKEN  bytes: {line}")
    if broken or damaged:
        return FAILED
    print(f"clean: {len(INVARIANTS)} invariants hold" + ("" if options.no_bytes else ", and every blob has its bytes"))
    return 0


def _repair(*, with_orphans: bool) -> None:
    from haven_gc import repair
    from haven_registry.store import driver

    steps = {
        "quotas counted again": repair.recount_quotas,
        "links given to garbage collection": repair.review_unreferenced_links,
        "uploads forgotten that lost their bytes": repair.forget_lost_uploads,
        "staged keys given up": lambda: repair.let_staged_keys_die(driver()),
        "stored keys given up that no blob has": repair.let_live_keys_die,
    }
    for what, step in steps.items():
        if count := step():
            print(f"repaired  {what}: {count}")
    if with_orphans:
        count, size = repair.remove_orphans(driver())
        if count:
            print(f"repaired  files removed that no row leads to: {count}, {size} bytes")


def gc(options: argparse.Namespace) -> int:
    """Garbage collection, or its dry run."""
    with_django(options)
    from haven_gc import job

    sent = {"delete_untagged": options.delete_untagged, "dry_run": options.dry_run}
    return 0 if _run(job.KIND, job.checked_parameters(sent)) is not None else FAILED


def scrub(options: argparse.Namespace) -> int:
    """Read every blob; exit code 1 when one is damaged or can't be read."""
    if not options.rate > 0:
        return complain("--rate takes a number of MiB above 0")
    with_django(options)
    from haven_gc import scrub as scrubbing

    rate = max(1, int(options.rate * 1024 * 1024))
    result = _run(scrubbing.KIND, scrubbing.checked_parameters({"bytes_per_second": rate}))
    return FAILED if result is None or result["damaged"] or result["unreadable"] else 0


def _run(kind: str, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Do one job here, its log on stdout; returns its result, None when it failed or was stopped. Ctrl-C stops it."""
    from haven_core.errors import HavenError
    from haven_core.jobs import selectors, services
    from haven_core.jobs.models import Status
    from haven_core.jobs.runner import run_task

    def show(entry: Mapping[str, Any]) -> None:
        print(selectors.as_text(entry), end="", flush=True)

    try:
        execution_id = services.start_execution(kind, parameters, started_by="command line", is_held=True)
    except HavenError as error:
        complain(error)
        return None
    [task_id] = selectors.task_ids(execution_id)
    run_task(task_id, "command line", echo=show)
    task = selectors.find_task(task_id)
    return task.result if task.status == Status.SUCCESS else None
