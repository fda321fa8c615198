"""How soon the portal's pages begin to come: the time to the first byte, through the whole stack, one request after another.

    python -m tests.bench.pages                                    seeds 1,000 repositories of 100 tags first: a minute
    python -m tests.support.postgres python -m tests.bench.pages   the same on PostgreSQL
    python -m tests.bench.pages --data DIR --requests 200          seeded before, in DIR

One project has all the repositories; one of them has 10,000 tags. Prints a table in Markdown, kB as a browser gets them;
exit code 1 when a page is later than it may be. `load` is how busy the machine was.
"""

import argparse
import gzip
import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from tests.support.stack import HavenServer, child_environment, running_haven

PASSWORD = "Bench-mark-1"
SCALE = ("--projects", "1", "--repositories", "1000", "--artifacts", "200000", "--users", "300")
LIST_MS, CROWDED_MS = 150, 300
CROWDED, USUAL = "/projects/payments/repos/order-api/-/", "/projects/payments/repos/REPOSITORY/-/"
PAGES = {
    "home": ("/", LIST_MS),
    "projects": ("/projects/", LIST_MS),
    "repositories (1,000)": ("/projects/payments/", LIST_MS),
    "repositories, the 39th page": ("/projects/payments/?page=39", LIST_MS),
    "repositories, by size": ("/projects/payments/?sort=-size", LIST_MS),
    "repositories, by pulls": ("/projects/payments/?sort=-pulls", LIST_MS),
    "repositories, filtered": ("/projects/payments/?q=api", LIST_MS),
    "repositories, as a tree": ("/projects/payments/?view=tree", LIST_MS),
    "insights": ("/projects/payments/insights", LIST_MS),
    "tags": (USUAL, LIST_MS),
    "tags, by version": (f"{USUAL}?sort=-version", LIST_MS),
    "tags, untagged": (f"{USUAL}?show=untagged", LIST_MS),
    "tags (10,000)": (CROWDED, CROWDED_MS),
    "tags (10,000), by version": (f"{CROWDED}?sort=-version", CROWDED_MS),
    "tags (10,000), filtered": (f"{CROWDED}?q=v1.", CROWDED_MS),
    "tags (10,000), the last page": (f"{CROWDED}?page=400", CROWDED_MS),
    "artifact": (f"{USUAL}a/latest/", LIST_MS),
    "artifact, layers": (f"{USUAL}a/latest/layers", LIST_MS),
    "artifact, used by": (f"{USUAL}a/latest/used-by", LIST_MS),
    "tag history": (f"{CROWDED}history?tag=latest", LIST_MS),
    "compare": (f"{CROWDED}compare?a=latest&b=v1.0.0", LIST_MS),
    "members": ("/projects/payments/members", LIST_MS),
    "robots": ("/projects/payments/robots", LIST_MS),
    "labels": ("/projects/payments/labels", LIST_MS),
    "trash": ("/projects/payments/trash", LIST_MS),
    "audit log of a project": ("/projects/payments/activity", LIST_MS),
    "audit log": ("/activity", LIST_MS),
    "search": ("/search?q=order", LIST_MS),
    "search, a tag": ("/search?q=v1.0.0", LIST_MS),
    "search, a digest": ("/search?q=sha256:abcd", LIST_MS),
    "quotas": ("/ops/quotas", LIST_MS),
}


def main() -> int:
    """Seed if need be, start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder that was seeded before with --password " + PASSWORD)
    parser.add_argument("--requests", type=int, default=100, help="of each page")
    parser.add_argument("--only", default="", help="lines with this text in their name")
    options = parser.parse_args()
    late = 0
    with _seeded(options.data) as data:
        _haven("admin", "reset-password", "--data", str(data))
        with running_haven(data_dir=data) as server:
            server.admin_password = PASSWORD
            usual = server.api("GET", "/projects/payments/repositories?page_size=1&sort=-artifact_count&page=2").json()
            member = server.api("GET", "/projects/payments/members?page_size=1").json()[0]["entity_name"]
            repository = usual[0]["name"].removeprefix("payments/")
            for user in ("admin", member):
                late += Reader(server, user).print_table(repository, options.only, options.requests)
    return 1 if late else 0


class Reader:
    """Somebody who has signed in, on one connection."""

    def __init__(self, server: HavenServer, user: str) -> None:
        self._connection = http.client.HTTPConnection(server.host_port, timeout=60)
        self._cookies: dict[str, str] = {}
        self._user = user
        _status, _seconds, page = self._ask("GET", "/sign-in")
        token = re.search(rb'name="(gorilla\.csrf\.Token)" value="([^"]+)"', page)
        assert token is not None
        fields = {token[1].decode(): token[2].decode(), "username": user, "password": PASSWORD}
        status, _seconds, _page = self._ask("POST", "/sign-in", urlencode(fields))
        assert status == 303, f"{user} could not sign in: {status}"

    def print_table(self, repository: str, only: str, requests: int) -> int:
        """Returns how many pages were late."""
        print(f"\n| pages, of {self._user} | p50 ms | p95 ms | kB | load | wanted p95 |")
        print("| --- | --- | --- | --- | --- | --- |")
        late = 0
        for name, (path, wanted) in PAGES.items():
            if only not in name:
                continue
            path = path.replace("REPOSITORY", repository)
            status, _seconds, page = self._ask("GET", path)
            if status == 403:  # what this reader may not see
                continue
            assert status == 200, f"{path}: {status}"
            times = sorted(self._ask("GET", path)[1] * 1000 for _ in range(requests))
            p95 = times[min(len(times) - 1, len(times) * 95 // 100)]
            late += p95 > wanted
            weight = len(gzip.compress(page)) / 1000
            print(
                f"| {name} | {times[len(times) // 2]:.0f} | {p95:.0f} | {weight:.1f} | {os.getloadavg()[0]:.1f} | {wanted} |",
                flush=True,
            )
        return late

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, float, bytes]:
        """Status, seconds until the answer began, and the page."""
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
            "Accept": "text/html",
        }
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        seconds = time.perf_counter() - began
        page = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, seconds, page


@contextmanager
def _seeded(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="haven-bench-") as folder:
        made = Path(folder) / "data"
        _haven("seed", "--data", str(made), "--password", PASSWORD, *SCALE)
        yield made


def _haven(*words: str) -> None:
    command = [sys.executable, "-m", "haven_project.cli", *words]
    subprocess.run(command, env=child_environment({"HAVEN_ADMIN_PASSWORD": PASSWORD}), check=True)


if __name__ == "__main__":
    sys.exit(main())
