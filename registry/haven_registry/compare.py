"""How one artifact differs from another. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haven_registry import selectors
from haven_registry.artifact_list import ManifestRow
from haven_registry.artifacts.details import Details
from haven_registry.errors import ManifestUnknown
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.manifest import parse_manifest
from haven_registry.services.details import load_details
from haven_registry.storage.driver import StorageDriver

SAME, ADDED, REMOVED, CHANGED = "same", "added", "removed", "changed"

_FIELDS = ("architecture", "os", "variant", "created", "author")
_CONFIG = ("Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "ExposedPorts", "Volumes")


@dataclass(frozen=True, slots=True)
class Part:
    """A layer, or a manifest that an index names. size in bytes, of an index's children that of their manifest."""

    state: str
    digest: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Value:
    """Something that is set in either; None where it is not. Text and JSON by strangers."""

    state: str
    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """From `before` to `after`. parts: in the order of `after`, then what is removed. config: what differs in how it runs
    and for what; env and labels: every variable and label."""

    before: str
    after: str
    parts: Sequence[Part]
    config: Sequence[Value]
    env: Sequence[Value]
    labels: Sequence[Value]
    annotations: Sequence[Value]

    def bytes_of(self, state: str) -> int:
        """Bytes of all parts in that state."""
        return sum(part.size for part in self.parts if part.state == state)


def compare_artifacts(before: ManifestRow, after: ManifestRow, driver: StorageDriver) -> Comparison:
    """Of two live artifacts. Three statements, when both are explained already. Raises ManifestUnknown."""
    found = load_details([before.id, after.id], driver)
    old, new = found.get(before.id, Details()), found.get(after.id, Details())
    old_config, new_config = _config_of(old), _config_of(new)
    old_values = {name: old.extra.get(name) for name in _FIELDS} | {name: old_config.get(name) for name in _CONFIG}
    new_values = {name: new.extra.get(name) for name in _FIELDS} | {name: new_config.get(name) for name in _CONFIG}
    return Comparison(
        before=before.digest,
        after=after.digest,
        parts=_parts(_descriptors(before), _descriptors(after)),
        config=[value for value in _values(old_values, new_values) if value.state != SAME],
        env=_values(_env(old_config), _env(new_config)),
        labels=_values(_mapping(old_config.get("Labels")), _mapping(new_config.get("Labels"))),
        annotations=_values(old.annotations, new.annotations),
    )


def _descriptors(row: ManifestRow) -> Sequence[Descriptor]:
    payload = selectors.load_payload(row.id)
    if payload is None:
        raise ManifestUnknown
    parsed = parse_manifest(payload, row.media_type)
    return parsed.layers or parsed.child_manifests


def _parts(before: Sequence[Descriptor], after: Sequence[Descriptor]) -> list[Part]:
    """Each digest once: an image may have one layer at several positions."""
    old, new = ({str(each.digest): each for each in side} for side in (before, after))
    shown = [(SAME if digest in old else ADDED, digest, each) for digest, each in new.items()]
    shown += [(REMOVED, digest, each) for digest, each in old.items() if digest not in new]
    return [Part(state, digest, each.media_type, each.size) for state, digest, each in shown]


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Value]:
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        state = SAME if old == new else ADDED if old is None else REMOVED if new is None else CHANGED
        found.append(Value(state, name, old, new))
    return found


def _config_of(details: Details) -> Mapping[str, Any]:
    return _mapping(details.extra.get("config"))


def _mapping(value: Any) -> Mapping[str, Any]:
    """Strangers may write anything there."""
    return value if isinstance(value, dict) else {}


def _env(config: Mapping[str, Any]) -> dict[str, str]:
    lines = config.get("Env")
    pairs = (line.partition("=") for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()
    return {name: value for name, _, value in pairs}
