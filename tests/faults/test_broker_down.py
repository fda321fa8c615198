"""Valkey killed, and kept from coming back: nobody notices but the counts, which arrive later."""

from contextlib import closing

import redis

from tests.support.client import expect
from tests.support.harm import HarmedStack, eventually, kill
from tests.support.ledger import Ledger, PatientClient
from tests.support.oci import random_image

PULLS = 7


def test_broker_away_and_back(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    client = stack.client(timeout=5)
    patient = PatientClient(client, ledger, attempts=1)  # a single refusal would be one too many
    before = (stack.pid_of("worker"), stack.pid_of("beat"))
    folder, away = stack.data_dir / "valkey", stack.data_dir / "valkey.away"
    folder.rename(away)
    folder.write_text("not a folder: the server can't start here")
    try:
        kill([stack.pid_of("valkey")])
        eventually(lambda: stack.state()["valkey"]["state"] != "running")
        for number in range(3):
            patient.push(repository, random_image(), f"dark-{number}")
        for _ in range(PULLS):
            expect(client.get_manifest(repository, "dark-0"), 200)
        expect(client.get_manifest(repository, next(iter(ledger.manifests.values())).digest), 200)
        assert stack.api("GET", "/projects").status_code == 200
        eventually(lambda: stack.state()["valkey"]["restarts"] >= 2)
    finally:
        folder.unlink()
        away.rename(folder)

    stack.wait_running(seconds=60)
    eventually(lambda: _pulls(stack, repository, "dark-0") == PULLS, 60, pause=1)
    assert (stack.pid_of("worker"), stack.pid_of("beat")) == before, "they connect again by themselves"
    ledger.verify(client)
    stack.assert_settled()


def test_broker_emptied(stack: HarmedStack, repository: str, ledger: Ledger) -> None:
    """FLUSHALL under everybody's feet: pushes and pulls go on, and so does what the clock starts."""
    client = stack.client(timeout=5)
    patient = PatientClient(client, ledger, attempts=1)
    before = (stack.pid_of("worker"), stack.pid_of("beat"))
    patient.push(repository, random_image(), "before")
    with closing(redis.Redis(unix_socket_path=str(stack.data_dir / "run" / "valkey.sock"))) as broker:
        broker.flushall()
    patient.push(repository, random_image(), "after")
    for _ in range(PULLS):
        expect(client.get_manifest(repository, "after"), 200)

    eventually(lambda: _pulls(stack, repository, "after") == PULLS, 60, pause=1)
    assert (stack.pid_of("worker"), stack.pid_of("beat")) == before
    ledger.verify(client)
    stack.assert_settled()


def _pulls(stack: HarmedStack, repository: str, tag: str) -> int:
    """Counted pulls of a tag."""
    statement = (
        "import django; django.setup()\n"
        "from django.db.models import Sum\n"
        "from haven_registry.models import PullDaily\n"
        f"rows = PullDaily.objects.filter(repository__full_name={repository!r}, tag_name={tag!r})\n"
        "print(rows.aggregate(n=Sum('pulls'))['n'] or 0)"
    )
    done = stack.command("-c", statement, extra={"DJANGO_SETTINGS_MODULE": "haven_project.settings"})
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
