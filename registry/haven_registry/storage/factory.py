"""From a storage URL to its driver."""

import pathlib
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.filesystem import FilesystemDriver
from haven_registry.storage.memory import MemoryDriver


def open_storage(url: str, *, access_key: str | None = None, secret_key: str | None = None) -> StorageDriver:
    """The driver that `url` names. Touches no storage yet: `check` does.

    - `/srv/haven` or `file:///srv/haven`: a folder
    - `s3://bucket/prefix?…`: a bucket. Options: `endpoint` (URL of a server other than Amazon's), `region`,
      `path_style` (true or false; true where `endpoint` is given), `redirect` (offer presigned URLs; false),
      `pool` (connections; 32), `connect_timeout` and `timeout` (seconds; 5 and 60)
    - `memory://`: this process's memory, for tests

    `access_key` and `secret_key` are for S3; without them the environment's chain of credentials is asked.

    Raises: ValueError, naming what is wrong and never quoting the URL, which may hold a password by mistake.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("storage URL: not a URL") from None
    if parts.scheme == "s3":
        return _open_s3(parts, access_key, secret_key)
    if access_key is not None or secret_key is not None:
        raise ValueError("storage URL: an access key and a secret key are for s3:// only")
    if parts.query or parts.fragment:
        raise ValueError("storage URL: only s3:// takes options")
    if parts.scheme in ("", "file"):
        return _open_filesystem(parts)
    if parts.scheme == "memory":
        return MemoryDriver()
    raise ValueError(f"storage URL: {parts.scheme}:// is not one of file://, s3://, memory://")


def _open_filesystem(parts: SplitResult) -> FilesystemDriver:
    if parts.netloc:
        raise ValueError("storage URL: file:// takes an absolute path (three slashes)")
    path = pathlib.Path(unquote(parts.path) if parts.scheme else parts.path)
    if not path.is_absolute():
        raise ValueError("storage URL: the folder must be an absolute path")
    return FilesystemDriver(path)


def _open_s3(parts: SplitResult, access_key: str | None, secret_key: str | None) -> StorageDriver:
    from haven_registry.storage.s3 import S3Driver  # only where S3 is used
    from haven_registry.storage.s3_bucket import S3Config

    if (access_key is None) != (secret_key is None):
        raise ValueError("storage URL: access key and secret key go together; one is missing")
    if "@" in parts.netloc:
        raise ValueError("storage URL: credentials don't belong in it")
    if not parts.netloc or ":" in parts.netloc:
        raise ValueError("storage URL: s3:// needs the name of a bucket first (a server is given by endpoint=)")
    options = _options(parts.query)
    options.setdefault("use_path_style", "endpoint_url" in options)
    prefix = unquote(parts.path).strip("/")
    return S3Driver(
        S3Config(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            access_key=access_key,
            secret_key=secret_key,
            **options,
        )
    )


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise ValueError(f"storage URL: unknown option {name}; known are {', '.join(sorted(_OPTIONS))}")
        field, parse = _OPTIONS[name]
        if field in options:
            raise ValueError(f"storage URL: {name} is given twice")
        try:
            options[field] = parse(text)
        except ValueError as error:
            raise ValueError(f"storage URL: {name} {error}") from None
    return options


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("must be a whole number above zero")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("must be a number of seconds above zero")
    return seconds


def _text(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("must be http://host or https://host, without credentials")
    return text


_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "endpoint": ("endpoint_url", _endpoint),
    "region": ("region", _text),
    "path_style": ("use_path_style", _boolean),
    "redirect": ("offers_redirect", _boolean),
    "pool": ("pool_size", _count),
    "connect_timeout": ("connect_timeout_seconds", _seconds),
    "timeout": ("read_timeout_seconds", _seconds),
}
