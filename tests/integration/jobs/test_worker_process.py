"""Real Celery workers and a real broker: killed, doubled, flushed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from haven_deploy.embedded import find_broker
from tests.support.stack import ROOT

APP = "tests.integration.jobs.programs.kinds_app"


class Site:
    """A data folder with its database, a broker, and workers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.broker = folder, find_broker()
        if self.broker is None:
            pytest.skip("neither Valkey nor Redis: apt-get install valkey-server")
        packages = sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HAVEN_")}
        self.environment |= {
            "HAVEN_DATA_DIR": str(folder),
            "HAVEN_REDIS_URL": f"unix://{folder}/valkey.sock",
            "DJANGO_SETTINGS_MODULE": "haven_project.settings",
            "PYTHONPATH": os.pathsep.join([*packages, str(ROOT)]),
            "C_FORCE_ROOT": "1",
        }
        if url := os.environ.get("HAVEN_DATABASE_URL"):
            self.environment["HAVEN_DATABASE_URL"] = url
        subprocess.run([sys.executable, str(ROOT / "manage.py"), "migrate", "-v0"], env=self.environment, check=True)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.valkey = self.start_broker()
        self._director = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.jobs.programs.director"],
            env=self.environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, call: str, **arguments: Any) -> Any:
        assert self._director.stdin is not None
        assert self._director.stdout is not None
        self._director.stdin.write(json.dumps([call, arguments]) + "\n")
        self._director.stdin.flush()
        return json.loads(self._director.stdout.readline())["value"]

    def start_broker(self) -> subprocess.Popen[bytes]:
        options = ["--port", "0", "--unixsocket", f"{self.folder}/valkey.sock", "--save", "", "--appendonly", "no"]
        return self._start([str(self.broker), *options, "--dir", str(self.folder)], "valkey")

    def start_worker(self, name: str, concurrency: int = 1) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "celery", "-A", APP, "worker", "-n", f"{name}@test", "-Q", "default"]
        return self._start([*words, "-c", str(concurrency), "--without-gossip", "--without-mingle"], name)

    def _start(self, words: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        self._director.communicate(timeout=20)
        for process in self.processes:
            kill(process)

    def wait(self, condition: Callable[[], bool], seconds: float) -> float:
        """Seconds it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, self.logs()
            time.sleep(0.1)
        return time.monotonic() - began

    def logs(self) -> str:
        return "\n".join(f"== {path}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of the process and its children, which share its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def child_of(worker: subprocess.Popen[bytes]) -> int:
    """The process that does a worker's tasks."""
    (child,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return int(child)


@pytest.fixture
def jobs_site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="haven-jobs-", dir="/tmp") as folder:  # a short path: sockets
        site = Site(Path(folder))
        try:
            yield site
        finally:
            site.close()


def test_a_worker_killed_in_the_middle(jobs_site: Site) -> None:
    """The log shows while it runs; another worker has the task within 60 s; a stop takes 2 s."""
    site = jobs_site
    first = site.start_worker("first")
    execution = site.ask("start", kind="COUNT", parameters={"steps": 4000})
    site.wait(lambda: site.ask("look", execution=execution)["log"].count("counted") > 10, 30)
    look = site.ask("look", execution=execution)
    assert (look["status"], look["worker"], look["attempt"]) == ("Running", "first@test", 1)
    assert look["done"][0] > 0
    site.start_worker("second")
    site.wait(lambda: set(site.ask("workers")) == {"first@test", "second@test"}, 30)
    kill(first)
    taken = site.wait(lambda: site.ask("look", execution=execution)["attempt"] == 2, 60)
    assert taken < 60
    assert site.ask("look", execution=execution)["worker"] == "second@test"
    site.ask("stop", execution_id=execution)
    site.wait(lambda: site.ask("look", execution=execution)["status"] == "Stopped", 5)
    assert site.ask("look", execution=execution)["stop_seconds"] < 2


def test_a_child_killed_in_the_middle(jobs_site: Site) -> None:
    """As the kernel does when memory ends: the worker lives, and has the task again."""
    site = jobs_site
    worker = site.start_worker("only")
    execution = site.ask("start", kind="COUNT", parameters={"steps": 4000})
    site.wait(lambda: site.ask("look", execution=execution)["log"].count("counted") > 10, 30)
    os.kill(child_of(worker), signal.SIGKILL)
    site.wait(lambda: site.ask("look", execution=execution)["attempt"] == 2, 60)
    site.ask("stop", execution_id=execution)
    site.wait(lambda: site.ask("look", execution=execution)["status"] == "Stopped", 5)


def test_a_child_born_while_the_worker_holds_the_write_lock(jobs_site: Site) -> None:
    """A fork copies SQLite's table of this process's locks: the child would wait for ever for one that nobody holds."""
    site = jobs_site
    worker = site.start_worker("only")
    site.wait(lambda: bool(site.ask("workers")), 30)
    site.ask("every_second", kind="DAWDLE", parameters={"steps": 1})
    site.wait(lambda: (site.folder / "dawdling").exists(), 30)
    os.kill(child_of(worker), signal.SIGKILL)
    site.ask("unschedule", kind="DAWDLE")
    execution = site.ask("start", kind="COUNT", parameters={"steps": 2})
    site.wait(lambda: site.ask("look", execution=execution)["status"] == "Success", 40)


def test_a_long_step_keeps_its_lease_and_the_schedules_go_on(jobs_site: Site) -> None:
    """The one child of the only worker sleeps for longer than a lease; the broker is killed and comes back empty."""
    site = jobs_site
    lease, _ = site.ask("bounds")
    site.start_worker("only")
    sleeping = site.ask("start", kind="SLEEP", parameters={"seconds": lease + 8})
    site.wait(lambda: site.ask("look", execution=sleeping)["status"] == "Running", 30)
    waiting = site.ask("start", kind="COUNT", parameters={"steps": 2})
    kill(site.valkey)
    lost = site.ask("start", kind="COUNT", parameters={"steps": 3})
    site.ask("every_second", parameters={"steps": 1})
    site.wait(lambda: len(site.ask("fires")) > 1, 20)
    site.ask("unschedule")
    site.valkey = site.start_broker()
    site.wait(lambda: site.ask("look", execution=lost)["status"] == "Success", 90)
    site.wait(lambda: site.ask("look", execution=waiting)["status"] == "Success", 60)
    assert site.ask("look", execution=sleeping)["result"] == {"attempt": 1}


def test_the_place_of_a_job_is_the_next_ones(jobs_site: Site) -> None:
    """Of two processes one does jobs, one after the other, without waiting for a tick in between."""
    site = jobs_site
    site.start_worker("only", concurrency=2)
    site.wait(lambda: bool(site.ask("workers")), 30)
    jobs = [site.ask("start", kind="SLEEP", parameters={"seconds": 4}) for _ in range(3)]
    site.wait(lambda: all(site.ask("look", execution=job)["status"] == "Success" for job in jobs), 40)
    spans = sorted(tuple(site.ask("look", execution=job)["span"]) for job in jobs)
    gaps = [began - ended for (_, ended), (began, _) in pairwise(spans)]
    assert all(0 <= gap < 2 for gap in gaps), gaps


def test_doubled_workers_fire_each_moment_once(jobs_site: Site) -> None:
    site = jobs_site
    for name in ("first", "second", "third"):
        site.start_worker(name)
    site.wait(lambda: len(site.ask("workers")) == 3, 30)
    site.ask("every_second", parameters={"steps": 1})
    site.wait(lambda: len(site.ask("fires")) >= 3, 40)
    site.ask("unschedule")
    fires = site.ask("fires")
    assert len(fires) == len(set(fires))
