"""Provisioning notes what it can't have, and does nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import provision
from tests.support.provision import Fetched, UnavailableError, keep


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(provision, "TOOLS", tmp_path)
    monkeypatch.setattr(provision, "AVAILABLE", tmp_path / "available.json")
    monkeypatch.setattr(provision, "APT_PROGRAMS", {})
    return tmp_path


def script(folder: Path, status: int = 0) -> Path:
    path = folder / "made"
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    return path


def test_failure_is_noted_and_the_rest_goes_on(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Fetched) -> None:
        raise UnavailableError("the mirror has it not")

    good = Fetched("good", "1.0", "pin 1", lambda tool: keep(script(tools), tool), ["version"])
    monkeypatch.setattr(provision, "FETCHED", (Fetched("bad", "1.0", "pin", fail), good))
    found = provision.provision()
    assert found == {
        "bad": {"unavailable": "the mirror has it not"},
        "good": {"path": str(tools / "bin" / "good"), "version": "1.0"},
    }
    assert json.loads((tools / "available.json").read_text()) == found


def test_nothing_twice_but_for_a_new_pin(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def install(tool: Fetched) -> None:
        fetched.append(tool.pin)
        keep(script(tools), tool)

    for pin in ("pin 1", "pin 1", "pin 2", "pin 2"):
        monkeypatch.setattr(provision, "FETCHED", (Fetched("tool", "1.0", pin, install),))
        provision.provision()
    assert fetched == ["pin 1", "pin 2"]


def test_program_that_does_not_run_here_is_not_kept(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Fetched("broken", "1.0", "pin", lambda tool: keep(script(tools, status=1), tool), ["version"])
    monkeypatch.setattr(provision, "FETCHED", (broken,))
    assert "unavailable" in provision.provision()["broken"]
    assert not (tools / "bin" / "broken").exists()


def test_offline_fetches_nothing(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(_: Fetched) -> None:
        raise AssertionError("fetched although offline")

    monkeypatch.setattr(provision, "FETCHED", (Fetched("tool", "1.0", "pin", install),))
    assert "offline" in provision.provision(offline=True)["tool"]["unavailable"]


def test_no_service_starts_during_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(provision, "POLICY", policy)
    with provision.no_services():
        assert policy.read_text().endswith("exit 101\n")
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()
    policy.write_text("the machine's own")
    with provision.no_services():
        assert policy.read_text() == "the machine's own"
    assert policy.exists()
