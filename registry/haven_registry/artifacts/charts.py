"""Helm charts: metadata from the config, files from the archive (helm: docs, "Use OCI-based registries")."""

from collections.abc import Mapping
from typing import Any

from haven_registry.artifacts.archives import find_file, unzip
from haven_registry.artifacts.details import Details, text_of

MAX_UNPACKED_BYTES = 32 * 1024 * 1024
"""How far into an unpacked chart its files are looked for."""

MAX_FILE_BYTES = 1024 * 1024
"""The largest file of a chart that is shown."""

VALUES, README = "values.yaml", "readme.md"


def read_chart(config: Mapping[str, Any]) -> Details:
    """What a chart's config, its Chart.yaml as JSON, says. All of it is Harbor's extra_attrs."""
    return Details(extra=dict(config))


def chart_dependencies(extra: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name, version and repository of what a chart depends on."""
    listed = extra.get("dependencies")
    found = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return [{key: text_of(entry, key) for key in ("name", "version", "repository")} for entry in found]


def chart_file(archive: bytes, name: str) -> str | None:
    """The file `name` (any case) at the top of a chart's archive, a gzipped tar with one folder; None without.

    Bytes that are no UTF-8 become U+FFFD. Raises ValueError for what is no such archive, or too large.
    """

    def is_wanted(path: str) -> bool:
        folder, _, base = path.removeprefix("./").partition("/")
        return bool(folder) and base.lower() == name

    return find_file(unzip(archive, MAX_UNPACKED_BYTES), is_wanted, MAX_FILE_BYTES)
