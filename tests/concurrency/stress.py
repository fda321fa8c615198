"""Stress of the model: processes that push, mount, copy, tag, untag, delete, restore and pull, collectors at (nearly) zero
grace, kill -9 and cut connections at random; invariants all the time and at the end. Exit code 1 on any violation.

    HAVEN_DATABASE_URL=… python -m tests.concurrency.stress FOLDER --seconds 60       (an empty database; see --help)
    python -m tests.support.postgres python -m tests.concurrency.stress FOLDER --seconds 60
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import time
import traceback
from collections import Counter
from multiprocessing.process import BaseProcess
from typing import Any

from tests.concurrency.world import PROJECTS, Run

_fork = multiprocessing.get_context("fork")
_LOST = ("terminating connection", "closed", "SSL", "server closed", "connection already", "locked")
Who = tuple[str, int]


def _pause_between_statements(execute: Any, text: str, parameters: Any, many: bool, context: Any) -> Any:
    """A pause before one statement in 25: stretches every gap between look, lock, check and commit."""
    if random.random() < 0.04:
        time.sleep(random.random() * 0.02)
    return execute(text, parameters, many, context)


def _work(run: Run, who: Who, seed: int) -> None:
    """A worker process: step after step until the run ends."""
    from django.db import DatabaseError, InterfaceError, connection

    from haven_core.db import transactions
    from haven_core.errors import HavenError
    from haven_registry.storage.errors import StagingLost
    from tests.concurrency.actors import Actor
    from tests.concurrency.sabotage import SABOTAGES
    from tests.concurrency.watchers import Checker, Collector

    kind, slot = who
    random.seed(seed)
    if connection.vendor == "postgresql":
        connection.settings_dict["OPTIONS"]["application_name"] = f"stress-{kind}"
    if run.sabotage:
        SABOTAGES[run.sabotage](run)
    me = {"actor": Actor, "collector": Collector, "checker": Checker}[kind](run, slot, seed)
    if kind != "checker":
        connection.execute_wrappers.append(_pause_between_statements)
    saved = 0.0
    while not run.stop_file.exists():
        try:
            me.step()
        except (
            HavenError,
            StagingLost,
        ) as error:  # StagingLost: the upload was cancelled by the purge of its repository
            me.count[f"refused_{type(error).__name__}"] += 1
        except (DatabaseError, InterfaceError) as error:
            _judge(run, who, error, me.count)
            connection.close()
        except Exception:
            run.violation("crash", worker=f"{kind}-{slot}", trace=traceback.format_exc()[-3000:])
            time.sleep(0.1)
        if deadlocks := transactions.retries.pop("deadlock", 0):  # healed by running again, but there must be none
            run.violation("deadlock", worker=who, number=deadlocks)
        if time.time() - saved > 0.5:
            saved = time.time()
            _save_counts(run, who, me.count, transactions.retries)
    _save_counts(run, who, me.count, transactions.retries)


def _judge(run: Run, who: Who, error: Exception, count: Counter[str]) -> None:
    """A database error that came out of a service: a cut connection is fair, anything else is not."""
    from django.db import IntegrityError

    from haven_core.db.backend import is_foreign_key_violation

    text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    if "deadlock" in text:
        run.violation("deadlock", worker=who, text=text)
    elif who[0] == "collector" and isinstance(error, IntegrityError) and is_foreign_key_violation(error):
        run.violation("gc_stopped_by_foreign_key", text=text)  # RESTRICT saved us; the second look should have
    elif any(part in text for part in _LOST):
        count["database_locked" if "locked" in text else "connection_lost"] += 1
    else:
        run.violation("unexpected_error", worker=who, text=text, trace=traceback.format_exc()[-3000:])


def _save_counts(run: Run, who: Who, counts: Counter[str], retries: Counter[str]) -> None:
    path = run.folder / f"count-{who[0]}-{who[1]}-{os.getpid()}.json"
    path.with_suffix(".new").write_text(json.dumps(counts + Counter({f"retry_{why}": n for why, n in retries.items()})))
    path.with_suffix(".new").rename(path)  # whole or not at all, should we be killed here


def read_counts(run: Run) -> Counter[str]:
    """What all workers counted, dead ones too; half a second old at most."""
    counts = Counter[str]()
    for path in run.folder.glob("count-*.json"):
        kind = path.name.split("-")[1]
        counts.update({f"{kind}.{what}": number for what, number in json.loads(path.read_text()).items()})
    return counts


class Controller:
    """Starts the workers, kills them, starts them again."""

    def __init__(self, run: Run) -> None:
        self.run, self.random, self.done = run, random.Random(run.seed), Counter[str]()
        self.workers: dict[Who, BaseProcess] = {}
        self.generation = 0

    def start(self, who: Who) -> None:
        from django.db import connection

        connection.close()  # a connection must not cross a fork
        self.generation += 1
        worker = _fork.Process(target=_work, args=(self.run, who, self.run.seed * 1000 + self.generation))
        worker.start()
        self.workers[who] = worker

    def play(self) -> None:
        """The whole run; returns when all workers have ended."""
        run = self.run
        for kind, number in (("actor", run.actors), ("collector", run.collectors), ("checker", 1)):
            for slot in range(number):
                self.start((kind, slot))
        end = time.time() + run.seconds
        while time.time() < end and not self._is_enough():
            time.sleep(self.random.uniform(0.3, 0.9))
            if run.kill:
                self.kill_something()
        run.stop_file.touch()
        for who, worker in self.workers.items():
            worker.join(60)
            if worker.is_alive():
                worker.kill()
                run.violation("hung_worker", worker=who)

    def _is_enough(self) -> bool:
        run = self.run
        if run.stop_at_first and run.lines("violations"):
            return True
        return bool(run.until_blobs) and read_counts(run)["collector.blobs"] >= run.until_blobs

    def kill_something(self) -> None:
        """A worker, or a connection that is in use."""
        from haven_core.db import backend

        if backend.is_postgresql() and self.random.random() < 0.6:
            [(number,)] = backend.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE state <> 'idle' "
                "AND datname = current_database() AND application_name IN ('stress-actor', 'stress-collector') "
                "ORDER BY random() LIMIT 1) x"
            )
            self.done["backends_terminated"] += number
            return
        who = self.random.choice([who for who in self.workers if who[0] != "checker"])
        worker = self.workers[who]
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        self.done["killed"] += 1
        self.start(who)


def prepare(run: Run) -> None:
    """Migrate the empty database and make the projects."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from haven_core.models import Project, ProjectQuota

    (run.folder / "storage").mkdir(parents=True)
    call_command("migrate", verbosity=0)
    for name, hard_bytes in PROJECTS.items():
        run.project_ids[name] = Project.objects.create(name=name).id
        ProjectQuota.objects.create(project_id=run.project_ids[name], hard_bytes=hard_bytes)
    run.set_windows()


def execute(run: Run) -> dict[str, Any]:
    """Play a run and judge it; `violations` in the answer is empty when all is well."""
    prepare(run)
    from tests.concurrency.aftermath import count_deadlocks, settle  # Django must be set up

    controller = Controller(run)
    deadlocks = count_deadlocks()
    controller.play()
    answer: dict[str, Any] = {}
    if not (run.stop_at_first and run.lines("violations")):
        answer = settle(run, deadlocks)
    done = controller.done + read_counts(run)
    violations = Counter(line["kind"] for line in run.lines("violations"))
    return answer | {"counts": dict(sorted(done.items())), "violations": dict(violations)}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    for name, kind in (("seconds", float), ("actors", int), ("collectors", int), ("seed", int), ("until_blobs", int)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Run, name))
    for name in ("lease", "grace", "trash"):
        parser.add_argument(f"--{name}", type=float, default=getattr(Run, name), help="window in seconds")
    parser.add_argument("--sabotage", default="")
    parser.add_argument("--focus", default="", help="an action of Actor that most steps take")
    parser.add_argument("--no-kill", dest="kill", action="store_false")
    parser.add_argument("--stop-at-first", action="store_true", help="violation")
    run = Run(**vars(parser.parse_args()))
    answer = execute(run)
    print(json.dumps(answer, indent=1))
    for line in run.lines("violations")[:5]:
        print(json.dumps(line))
    return 1 if answer["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
