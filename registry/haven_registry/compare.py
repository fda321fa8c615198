"""How one artifact differs from another. Reads only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from haven_registry.artifact_list import ROW_COLUMNS, ManifestRow
from haven_registry.artifacts.details import Details
from haven_registry.errors import ManifestUnknown
from haven_registry.models import Manifest
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.manifest import parse_manifest
from haven_registry.oci.media_types import INDEX_TYPES
from haven_registry.packages import Contents, Place, digests_beside, find_attached, ids_of, read_contents
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


class _Choice(NamedTuple):
    """What is compared of two artifacts. digests, beside: of the image on each side, and of what its index has about it."""

    platform: str
    platforms: Sequence[str]
    digests: Sequence[str]
    beside: Sequence[Sequence[str]]


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
    have. Three statements, when all is explained already, one more for indexes, and one for SBOMs. Raises
    ManifestUnknown."""
    choice = _choose(before, after, platform, driver)
    found = _load(before.repository_id, {*choice.digests, *chain.from_iterable(choice.beside)})
    if not found.keys() >= set(choice.digests):
        raise ManifestUnknown  # deleted meanwhile
    places = [
        Place(found[digest][0], top, [found[each][0] for each in about if each in found])
        for top, digest, about in zip((before, after), choice.digests, choice.beside, strict=True)
    ]
    attached = find_attached(places)
    details = load_details({place.image.id for place in places} | ids_of(attached), driver)
    old, new = (details.get(place.image.id, Details()) for place in places)
    old_config, new_config = _config_of(old), _config_of(new)
    old_values = {name: old.extra.get(name) for name in _FIELDS} | {name: old_config.get(name) for name in _CONFIG}
    new_values = {name: new.extra.get(name) for name in _FIELDS} | {name: new_config.get(name) for name in _CONFIG}
    return Comparison(
        before=before.digest,
        after=after.digest,
        platform=choice.platform,
        platforms=choice.platforms,
        parts=_parts(*(_descriptors(*found[digest]) for digest in choice.digests)),
        config=[value for value in _values(old_values, new_values) if value.state != SAME],
        env=_values(_env(old_config), _env(new_config)),
        labels=_values(_mapping(old_config.get("Labels")), _mapping(new_config.get("Labels"))),
        annotations=_values(old.annotations, new.annotations),
        packages=_packages(*read_contents(attached, details, driver)),
    )


def _choose(before: ManifestRow, after: ManifestRow, platform: str, driver: StorageDriver) -> _Choice:
    whole = _Choice("", (), (before.digest, after.digest), ((), ()))
    if not INDEX_TYPES & {before.media_type, after.media_type}:
        return whole
    found = load_details([before.id, after.id], driver)
    old, new = found.get(before.id, Details()), found.get(after.id, Details())
    of_old, of_new = _platforms(before, old), _platforms(after, new)
    common = [name for name in of_new if name in of_old]
    if not common:
        return whole
    chosen = platform if platform in common else common[0]
    digests = (of_old[chosen], of_new[chosen])
    beside = [digests_beside(digest, side.children) for digest, side in zip(digests, (old, new), strict=True)]
    return _Choice(chosen, common, digests, beside)


def _load(repository_id: int, digests: Collection[str]) -> dict[str, tuple[ManifestRow, bytes]]:
    """Live manifests by digest, with their payloads. One statement."""
    manifests = Manifest.objects.filter(repository_id=repository_id, digest__in=digests, deleted_at=None)
    found = ((ManifestRow(*row), bytes(payload)) for *row, payload in manifests.values_list(*ROW_COLUMNS, "payload"))
    return {each[0].digest: each for each in found}


def _platforms(row: ManifestRow, details: Details) -> dict[str, str]:
    """The digest of the image for each platform: an index's children that run somewhere, or the image itself."""
    if not details.children:
        return {details.platform: row.digest} if details.platform else {}
    named = {platform_of(child): child["child_digest"] for child in reversed(details.children)}  # the first counts
    return {name: named[name] for name in platforms_of("", details.children)}


def _descriptors(row: ManifestRow, payload: bytes) -> Sequence[Descriptor]:
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


def _packages(old: Contents, new: Contents) -> PackageComparison:
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
