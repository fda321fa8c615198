"""Everything at once against the running product: pushes by every method, mounts, tag moves, deletes, pulls, restores,
rollbacks, retention, immutable tags, garbage collection without any grace, kill -9 of every kind of worker, connections
of the database cut. In the first half what is deleted can be restored for a minute; then the stack is started anew, and in
the second half a delete is for good.

    python -m tests.siege --minutes 60                        SQLite and files
    python -m tests.siege --minutes 60 --servers              PostgreSQL and S3 (SeaweedFS), both real servers

Prints what happened as JSON and exits with 1 when anything acknowledged was lost, a quota drifted, a pull was counted
twice, a deadlock was seen, an answer was not foreseen, or something is left in the storage after everything was deleted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.siege.clients import FINAL, RETENTION_KEEPS, Client, Jobs, Keeper, Killer, Lost, Siege
from tests.siege.restoring import Restorer
from tests.siege.terms import EMPTY, RESTORABLE, SETTINGS, restore_window
from tests.support.client import expect
from tests.support.harm import HarmedStack
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.seaweedfs import run_seaweedfs
from tests.support.stack import StackError

PROJECTS = ("north", "south")
MORE_SECONDS = 240.0
PULLS_ARRIVE = 15.0  # noted, sent every 3 s, added every 5 s
RUNS_END = 240.0  # seconds after the last kill: a run that is at its fifth attempt waits for half a minute first
RULES_CACHED = 5.0  # seconds for which another process may still hold a tag immutable after its rule is gone
_END_OF_CLAIMS = "UPDATE storage_object SET purge_after = now() WHERE state = 'dead' AND purge_after > now()"
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


def besiege(seconds: float, *, clients: int, servers: bool, needed: Collection[str] = ()) -> dict[str, object]:
    """Run it; {"seconds", "counts", "refused_pushes", "failed_jobs", "violations"}. refused_pushes: for each way in which a
    blob that a refused manifest named was shown before, how many there were and after how many seconds the earliest and latest
    came. failed_jobs: the ends of their logs; a job whose worker is killed too often without getting on fails, and may.

    needed: counts that may not be missing: the second half lasts until all are there, MORE_SECONDS longer at most. Then
    the claims of killed workers, and the grace of downloads, are ended at the end instead of waited for (needs servers).
    """
    with ExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="hs-")))
        environment, postgres = SETTINGS | restore_window(RESTORABLE), None
        if servers:
            postgres = life.enter_context(run_postgres(fsync=True))
            environment |= _server_settings(life, folder, postgres)
        stack = HarmedStack(folder, environment=environment).start()
        siege = Siege(stack, [stack.create_project(name) for name in PROJECTS], RESTORABLE)
        life.callback(_ended, siege)
        began = time.monotonic()
        everybody = Everybody(siege, [_rules(siege, name) for name in PROJECTS], clients)
        everybody.assault(seconds / 2, postgres)
        _without_restoring(siege)
        everybody.assault(seconds / 2, postgres, needed)
        _aftermath(siege, everybody.owners, postgres, is_hurried=bool(needed))
        return {
            "seconds": round(time.monotonic() - began),
            "counts": dict(sorted(siege.counts.items())),
            "refused_pushes": _summed(siege.refused),
            "failed_jobs": siege.failed_jobs,
            "violations": siege.violations,
        }


class Everybody:
    """Who takes part; owners are the clients with ledgers."""

    def __init__(self, siege: Siege, policies: list[str], clients: int) -> None:
        self.siege, self.policies = siege, policies
        self.people = [Client(siege, slot) for slot in range(clients)]
        self.keeper, self.restorer = Keeper(siege), Restorer(siege)
        self.owners = [*self.people, self.keeper.client, self.restorer.client, self.restorer.keeper.client]

    def assault(self, seconds: float, postgres: PostgresServer | None, needed: Collection[str] = ()) -> None:
        siege = self.siege
        siege.stop.clear()
        for owner in self.owners:
            owner.connect()
        threads = [siege.start(person.name, person.step) for person in self.people]
        threads += [
            siege.start("keeper", self.keeper.step),
            siege.start("restorer", self.restorer.step),
            siege.start("jobs", Jobs(siege, self.policies).step),
            siege.start("killer", Killer(siege, _cutter(postgres) if postgres else None).step),
        ]
        time.sleep(seconds)
        deadline = time.monotonic() + MORE_SECONDS
        while not all(siege.counts[what] for what in needed) and time.monotonic() < deadline:
            time.sleep(1)
        siege.stop.set()
        for thread in threads:
            thread.join(300)
            if thread.is_alive():
                siege.violation(f"{thread.name} hangs")


def _without_restoring(siege: Siege) -> None:
    """Stop the stack in the middle of what its workers do, and start it so that deletes are for good."""
    _ended(siege)
    siege.restorable = 0.0
    siege.stack.environment |= restore_window(0)
    siege.stack.start()


def _ended(siege: Siege) -> None:
    try:
        siege.stack.stop()
    except StackError as error:  # killed by now; a violation, not the end of everything that was found
        siege.violation(f"stopping: {error}")
        siege.stack.server = None


def _summed(refused: list[tuple[str, float]]) -> dict[str, dict[str, float]]:
    ways = {how: [seconds for way, seconds in refused if way == how] for how, _ in refused}
    return {how: {"number": len(all_), "earliest": min(all_), "latest": max(all_)} for how, all_ in ways.items()}


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


def _aftermath(siege: Siege, people: list[Client], postgres: PostgresServer | None, *, is_hurried: bool) -> None:
    """With nobody there: all in the ledgers comes back, rows, bytes and quotas agree, and what is deleted leaves nothing."""
    stack = siege.stack
    stack.wait_running(seconds=90)
    siege.stop.clear()
    _watched(siege, lambda: _runs_end(siege))
    for person in people:
        for (repository, tag), manifest in person.ledger.items():
            _watched(siege, lambda who=person, at=(repository, tag, manifest): who.pull(*at))  # type: ignore[misc]
    _watched(siege, lambda: _pulls_counted(siege))
    _watched(siege, lambda: stack.settle("orphans"))  # fsck: rows, bytes, counters and quotas
    for project in siege.projects:
        for rule in siege.api("GET", f"/projects/{project}/immutabletagrules").json():
            siege.api("DELETE", f"/projects/{project}/immutabletagrules/{rule['id']}")
    time.sleep(RULES_CACHED)
    for project in siege.projects:
        for repository in siege.api("GET", f"/projects/{project}/repositories?page_size=100").json():
            name = repository["name"].partition("/")[2]
            _watched(siege, lambda at=(project, name): _deleted(siege, *at))  # type: ignore[misc]
    hurry = partial(_sql, postgres, _END_OF_CLAIMS) if is_hurried and postgres is not None else None
    _watched(siege, lambda: _nothing_left(siege, hurry, until=time.monotonic() + EMPTY))
    if postgres is not None:
        deadlocks = int(_sql(postgres, "SELECT sum(deadlocks) FROM pg_stat_database"))
        if deadlocks:
            siege.violation(f"{deadlocks} deadlocks")


def _runs_end(siege: Siege) -> None:
    """Whoever was killed in the middle of a run, a run comes to its end."""
    until = time.monotonic() + RUNS_END
    while running := [
        job for job in siege.api("GET", "/haven/jobs?page_size=100").json() if job["status"] not in FINAL
    ]:
        if time.monotonic() > until:
            raise Lost(f"runs are not done {RUNS_END} seconds after the last kill: {running}")
        time.sleep(0.5)


def _pulls_counted(siege: Siege) -> None:
    """None twice, whatever was killed between a batch and its confirmation; a killed process loses its last seconds."""
    time.sleep(PULLS_ARRIVE)
    for project in siege.projects:
        for repository in siege.api("GET", f"/projects/{project}/repositories?page_size=100").json():
            name, pulls = repository["name"], repository["pull_count"]
            siege.count("pulls_counted", pulls)
            assert 0 < pulls <= siege.asked[name], f"{name}: {pulls} pulls counted of {siege.asked[name]}"


def _deleted(siege: Siege, project: str, name: str) -> None:
    expect(siege.api("DELETE", f"/projects/{project}/repositories/{name}"), 200)


def _nothing_left(siege: Siege, hurry: Callable[[], object] | None, *, until: float) -> None:
    """Dead bytes outlive their rows by the grace of running downloads, and what a killed worker was deleting waits for the
    end of its claim, so this collects and looks until it is true or late. hurry: ends what is waited for."""
    kinds, jobs = ("objects", "live", "sessions", "staged", "unknown"), Jobs(siege, [])
    while True:
        if hurry is not None:
            hurry()
        jobs.collect()
        found = siege.stack.settle("orphans")
        if not any(found[kind] for kind in kinds) or time.monotonic() > until:
            break
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
