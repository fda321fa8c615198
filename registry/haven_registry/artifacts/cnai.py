"""AI models (modelpack: model-spec, docs/spec.md): metadata from the config, documents and file list from the layers."""

import re
from collections.abc import Iterable, Sequence
from posixpath import basename
from typing import Any

from haven_registry.artifacts.archives import find_file, unzip
from haven_registry.oci.descriptor import Descriptor

README, LICENSE, FILES = "readme.md", "license", "files"

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
"""The largest document that is shown, packed or not (Harbor)."""
MAX_FILES = 10_000
_MAX_DEPTH = 32  # folders in folders

_NAMES = {README: ("readme", "readme.md"), LICENSE: ("license", "license.txt", "license.md")}
_DOCUMENT = re.compile(r"application/vnd\.(?:cncf|cnai)\.model\.doc\.v1\.(raw|tar|tar\+gzip|tar\+zstd)", re.ASCII)
_PATHS = ("org.cncf.model.filepath", "org.cnai.model.filepath")  # as it is called now, and was


def find_document(layers: Iterable[Descriptor], addition: str) -> Descriptor | None:
    """The layer with the readme or the licence, by its path in the model; None without."""
    for layer in layers:
        if _DOCUMENT.fullmatch(layer.media_type) and path_of(layer).lower() in _NAMES[addition]:
            return layer
    return None


def read_document(layer: Descriptor, data: bytes) -> str:
    """The text of a document's layer. Bytes that are no UTF-8 become U+FFFD. Raises ValueError for what can't be opened,
    is too large, or has no file."""
    packed = _DOCUMENT.fullmatch(layer.media_type)
    form = packed[1] if packed else ""
    if form == "raw":
        return data.decode("utf-8", "replace")
    if form == "tar+zstd":
        raise ValueError("it is packed by zstd, which is not opened")
    archive = unzip(data, MAX_DOCUMENT_BYTES + 64 * 1024) if form == "tar+gzip" else data
    name = basename(path_of(layer)).lower()
    text = find_file(archive, lambda path: basename(path).lower() == name, MAX_DOCUMENT_BYTES)
    if text is None:
        raise ValueError("its archive has no such file")
    return text


def file_tree(layers: Sequence[Descriptor]) -> list[dict[str, Any]]:
    """Harbor's list of files: name, type, size in bytes, children; folders first, then by name. Of the first MAX_FILES
    layers with a path that stays inside."""
    root: dict[str, Any] = {}
    for layer in [each for each in layers if path_of(each)][:MAX_FILES]:
        path = path_of(layer)
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or len(parts) > _MAX_DEPTH:
            continue
        folders = parts if path.endswith("/") else parts[:-1]
        place: Any = root
        for part in folders:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                break  # a file of that name came first
        else:
            if folders is not parts:
                place.setdefault(parts[-1], layer.size)
    return _entries(root)


def path_of(layer: Descriptor) -> str:
    """Where the layer's file belongs in the model; '' when it does not say."""
    return next((path for name in _PATHS if (path := layer.annotations.get(name))), "")


def _entries(folder: dict[str, Any]) -> list[dict[str, Any]]:
    entries = [
        {"name": name, "type": "directory", "children": _entries(inside)}
        if isinstance(inside, dict)
        else {"name": name, "type": "file", "size": inside}
        for name, inside in folder.items()
    ]
    return sorted(entries, key=lambda entry: (entry["type"], entry["name"]))
