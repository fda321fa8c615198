"""A setting that can't be used is refused by name, in one line, before anything starts; a good one is taken as it is."""

from datetime import timedelta
from pathlib import Path

import pytest

from haven_core.config import ConfigError, load_config

SECRET = "Canary-4711-Canary-4711-Canary-4711"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HAVEN_DATABASE_URL", "postgresql://haven:Canary-4711@db:port/haven"),
        ("HAVEN_DATABASE_URL", "postgresql://[::1/haven"),
        ("HAVEN_DATABASE_URL", "postgresql://db:5432"),
        ("HAVEN_DATABASE_URL", "postgresql://db:5432/"),
        ("HAVEN_DATABASE_URL", "sqlite://haven.sqlite3"),
        ("HAVEN_DATABASE_URL", "sqlite://data/haven.sqlite3"),
        ("HAVEN_DATABASE_URL", "sqlite://"),
        ("HAVEN_DATABASE_URL", "sqlite:///"),
        ("HAVEN_DATABASE_URL", "mysql://db/haven"),
        ("HAVEN_MAX_OPEN_UPLOADS", "0"),
        ("HAVEN_MAX_OPEN_UPLOADS", "-1"),
        ("HAVEN_MAX_OPEN_UPLOADS", "1.5"),
        ("HAVEN_MAX_OPEN_UPLOADS", "9" * 400),
        ("HAVEN_REDIS_URL", "redis://:Canary-4711@valkey:port"),
        ("HAVEN_REDIS_URL", "redis://[valkey"),
        ("HAVEN_REDIS_URL", "unix://valkey.sock"),
        ("HAVEN_REDIS_URL", "valkey:6379"),
        ("HAVEN_EXTERNAL_URL", "https://registry.example.com:port"),
        ("HAVEN_EXTERNAL_URL", "https://registry.example.com:70000"),
        ("HAVEN_EXTERNAL_URL", "https://me:Canary-4711@registry.example.com"),
        ("HAVEN_EXTERNAL_URL", "https://registry.example.com/haven"),
        ("HAVEN_EXTERNAL_URL", "https://registry.example.com#top"),
        ("HAVEN_EXTERNAL_URL", "https://"),
        ("HAVEN_EXTERNAL_URL", "https://[registry"),
        ("HAVEN_STORAGE_URL", "https://bucket.example.com"),
        ("HAVEN_STORAGE_URL", "s3://[bucket"),
        ("HAVEN_GC_GRACE_HOURS", "-1"),
        ("HAVEN_GC_GRACE_HOURS", "nan"),
        ("HAVEN_RESTORE_WINDOW_DAYS", "1e9"),
        ("HAVEN_TOKEN_MINUTES", "0.5"),
        ("HAVEN_ACCEL_REDIRECT", "2"),
        ("HAVEN_LOG_LEVEL", "TRACE"),
        ("HAVEN_SECRET_KEY", "Canary-4711"),
        ("HAVEN_CONFIGURATION", "[]"),
        ("HAVEN_CONFIGURATION", '{"no_such_key": 1}'),
        ("HAVEN_STORAGE", "/srv"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"HAVEN_DATA_DIR": str(tmp_path), variable: value})
    text = str(caught.value)
    assert text.startswith(variable)
    assert "\n" not in text
    assert "Canary" not in text
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "secret-key"])


@pytest.mark.parametrize(
    ("variable", "field", "value"),
    [
        ("HAVEN_DATABASE_URL", "database_url", "postgresql://haven:p%40ss@db/haven?sslmode=require"),
        ("HAVEN_DATABASE_URL", "database_url", "postgresql://haven@/haven?host=/run/postgresql&port=5433"),
        ("HAVEN_DATABASE_URL", "database_url", "postgres://[::1]:5432/haven"),
        ("HAVEN_DATABASE_URL", "database_url", "sqlite:///srv/haven/haven.sqlite3"),
        ("HAVEN_REDIS_URL", "redis_url", "rediss://:secret@[::1]:6380/2"),
        ("HAVEN_REDIS_URL", "redis_url", "unix:///run/valkey.sock?db=1"),
        ("HAVEN_STORAGE_URL", "storage_url", "s3://bucket/prefix?endpoint=http://127.0.0.1:8333&region=eu"),
        ("HAVEN_EXTERNAL_URL", "external_url", "https://[2001:db8::1]:8443"),
        ("HAVEN_SECRET_KEY", "secret_key", SECRET),
    ],
)
def test_a_good_value_is_taken_as_it_is(tmp_path: Path, variable: str, field: str, value: str) -> None:
    config = load_config({"HAVEN_DATA_DIR": str(tmp_path), "HAVEN_SECRET_KEY": SECRET, variable: value})
    assert getattr(config, field) == value


def test_durations_are_in_the_unit_of_their_name(tmp_path: Path) -> None:
    given = {"HAVEN_TOKEN_MINUTES": "1.5", "HAVEN_GC_GRACE_HOURS": "0", "HAVEN_RESTORE_WINDOW_DAYS": "2"}
    config = load_config({"HAVEN_DATA_DIR": str(tmp_path), "HAVEN_SECRET_KEY": SECRET, **given})
    assert config.token_lifetime == timedelta(seconds=90)
    assert config.gc_grace == timedelta(0)
    assert config.restore_window == timedelta(days=2)


def test_an_empty_variable_is_the_default(tmp_path: Path) -> None:
    config = load_config({"HAVEN_DATA_DIR": str(tmp_path), "HAVEN_SECRET_KEY": SECRET, "HAVEN_DATABASE_URL": " "})
    assert config.database_url == f"sqlite://{tmp_path}/haven.sqlite3"
