"""`haven config show` shows settings and no secret in them."""

import argparse
import os
from pathlib import Path

import pytest

from haven_project.cli.care import config_show

CANARY = "Canary4711"
SECRETS = {
    "HAVEN_SECRET_KEY": f"prod:{CANARY}-{CANARY}-{CANARY}-{CANARY}",  # looks like a URL
    "HAVEN_S3_ACCESS_KEY": f"a:{CANARY}",
    "HAVEN_S3_SECRET_KEY": f"https://{CANARY}/{CANARY}",
    "HAVEN_DATABASE_URL": f"postgresql://haven:{CANARY}@db:5432/haven?password={CANARY}&sslmode=require",
    "HAVEN_REDIS_URL": f"redis://:{CANARY}@redis:6379/0",
    "HAVEN_CONFIGURATION": f'{{"oidc_client_secret": "{CANARY}"}}',
    "HAVEN_ADMIN_PASSWORD": f"A1{CANARY}",
}


def test_no_secret_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("HAVEN_")]:
        monkeypatch.delenv(name)
    for name, value in {**SECRETS, "HAVEN_DATA_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert config_show(argparse.Namespace(data=None)) == 0
    shown = capsys.readouterr().out
    assert CANARY not in shown
    lines = {line.split()[0]: line.split()[1] for line in shown.splitlines() if line.startswith("HAVEN_")}
    assert lines["HAVEN_DATABASE_URL"] == "postgresql://haven:***@db:5432/haven?password=***&sslmode=require"
    assert lines["HAVEN_REDIS_URL"] == "redis://:***@redis:6379/0"
    assert lines["HAVEN_SECRET_KEY"] == lines["HAVEN_S3_SECRET_KEY"] == lines["HAVEN_CONFIGURATION"] == "***"
    assert lines["HAVEN_DATA_DIR"] == str(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HAVEN_DATABASE_URL", "sqlite:///srv/haven/haven.sqlite3"),
        ("HAVEN_DATABASE_URL", "postgresql://haven@/haven?host=/run/postgresql"),
        ("HAVEN_REDIS_URL", "unix:///run/valkey.sock?db=1"),
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv("HAVEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(variable, value)
    assert config_show(argparse.Namespace(data=None)) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [variable, value] in lines
