"""How one artifact differs from another. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from haven_registry import selectors
from haven_registry.artifact_list import ManifestRow, find_artifact
from haven_registry.artifacts.details import Details
from haven_registry.errors import ManifestUnknown
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.manifest import parse_manifest
from haven_registry.packages import Contents, Place, find_contents
from haven_registry.services.details import load_details
from haven_registry.storage.driver import StorageDriver
from haven_registry.tag_list import platform_of, platforms_of

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
class PackageChange:
    """A package that differs, and its versions; None where it is not. type: see artifacts.packages.Package."""

    state: str
    type: str
    name: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class PackageComparison:
    """changes: by name; none while one of the two has no list that can be read. same: packages of equal versions."""

    before: Contents
    after: Contents
    changes: Sequence[PackageChange] = ()
    same: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """From `before` to `after`, digests of what was asked for.

    platform: the one whose images are compared, of `platforms`, which both have; '' where the two are compared as they
        are.
    parts: in the order of `after`, then what is removed.
    config: what differs in how it runs and for what.
    env, labels: every variable and label.
    packages: by the SBOMs that are attached.
    """

    before: str
    after: str
    platform: str
    platforms: Sequence[str]
    parts: Sequence[Part]
    config: Sequence[Value]
    env: Sequence[Value]
    labels: Sequence[Value]
    annotations: Sequence[Value]
    packages: PackageComparison

    def bytes_of(self, state: str) -> int:
        """Bytes of all parts in that state."""
        return sum(part.size for part in self.parts if part.state == state)


def compare_artifacts(
    before: ManifestRow, after: ManifestRow, driver: StorageDriver, *, platform: str = ""
) -> Comparison:
    """Of two live artifacts of one repository. Of an index the image for `platform` is taken, or for the first that both
    have. Three statements, when both are explained already, for indexes three more, and those of find_contents.
    Raises ManifestUnknown."""
    asked = (before, after)
    found = load_details([before.id, after.id], driver)
    old, new = found.get(before.id, Details()), found.get(after.id, Details())
    children = (old.children, new.children)
    of_old, of_new = _platforms(before, old), _platforms(after, new)
    common = [name for name in of_new if name in of_old] if old.children or new.children else []
    chosen = platform if platform in common else next(iter(common), "")
    if chosen:
        before = find_artifact(before.repository_id, of_old[chosen])
        after = find_artifact(after.repository_id, of_new[chosen])
        found = load_details([before.id, after.id], driver)
        old, new = found.get(before.id, Details()), found.get(after.id, Details())
    old_config, new_config = _config_of(old), _config_of(new)
    old_values = {name: old.extra.get(name) for name in _FIELDS} | {name: old_config.get(name) for name in _CONFIG}
    new_values = {name: new.extra.get(name) for name in _FIELDS} | {name: new_config.get(name) for name in _CONFIG}
    return Comparison(
        before=asked[0].digest,
        after=asked[1].digest,
        platform=chosen,
        platforms=common,
        parts=_parts(_descriptors(before), _descriptors(after)),
        config=[value for value in _values(old_values, new_values) if value.state != SAME],
        env=_values(_env(old_config), _env(new_config)),
        labels=_values(_mapping(old_config.get("Labels")), _mapping(new_config.get("Labels"))),
        annotations=_values(old.annotations, new.annotations),
        packages=_packages(Place(before, asked[0], children[0]), Place(after, asked[1], children[1]), driver),
    )


def _platforms(row: ManifestRow, details: Details) -> dict[str, str]:
    """The digest of the image for each platform: an index's children that run somewhere, or the image itself."""
    if not details.children:
        return {details.platform: row.digest} if details.platform else {}
    named = {platform_of(child): child["child_digest"] for child in reversed(details.children)}  # the first counts
    return {name: named[name] for name in platforms_of("", details.children)}


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


def _packages(before: Place, after: Place, driver: StorageDriver) -> PackageComparison:
    old = find_contents(before, driver)
    new = old if after == before else find_contents(after, driver)
    if not (old.is_known and new.is_known):
        return PackageComparison(old, new)
    changes, same = [], 0
    for package in sorted(old.packages.keys() | new.packages.keys(), key=lambda each: (each.name, each.type)):
        was, now = old.packages.get(package), new.packages.get(package)
        if was == now:
            same += 1
        else:
            state = ADDED if was is None else REMOVED if now is None else CHANGED
            changes.append(PackageChange(state, package.type, package.name, was, now))
    return PackageComparison(old, new, changes, same)


def _config_of(details: Details) -> Mapping[str, Any]:
    return _mapping(details.extra.get("config"))


def _mapping(value: Any) -> Mapping[str, Any]:
    """Strangers may write anything there."""
    return value if isinstance(value, dict) else {}


def _env(config: Mapping[str, Any]) -> dict[str, str]:
    lines = config.get("Env")
    pairs = (line.partition("=") for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()
    return {name: value for name, _, value in pairs}
