"""How fast lists, search and the two hottest reads are in a big registry, and pushes by many at once, through the whole
stack.

    python -m tests.support.postgres python -m tests.bench.lists                          seeds `large` first: minutes
    HAVEN_DATABASE_URL=… python -m tests.bench.lists --data DIR                           seeded before, in DIR
    … python -m tests.bench.lists --data DIR --only search --seconds 5 --windows 5

Prints a table in Markdown: of several windows the best, since others may use the machine; `load` is how busy it was then.
CPU is processor time of stack and database for each request, which depends least on that. Needs wrk and PostgreSQL.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.pushing import push_at_once
from tests.support.stack import HavenServer, _family, child_environment, running_haven

PASSWORD = "Bench-mark-1"
_REPORT = """
done = function(summary, latency, requests)
  io.write(string.format('{"rate": %f, "p50": %f, "p95": %f, "requests": %d, "failed": %d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.timeout))
end
"""
APP = "/projects/payments/repositories/order-api"
READS = {
    "project, by an administrator": ("admin", "/projects/payments"),
    "project, by a member": ("member", "/projects/payments"),
    "artifact by digest": ("admin", f"{APP}/artifacts/DIGEST"),
}
LISTS = {
    "projects": ("admin", "/projects"),
    "projects, of a member": ("member", "/projects"),
    "repositories of all projects": ("admin", "/repositories"),
    "repositories a member may see": ("member", "/repositories"),
    "repositories of a project (749)": ("admin", "/projects/payments/repositories"),
    "artifacts (10,000), all `with_*`": (
        "admin", f"{APP}/artifacts?with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true"
    ),
    "artifacts of a usual repository": ("admin", "/projects/payments/repositories/order-worker/artifacts"),
    "tags of an artifact": ("admin", f"{APP}/artifacts/DIGEST/tags"),
    "accessories": ("admin", f"{APP}/artifacts/DIGEST/accessories"),
    "members (200)": ("admin", "/projects/payments/members"),
    "users": ("admin", "/users"),
    "users by name": ("admin", "/users/search?username=anna"),
    "user groups": ("admin", "/usergroups"),
    "robots of the system": ("admin", "/robots"),
    "robots of a project": ("admin", "/robots?q=Level%3Dproject%2CProjectID%3DPROJECT"),
    "labels": ("admin", "/labels?scope=g"),
    "labels of a project": ("admin", "/labels?scope=p&project_id=PROJECT"),
    "quotas": ("admin", "/quotas"),
    "audit log": ("admin", "/audit-logs"),
    "audit log, all results": ("admin", "/auditlog-exts"),
    "audit log, of a member": ("member", "/audit-logs"),
    "audit log of a project": ("admin", "/projects/payments/logs"),
    "immutability rules": ("admin", "/projects/payments/immutabletagrules"),
    "schedules": ("admin", "/schedules"),
    "garbage collections": ("admin", "/system/gc"),
}  # fmt: skip
SEARCHES = {
    "search, 500 found": ("admin", "/search?q=order"),
    "search, none found": ("admin", "/search?q=zzzz"),
    "search, of a member": ("member", "/search?q=invoice-api"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A window. rate: requests a second; times in ms; cpu: ms of stack and database for a request; load: of one minute."""

    rate: float
    p50: float
    p95: float
    cpu: float
    load: float


def main() -> int:
    """Seed if need be, start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder that was seeded before with --password " + PASSWORD)
    parser.add_argument("--scale", default="large")
    parser.add_argument("--seconds", type=int, default=3, help="of a window")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--only", default="", help="lines with this text in their name")
    parser.add_argument("--clients", type=int, default=200, help="who push at once")
    options = parser.parse_args()
    with _seeded(options) as data:
        _haven("admin", "reset-password", "--data", str(data))
        with running_haven(data_dir=data) as server:
            server.admin_password = PASSWORD
            bench = Bench(server, options.seconds, options.windows)
            groups = {"reads": (READS, 8, ""), "lists": (LISTS, 8, "p95 100 ms"), "searches": (SEARCHES, 1, "100 ms")}
            for name, (lines, connections, wanted) in groups.items():
                chosen = {line: asked for line, asked in lines.items() if options.only in line}
                if chosen:
                    bench.print_group(name, chosen, connections, wanted or "1,000 req/s")
            if options.only in "pushes":
                bench.print_pushes(options.clients)
        return subprocess.run(_command("fsck", "--no-bytes", "--data", str(data)), env=_environment()).returncode


class Bench:
    """Measures a running server."""

    def __init__(self, server: HavenServer, seconds: int, windows: int) -> None:
        self._server, self._seconds, self._windows = server, seconds, windows
        newest = server.api("GET", f"{APP}/artifacts/latest").json()
        self._words = {"DIGEST": newest["digest"], "PROJECT": str(newest["project_id"])}
        members = server.api("GET", "/projects/payments/members?page_size=1").json()
        self._passwords = {"admin": f"admin:{PASSWORD}", "member": f"{members[0]['entity_name']}:{PASSWORD}"}

    def print_group(self, name: str, lines: dict[str, tuple[str, str]], connections: int, wanted: str) -> None:
        """A table."""
        print(f"\n| {name}, connections {connections} | req/s | p50 ms | p95 ms | CPU ms | load | wanted |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for line, (user, path) in lines.items():
            figures = [self._measure(user, path, connections) for _ in range(self._windows)]
            best = min(figures, key=lambda each: (each.rate == 0, each.p95))
            print(
                f"| {line} | {best.rate:,.0f} | {best.p50:.1f} | {best.p95:.1f} | {best.cpu:.2f} | {best.load:.1f} "
                f"| {wanted} |",
                flush=True,
            )

    def print_pushes(self, clients: int) -> None:
        """Pushes into one project, and whether its quota is exact afterwards."""
        print(f"\n| pushes by {clients} at once | artifacts/s | p50 s | p95 s | CPU ms | load | quota |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for line, one_repository in (("a repository for each client", False), ("all into one repository", True)):
            project = self._server.create_project(f"bench-{os.getpid()}-{int(one_repository)}")
            before, load = self._cpu_seconds(), os.getloadavg()[0]
            done, seconds = push_at_once(
                self._server, project, clients=clients, seconds=self._seconds * 4, one_repository=one_repository
            )
            cpu = (self._cpu_seconds() - before) / max(1, done.artifacts) * 1000
            assert not done.failures, done.failures[:3]
            used = self._server.api("GET", f"/projects/{project}/summary").json()["quota"]["used"]["storage"]
            times = sorted(done.seconds)
            exact = "exact" if used == done.charged else f"{used} instead of {done.charged}"
            print(
                f"| {line} | {done.artifacts / seconds:.0f} | {times[len(times) // 2]:.2f} "
                f"| {times[len(times) * 95 // 100]:.2f} | {cpu:.1f} | {load:.1f} | {exact} |",
                flush=True,
            )

    def _measure(self, user: str, path: str, connections: int) -> Figure:
        for word, value in self._words.items():
            path = path.replace(word, value)
        pair = base64.b64encode(self._passwords[user].encode()).decode()
        self._wrk(path, pair, connections, 1)
        before, load = self._cpu_seconds(), os.getloadavg()[0]
        said = self._wrk(path, pair, connections, self._seconds)
        cpu = (self._cpu_seconds() - before) / max(1, said["requests"]) * 1000
        return Figure(said["rate"], said["p50"], said["p95"], cpu, load)

    def _wrk(self, path: str, pair: str, connections: int, seconds: int) -> dict[str, float]:
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_REPORT)
            script.flush()
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script.name]
            command += ["-H", f"Authorization: Basic {pair}", f"{self._server.url}/api/v2.0{path}"]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
        said: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
        assert not said["failed"], f"{path}: {said}"
        return said

    def _cpu_seconds(self) -> float:
        ticks = 0
        for pid in [*self._server.pids, *_family(_database_pid())]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _database_pid() -> int:
    import psycopg2

    with psycopg2.connect(os.environ["HAVEN_DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        return int((Path(cursor.fetchone()[0]) / "postmaster.pid").read_text().split()[0])


@contextmanager
def _seeded(options: argparse.Namespace) -> Iterator[Path]:
    if options.data:
        yield options.data.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="haven-bench-") as folder:
        data = Path(folder) / "data"
        _haven("seed", "--data", str(data), "--scale", options.scale, "--password", PASSWORD)
        yield data


def _haven(*words: str) -> None:
    subprocess.run(_command(*words), env=_environment(), check=True)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "haven_project.cli", *words]


def _environment() -> dict[str, str]:
    return child_environment({"HAVEN_ADMIN_PASSWORD": PASSWORD})


if __name__ == "__main__":
    sys.exit(main())
