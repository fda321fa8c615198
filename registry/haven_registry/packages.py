"""What is installed in artifacts, by the SBOMs attached to them. Reads only."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from haven_registry.accessories import list_accessories_of
from haven_registry.artifact_list import ManifestRow
from haven_registry.artifacts import kinds
from haven_registry.artifacts.details import Details
from haven_registry.artifacts.packages import Package, read_packages
from haven_registry.artifacts.sboms import MAX_SBOM_BYTES
from haven_registry.models import ManifestBlob
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.errors import StorageError

_CONSIDERED = 50  # accessories of one artifact, the newest
_TRIED = 3  # documents of one artifact that are opened, until one can be read

# what cosign attest and syft attest call a statement that is an SBOM (in-toto: spec/predicates), any version
_STATED = ("https://spdx.dev/Document", "https://cyclonedx.org/bom", "https://syft.dev/bom")
_ABOUT = "vnd.docker.reference.digest"  # BuildKit: docs/attestations/attestation-storage.md


class Place(NamedTuple):
    """An artifact whose packages are asked for. top: the index it was asked for by, or itself. beside: what the index has
    about it, see digests_beside."""

    image: ManifestRow
    top: ManifestRow
    beside: Sequence[ManifestRow] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """sbom: the digest of the manifest with the list; '' for an artifact without. packages: versions of each. problem: why
    the list can't be read, '' when it was."""

    sbom: str = ""
    packages: Mapping[Package, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a list, and it was read."""
        return bool(self.sbom) and not self.problem


class Attached(NamedTuple):
    """A manifest that may be, or hold, an SBOM."""

    id: int
    digest: str
    kind: str


class _Document(NamedTuple):
    """The layer of a manifest that should be an SBOM."""

    manifest_id: int
    sbom: str
    layer: str


class _Blob(NamedTuple):
    storage_key: str
    size: int


def find_attached(places: Sequence[Place]) -> list[list[list[Attached]]]:
    """What may say what each artifact has: in groups, the nearest first. One statement."""
    accessories = _accessories(places)
    return [list(_groups(place, accessories)) for place in places]


def ids_of(attached: Sequence[Sequence[Sequence[Attached]]]) -> set[int]:
    """Whose details read_contents needs."""
    return {each.id for groups in attached for group in groups for each in group}


def read_contents(
    attached: Sequence[Sequence[Sequence[Attached]]], details: Mapping[int, Details], driver: StorageDriver
) -> list[Contents]:
    """What each artifact's newest SBOM says that can be read: one attached to it, one that BuildKit put beside it in its
    index, or one attached to that; by a statement where there is no document.

    attached: of find_attached, for each artifact. details: of all those. Never raises for what was pushed. No SQL
    statement where there is no SBOM, else one.
    """
    documents = [list(islice(_documents(groups, details), _TRIED)) for groups in attached]
    blobs = _blobs({each.manifest_id for each in chain.from_iterable(documents)})
    return [_first_readable(each, blobs, driver) for each in documents]


def digests_beside(digest: str, children: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of an index's children, as Details has them: those that are about the image of this digest (BuildKit)."""
    about = (child for child in children if child.get("annotations", {}).get(_ABOUT) == digest)
    return [str(child["child_digest"]) for child in islice(about, _CONSIDERED)]


def _accessories(places: Sequence[Place]) -> dict[int, list[Attached]]:
    """By the subject's id, the newest first."""
    rows = [row for place in places for row in (place.image, place.top)]
    return {
        row_id: [
            Attached(view.id, view.digest, view.artifact_kind)
            for view in sorted(views, key=lambda view: view.id, reverse=True)[:_CONSIDERED]
        ]
        for row_id, views in list_accessories_of({(row.repository_id, row.digest): row.id for row in rows}).items()
    }


def _groups(place: Place, accessories: Mapping[int, list[Attached]]) -> Iterator[list[Attached]]:
    """What is attached to the artifact, beside it, attached to its index."""
    yield accessories.get(place.image.id, [])
    yield [Attached(row.id, row.digest, row.kind) for row in place.beside]
    if place.top.id != place.image.id:
        yield accessories.get(place.top.id, [])


def _documents(groups: Sequence[Sequence[Attached]], details: Mapping[int, Details]) -> Iterator[_Document]:
    for group in groups:
        for wanted in (kinds.SBOM, kinds.ATTESTATION):
            for each in group:
                if each.kind == wanted:
                    for layer in _layers(each.kind, details.get(each.id, Details())):
                        yield _Document(each.id, each.digest, layer)


def _layers(kind: str, details: Details) -> Iterator[str]:
    if kind == kinds.SBOM:
        if digest := details.extra.get("digest"):
            yield str(digest)
        return
    for layer in details.extra.get("layers", ()):
        if str(layer.get("predicate_type", "")).startswith(_STATED):
            yield str(layer["digest"])


def _blobs(manifest_ids: Collection[int]) -> dict[tuple[int, str], _Blob]:
    """The layers of manifests by id and digest. One statement, or none."""
    if not manifest_ids:
        return {}
    blob = "repository_blob__project_blob__blob__"
    named = ManifestBlob.objects.filter(manifest_id__in=manifest_ids, role=ManifestBlob.LAYER)
    rows = named.values_list("manifest_id", f"{blob}digest", f"{blob}object__storage_key", f"{blob}size")
    return {(manifest_id, digest): _Blob(key, size) for manifest_id, digest, key, size in rows}


def _first_readable(
    documents: Sequence[_Document], blobs: Mapping[tuple[int, str], _Blob], driver: StorageDriver
) -> Contents:
    refused: Contents | None = None
    for each in documents:
        try:
            return Contents(each.sbom, read_packages(_read(blobs.get((each.manifest_id, each.layer)), driver)))
        except ValueError as error:
            refused = refused or Contents(each.sbom, problem=f"the SBOM can't be read: {error}"[:1000])
        except StorageError:
            refused = refused or Contents(each.sbom, problem="the SBOM can't be read now")
    return refused or Contents()


def _read(blob: _Blob | None, driver: StorageDriver) -> bytes:
    """Raises ValueError, StorageError."""
    if blob is None:
        raise ValueError("its layer is not here")
    if blob.size > MAX_SBOM_BYTES:
        raise ValueError(f"it is larger than {MAX_SBOM_BYTES // 1024**2} MiB")
    return b"".join(driver.read(blob.storage_key))
