"""Settings: every HAVEN_* variable, its type, its default and what a wrong value is answered with.

The one place that reads the environment. A `Config` is made once, at the start of a process; Django carries it as
`settings.HAVEN` and the rooms read it from there.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from haven_core.configuration.keys import KEYS


class ConfigError(ValueError):
    """A setting has a value that can't be used; the text names the variable and says what it takes."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a Haven process.

    data_dir: the embedded stack's folder; everything it writes lies inside.
    database_url: `sqlite:///PATH` or `postgresql://user:password@host:port/name` (`?host=/run/postgresql` for a socket).
    redis_url: `redis://…`, `rediss://…` or `unix:///PATH` (`?db=N`).
    storage_url: `file:///PATH` or `s3://bucket/prefix?endpoint=…&region=…`.
    external_url: what clients call this registry, or '' to follow the request's Host.
    upload_lease: how long an uploaded, mounted or fetched blob is kept for the manifest that will name it.
    head_margin: in the last part of a lease an unreferenced blob answers 404, so that its client uploads it again.
    gc_grace: the lease that begins when a blob's last live manifest is deleted.
    restore_window: how long deleted manifests, tags and repositories can be restored; None: what the configuration key
        restore_window_days says (haven_core.configuration.selectors.restore_window).
    upload_ttl: an upload session nobody touched for this long is removed.
    max_open_uploads: upload sessions that one user or robot may have open at a time.
    read_grace: how long the bytes of a removed blob stay, so that running downloads end well.
    untagged_age: an untagged manifest is left alone by `delete_untagged` until it is this old and was not pulled for as long.
    fixed_configuration: configuration keys (haven_core.configuration) that administrators can't change.
    """

    data_dir: Path
    database_url: str
    redis_url: str
    storage_url: str
    secret_key: str = field(repr=False)
    external_url: str = ""
    s3_access_key: str = field(default="", repr=False)
    s3_secret_key: str = field(default="", repr=False)
    debug: bool = False
    log_level: str = "INFO"
    accel_redirect: bool = False
    token_lifetime: timedelta = timedelta(minutes=30)
    upload_lease: timedelta = timedelta(hours=24)
    head_margin: timedelta = timedelta(hours=2)
    gc_grace: timedelta = timedelta(hours=24)
    restore_window: timedelta | None = None
    upload_ttl: timedelta = timedelta(hours=24)
    max_open_uploads: int = 1000
    read_grace: timedelta = timedelta(hours=1)
    untagged_age: timedelta = timedelta(hours=24)
    fixed_configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def broker_url(self) -> str:
        """redis_url as Celery spells it: a Unix socket is redis+socket://."""
        url = self.redis_url
        return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url

    @property
    def fixed_keys(self) -> Mapping[str, Any]:
        """Configuration keys that the environment fixes, and their values: fixed_configuration, and the key whose variable
        is set. Begun days of a restore window are counted."""
        if self.restore_window is None:
            return self.fixed_configuration
        days = -(-self.restore_window // timedelta(days=1))
        return {**self.fixed_configuration, "restore_window_days": days}


@dataclass(frozen=True)
class Variable:
    """One environment variable: the field it fills and the text `haven config show` prints for it."""

    name: str
    field: str
    meaning: str
    secret: bool = False


VARIABLES = (
    Variable("HAVEN_DATA_DIR", "data_dir", "folder of the embedded stack"),
    Variable(
        "HAVEN_DATABASE_URL", "database_url", "sqlite:///PATH or postgresql://user:password@host:port/name", secret=True
    ),
    Variable("HAVEN_REDIS_URL", "redis_url", "redis://…, rediss://… or unix:///PATH", secret=True),
    Variable("HAVEN_STORAGE_URL", "storage_url", "file:///PATH or s3://bucket/prefix?endpoint=…&region=…"),
    Variable(
        "HAVEN_S3_ACCESS_KEY", "s3_access_key", "S3 access key; without it boto3's own sources are used", secret=True
    ),
    Variable("HAVEN_S3_SECRET_KEY", "s3_secret_key", "S3 secret key", secret=True),
    Variable(
        "HAVEN_EXTERNAL_URL", "external_url", "what clients call this registry, such as https://registry.example.com"
    ),
    Variable(
        "HAVEN_SECRET_KEY",
        "secret_key",
        "at least 32 characters; encrypts secrets at rest and signs sessions",
        secret=True,
    ),
    Variable("HAVEN_DEBUG", "debug", "true or false; never true in production"),
    Variable("HAVEN_LOG_LEVEL", "log_level", "DEBUG, INFO, WARNING or ERROR"),
    Variable("HAVEN_ACCEL_REDIRECT", "accel_redirect", "true when nginx is in front and sends the blobs' files itself"),
    Variable("HAVEN_TOKEN_MINUTES", "token_lifetime", "lifetime of registry tokens, at least 1"),
    Variable("HAVEN_UPLOAD_LEASE_HOURS", "upload_lease", "how long an uploaded blob waits for its manifest"),
    Variable("HAVEN_HEAD_MARGIN_HOURS", "head_margin", "last part of that lease in which the blob answers 404"),
    Variable("HAVEN_GC_GRACE_HOURS", "gc_grace", "how long a deleted manifest's blobs may still be named"),
    Variable(
        "HAVEN_RESTORE_WINDOW_DAYS",
        "restore_window",
        "how long deleted things can be restored, 0 turns it off; unset, the configuration key restore_window_days rules",
    ),
    Variable("HAVEN_UPLOAD_TTL_HOURS", "upload_ttl", "an upload untouched for this long is removed"),
    Variable(
        "HAVEN_MAX_OPEN_UPLOADS", "max_open_uploads", "upload sessions that one user or robot may have open, at least 1"
    ),
    Variable("HAVEN_READ_GRACE_HOURS", "read_grace", "how long bytes outlive their blob for running downloads"),
    Variable(
        "HAVEN_UNTAGGED_AGE_HOURS",
        "untagged_age",
        "how long untagged manifests are left alone after they were pushed, and after they were pulled",
    ),
    Variable(
        "HAVEN_CONFIGURATION",
        "fixed_configuration",
        "JSON object of configuration keys and values that nobody can change while Haven runs",
        secret=True,
    ),
)

_KNOWN_ELSEWHERE = {"HAVEN_ADMIN_PASSWORD", "HAVEN_LISTEN", "HAVEN_TEST_REQUIRE_ALL", "HAVEN_PYTHON"}
_UNITS = {"MINUTES": "minutes", "HOURS": "hours", "DAYS": "days"}
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_MINIMUM_KEY_LENGTH = 32


def load_config(environ: Mapping[str, str] = os.environ) -> Config:
    """The settings in `environ` over the embedded defaults. Raises ConfigError; writes DATA/secret-key at first use."""
    known = {variable.name for variable in VARIABLES} | _KNOWN_ELSEWHERE
    if unknown := sorted(name for name in environ if name.startswith("HAVEN_") and name not in known):
        raise ConfigError(f"{unknown[0]} is no setting of Haven; `haven config show` lists them all")
    data_dir = Path(environ.get("HAVEN_DATA_DIR") or "data").absolute()
    values: dict[str, object] = {
        "data_dir": data_dir,
        "database_url": f"sqlite://{data_dir}/haven.sqlite3",
        "redis_url": f"unix://{data_dir}/run/valkey.sock",
        "storage_url": f"file://{data_dir}/storage",
    }
    for variable in VARIABLES[1:]:
        if text := environ.get(variable.name, "").strip():
            values[variable.field] = _parse(variable.name, text)
    if "secret_key" not in values:
        values["secret_key"] = _embedded_secret_key(data_dir)
    config = Config(**values)  # type: ignore[arg-type]  # _parse gives each field its type
    if config.token_lifetime < timedelta(minutes=1):
        raise ConfigError("HAVEN_TOKEN_MINUTES must be at least 1: clients take every token for a minute's worth")
    return config


def _parse(name: str, text: str) -> object:
    if name in _PARSERS:
        return _PARSERS[name](name, text)
    unit = _UNITS.get(name.rpartition("_")[2])
    return _duration(name, text, unit) if unit else text


def _duration(name: str, text: str, unit: str) -> timedelta:
    try:
        number = float(text)
        if number < 0 or number != number or number > 3_650_000:
            raise ValueError
        return timedelta(**{unit: number})
    except ValueError:
        raise ConfigError(f"{name} takes a number of {unit}, 0 or more, not {text!r}") from None


def _boolean(name: str, text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ConfigError(f"{name} takes true or false, not {text!r}")


def _count(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= 1_000_000_000:
        raise ConfigError(f"{name} takes a whole number, 1 or more, not {text!r}")
    return int(text)


def _url_parts(name: str, text: str, *schemes: str) -> SplitResult:
    """The URL taken apart, its port checked. The value is never quoted: it may hold a password."""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ConfigError(f"{name} is no URL") from None
    if parts.scheme not in schemes:
        raise ConfigError(f"{name} takes a URL beginning with {' or '.join(f'{s}://' for s in schemes)}")
    try:
        _ = parts.port  # only reading it tells whether it is a number
    except ValueError:
        raise ConfigError(f"{name}: the port is no number up to 65535") from None
    return parts


def _database_url(name: str, text: str) -> str:
    parts = _url_parts(name, text, "sqlite", "postgresql", "postgres")
    if parts.scheme == "sqlite" and (parts.netloc or parts.query or not parts.path.strip("/")):
        raise ConfigError(f"{name} takes an absolute path, such as sqlite:///srv/haven/haven.sqlite3 (three slashes)")
    if not parts.path.strip("/"):
        raise ConfigError(f"{name} names no database: postgresql://user:password@host:port/name")
    return text


def _redis_url(name: str, text: str) -> str:
    parts = _url_parts(name, text, "redis", "rediss", "unix")
    if parts.scheme == "unix" and (parts.netloc or not parts.path.strip("/")):
        raise ConfigError(f"{name} takes an absolute path, such as unix:///run/valkey.sock (three slashes)")
    return text


def _storage_url(name: str, text: str) -> str:
    """Its options are the storage driver's to check."""
    _url_parts(name, text, "file", "s3")
    return text


def _external_url(name: str, text: str) -> str:
    parts = _url_parts(name, text, "http", "https")
    has_more = parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None
    if not parts.hostname or has_more:
        raise ConfigError(f"{name} takes scheme and host only, such as https://registry.example.com")
    return f"{parts.scheme}://{parts.netloc}"


def _log_level(name: str, text: str) -> str:
    if text.upper() not in _LOG_LEVELS:
        raise ConfigError(f"{name} takes one of {', '.join(_LOG_LEVELS)}, not {text!r}")
    return text.upper()


def _secret_key(name: str, text: str) -> str:
    if len(text) < _MINIMUM_KEY_LENGTH:
        raise ConfigError(
            f"{name} needs at least {_MINIMUM_KEY_LENGTH} characters; `openssl rand -base64 48` makes one"
        )
    return text


def _configuration(name: str, text: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"{name} takes a JSON object") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{name} takes a JSON object")
    if unknown := sorted(values.keys() - KEYS.keys()):
        raise ConfigError(f"{name}: there is no key {unknown[0]}")
    if problems := [text for key, value in values.items() if (text := KEYS[key].problem(value))]:
        raise ConfigError(f"{name}: {problems[0]}")
    return values


_PARSERS = {
    "HAVEN_DATABASE_URL": _database_url,
    "HAVEN_REDIS_URL": _redis_url,
    "HAVEN_STORAGE_URL": _storage_url,
    "HAVEN_EXTERNAL_URL": _external_url,
    "HAVEN_SECRET_KEY": _secret_key,
    "HAVEN_DEBUG": _boolean,
    "HAVEN_ACCEL_REDIRECT": _boolean,
    "HAVEN_LOG_LEVEL": _log_level,
    "HAVEN_MAX_OPEN_UPLOADS": _count,
    "HAVEN_CONFIGURATION": _configuration,
}


def _embedded_secret_key(data_dir: Path) -> str:
    """The key of an embedded installation, made once and kept at DATA/secret-key (0600)."""
    path = data_dir / "secret-key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(f"HAVEN_SECRET_KEY is not set and {path} can't be read: {error.strerror}") from None
    key = secrets.token_urlsafe(48)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()  # another process of the same start was first
    except OSError as error:
        raise ConfigError(f"HAVEN_SECRET_KEY is not set and {path} can't be written: {error.strerror}") from None
    with os.fdopen(handle, "w") as file:
        file.write(key)
        file.flush()
        os.fsync(handle)
    return key
