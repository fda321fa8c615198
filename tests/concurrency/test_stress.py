"""The model under clients, collectors, kill -9 and cut connections all at once (see stress.py for what is looked for)."""

import pytest

from tests.concurrency.conftest import Stress

CHURN = ("--lease=0.15", "--grace=0", "--trash=0.2")  # everything dies at once and comes back
PROMISES = ("--lease=3", "--grace=1.5", "--trash=1.5")  # nothing may break within its window
FEWER = ("--actors=6", "--collectors=2")  # SQLite has one writer


def check(answer: dict, *, uploads: int) -> None:
    """No violation, and enough happened for that to mean something."""
    counts = answer["counts"]
    assert (answer["violations"], answer["exit_code"]) == ({}, 0), answer["details"]
    assert counts["actor.upload"] > uploads
    assert counts["killed"] > 3
    for what in ("actor.ledger_pull", "actor.delete_own", "collector.blobs", "collector.swept", "collector.manifests"):
        assert counts[what] > 0, what


@pytest.mark.parametrize(("database", "options"), [("postgresql", ()), ("sqlite", FEWER)])
def test_nothing_acknowledged_is_lost_and_nothing_is_left_over(stress: Stress, database: str, options: tuple[str, ...]):
    check(stress(database, "--seconds=20", *CHURN, *options), uploads=50)


@pytest.mark.parametrize("wanted", [2000, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_the_last_level_collects_thousands_of_blobs(stress: Stress, wanted: int):
    """What most runs collect are manifests; blobs die rarely, because others still have them. Here they do all the time."""
    answer = stress("postgresql", "--focus=spark", f"--until-blobs={wanted}", f"--seconds={wanted * 0.08}", *CHURN)
    assert (answer["violations"], answer["exit_code"]) == ({}, 0), answer["details"]
    assert answer["counts"]["collector.blobs"] >= wanted
    assert answer["counts"]["actor.spark"] > wanted / 4


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize(
    ("database", "windows", "options"),
    [
        ("postgresql", CHURN, ("--seconds=120", "--actors=10", "--collectors=4")),
        ("postgresql", PROMISES, ("--seconds=90", "--actors=10", "--collectors=4")),
        ("postgresql", ("--lease=0.05", "--grace=0", "--trash=0.05"), ("--seconds=90", "--collectors=5")),
        ("sqlite", CHURN, ("--seconds=60", *FEWER)),
        ("sqlite", PROMISES, ("--seconds=60", *FEWER)),
    ],
)
def test_the_same_for_longer(
    stress: Stress, database: str, windows: tuple[str, ...], options: tuple[str, ...], seed: int
):
    answer = stress(database, *windows, *options, f"--seed={seed}")
    assert (answer["violations"], answer["exit_code"]) == ({}, 0), answer["details"]
