"""Everything at once against the running product: pushes by every method, mounts, tag moves, deletes, pulls, retention,
immutable tags, garbage collection without any grace, kill -9 of every kind of worker, connections of the database cut.

    python -m tests.siege --minutes 60                        SQLite and files
    python -m tests.siege --minutes 60 --servers              PostgreSQL and S3 (SeaweedFS), both real servers

Prints what happened as JSON and exits with 1 when anything acknowledged was lost, a quota drifted, a deadlock was seen,
an answer was not foreseen, or something is left in the storage after everything was deleted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.siege.clients import RETENTION_KEEPS, Client, Jobs, Keeper, Killer, Siege
from tests.support.client import expect
from tests.support.harm import HarmedStack
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.seaweedfs import run_seaweedfs

PROJECTS = ("north", "south")
NO_GRACE = {
    "HAVEN_GC_GRACE_HOURS": "0",
    "HAVEN_RESTORE_WINDOW_DAYS": "0",
    "HAVEN_READ_GRACE_HOURS": "0.01",
    "HAVEN_UPLOAD_LEASE_HOURS": "0.05",
    "HAVEN_HEAD_MARGIN_HOURS": "0.02",
    "HAVEN_UPLOAD_TTL_HOURS": "0.05",
    "HAVEN_UNTAGGED_AGE_HOURS": "0.01",
}
EMPTY_SECONDS = 420.0  # more than haven_gc.sweep.CLAIM: what a killed worker had claimed waits for the end of that
EVERYWHERE = {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}


def main() -> int:
    """Exit code 1 when anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--servers", action="store_true", help="PostgreSQL and S3 instead of SQLite and files")
    options = parser.parse_args()
    answer = besiege(options.minutes * 60, clients=options.clients, servers=options.servers)
    print(json.dumps(answer, indent=1))
    return 1 if answer["violations"] else 0


def besiege(seconds: float, *, clients: int, servers: bool) -> dict[str, object]:
    """Run it; {"seconds", "counts", "violations"}."""
    with ExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="hs-")))
        environment, postgres = dict(NO_GRACE), None
        if servers:
            postgres = life.enter_context(run_postgres(fsync=True))
            environment |= _server_settings(life, folder, postgres)
        stack = HarmedStack(folder, environment=environment).start()
        life.callback(stack.stop)
        siege = Siege(stack, [stack.create_project(name) for name in PROJECTS])
        policies = [_rules(siege, name) for name in PROJECTS]
        began = time.monotonic()
        people = _assault(siege, policies, seconds, clients, postgres)
        _aftermath(siege, people, postgres)
        return {
            "seconds": round(time.monotonic() - began),
            "counts": dict(sorted(siege.counts.items())),
            "violations": siege.violations,
        }


def _server_settings(life: ExitStack, folder: Path, postgres: PostgresServer) -> dict[str, str]:
    (folder / "weed").mkdir()
    bucket = life.enter_context(run_seaweedfs(folder / "weed"))
    return {
        "HAVEN_DATABASE_URL": postgres.url,
        "HAVEN_STORAGE_URL": f"s3://{bucket.bucket}?endpoint={bucket.endpoint}&region=us-east-1&timeout=10",
        "HAVEN_S3_ACCESS_KEY": bucket.access_key,
        "HAVEN_S3_SECRET_KEY": bucket.secret_key,
    }


def _rules(siege: Siege, project: str) -> str:
    """fix-* is immutable; retention keeps every keep-* and the newest few drop-*. Path of the retention policy."""

    def tags(pattern: str) -> list[dict[str, str]]:
        return [{"kind": "doublestar", "decoration": "matches", "pattern": pattern}]

    rule = {"tag_selectors": tags("fix-*"), "scope_selectors": EVERYWHERE}
    expect(siege.api("POST", f"/projects/{project}/immutabletagrules", json=rule), 201)
    keep = {"template": "always", "action": "retain", "params": {}}
    newest = {"template": "latestPushedK", "action": "retain", "params": {"latestPushedK": RETENTION_KEEPS}}
    policy = {
        "algorithm": "or",
        "rules": [
            {**keep, "tag_selectors": tags("keep-*"), "scope_selectors": EVERYWHERE},
            {**newest, "tag_selectors": tags("drop-*"), "scope_selectors": EVERYWHERE},
        ],
        "trigger": {"kind": "Schedule", "settings": {"cron": ""}},
        "scope": {"level": "project", "ref": siege.api("GET", f"/projects/{project}").json()["project_id"]},
    }
    made = expect(siege.api("POST", "/retentions", json=policy), 201)
    return str(made.headers["Location"]).removeprefix("/api/v2.0")


def _assault(
    siege: Siege, policies: list[str], seconds: float, clients: int, postgres: PostgresServer | None
) -> list[Client]:
    people = [Client(siege, slot) for slot in range(clients)]
    keeper = Keeper(siege)
    threads = [siege.start(person.name, person.step) for person in people]
    threads += [
        siege.start("keeper", keeper.step),
        siege.start("jobs", Jobs(siege, policies).step),
        siege.start("killer", Killer(siege, _cutter(postgres) if postgres else None).step),
    ]
    time.sleep(seconds)
    siege.stop.set()
    for thread in threads:
        thread.join(300)
        if thread.is_alive():
            siege.violation(f"{thread.name} hangs")
    return [*people, keeper.client]


def _aftermath(siege: Siege, people: list[Client], postgres: PostgresServer | None) -> None:
    """With nobody there: all in the ledgers comes back, rows, bytes and quotas agree, and what is deleted leaves nothing."""
    stack = siege.stack
    stack.wait_running(seconds=90)
    siege.stop.clear()
    for person in people:
        for (repository, tag), manifest in person.ledger.items():
            _watched(siege, lambda who=person, at=(repository, tag, manifest): who.pull(*at))  # type: ignore[misc]
    _watched(siege, lambda: stack.settle("orphans"))  # fsck: rows, bytes, counters and quotas
    for project in (found["name"] for found in siege.api("GET", "/projects").json()):
        for rule in siege.api("GET", f"/projects/{project}/immutabletagrules").json():
            siege.api("DELETE", f"/projects/{project}/immutabletagrules/{rule['id']}")
        for repository in siege.api("GET", f"/projects/{project}/repositories?page_size=100").json():
            name = repository["name"].partition("/")[2]
            _watched(siege, lambda at=(project, name): _deleted(siege, *at))  # type: ignore[misc]
    Jobs(siege, []).collect()
    _watched(siege, lambda: _nothing_left(siege, until=time.monotonic() + EMPTY_SECONDS))
    if postgres is not None:
        deadlocks = int(_sql(postgres, "SELECT sum(deadlocks) FROM pg_stat_database"))
        if deadlocks:
            siege.violation(f"{deadlocks} deadlocks")


def _deleted(siege: Siege, project: str, name: str) -> None:
    expect(siege.api("DELETE", f"/projects/{project}/repositories/{name}"), 200)


def _nothing_left(siege: Siege, *, until: float) -> None:
    """Dead bytes outlive their rows by the grace of running downloads, so this looks until it is true or late."""
    kinds = ("objects", "sessions", "staged")
    while any((found := siege.stack.settle("orphans"))[kind] for kind in kinds) and time.monotonic() < until:
        time.sleep(5)
    assert (found["sessions"], found["staged"], found["unknown"]) == (0, [], []), found
    assert (found["objects"], found["live"]) == ([], []), found
    for project in siege.projects:
        quota = siege.api("GET", f"/projects/{project}/summary").json()["quota"]
        assert quota["used"]["storage"] == 0, quota


def _watched(siege: Siege, look: Callable[[], object]) -> None:
    try:
        look()
    except AssertionError as error:
        siege.violation(f"afterwards: {error}")


def _cutter(postgres: PostgresServer) -> Callable[[], int]:
    statement = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'haven' AND (state <> 'idle' OR random() < 0.2)"
    )
    return lambda: int(_sql(postgres, statement))


def _sql(postgres: PostgresServer, statement: str) -> str:
    command = [postgres.binaries / "psql", "-h", postgres.folder, "-U", "haven", "-d", "haven", "-Atc", statement]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
