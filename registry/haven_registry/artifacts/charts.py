"""Helm charts: metadata from the config, files from the archive (helm: docs, "Use OCI-based registries")."""

import io
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

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
    try:
        unpacked = _unpack(archive)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as files:
            for member in files:
                folder, _, base = member.name.removeprefix("./").partition("/")
                if not (member.isreg() and folder and base.lower() == name):
                    continue
                if member.size > MAX_FILE_BYTES:
                    raise ValueError(f"{name} is larger than {MAX_FILE_BYTES} bytes")
                opened = files.extractfile(member)
                return None if opened is None else opened.read().decode("utf-8", "replace")
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise ValueError(f"the chart is no gzipped tar: {error}") from None
    return None


def _unpack(archive: bytes) -> bytes:
    """At most MAX_UNPACKED_BYTES, so that a bomb costs no more. Raises zlib.error, ValueError."""
    unzip = zlib.decompressobj(wbits=31)
    unpacked = unzip.decompress(archive, MAX_UNPACKED_BYTES)
    if unzip.unconsumed_tail and not unzip.eof:
        raise ValueError(f"the chart is larger than {MAX_UNPACKED_BYTES} bytes")
    return unpacked
