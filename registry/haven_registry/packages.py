"""What is installed in artifacts, by the SBOMs attached to them. Reads only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from haven_registry import selectors
from haven_registry.accessories import list_accessories_of
from haven_registry.artifact_list import ManifestRow
from haven_registry.artifacts import kinds
from haven_registry.artifacts.details import Details
from haven_registry.artifacts.packages import Package, read_packages
from haven_registry.artifacts.sboms import MAX_SBOM_BYTES
from haven_registry.models import Manifest
from haven_registry.services.details import load_details
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.errors import StorageError

_CONSIDERED = 50  # accessories of one artifact, the newest
_TRIED = 3  # documents of one artifact that are opened, until one can be read

# what cosign attest and syft attest call a statement that is an SBOM (in-toto: spec/predicates), any version
_STATED = ("https://spdx.dev/Document", "https://cyclonedx.org/bom", "https://syft.dev/bom")
_ABOUT = "vnd.docker.reference.digest"  # BuildKit: docs/attestations/attestation-storage.md


class Place(NamedTuple):
    """An artifact whose packages are asked for. top: the index it was asked for by, or itself; children: the index's, as
    Details has them."""

    image: ManifestRow
    top: ManifestRow
    children: Sequence[Mapping[str, Any]]


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


def find_contents(place: Place, driver: StorageDriver) -> Contents:
    """What the artifact's newest SBOM says that can be read: one attached to it, one that BuildKit put beside it in its
    index, or one attached to that; by a statement where there is no document. Never raises for what was pushed. Two
    statements where nothing is attached, else twelve at most."""
    refused: Contents | None = None
    for number, (sbom, layer) in enumerate(_documents(place, driver)):
        if number == _TRIED:
            break
        try:
            return Contents(sbom, read_packages(_read(place.image.repository_id, layer, driver)))
        except ValueError as error:
            refused = refused or Contents(sbom, problem=f"the SBOM can't be read: {error}"[:1000])
        except StorageError:
            refused = refused or Contents(sbom, problem="the SBOM can't be read now")
    return refused or Contents()


def _documents(place: Place, driver: StorageDriver) -> Iterator[tuple[str, str]]:
    """Digests of a manifest and of its layer that should be an SBOM, the best first."""
    groups = _attached(place)
    ids = [row_id for group in groups for row_id in group]
    if not ids:
        return
    rows = Manifest.objects.filter(id__in=ids, deleted_at=None, kind__in=(kinds.SBOM, kinds.ATTESTATION))
    found = {row_id: (digest, kind) for row_id, digest, kind in rows.values_list("id", "digest", "kind")}
    details = load_details(found.keys(), driver)
    for group in groups:
        for wanted in (kinds.SBOM, kinds.ATTESTATION):
            for row_id in group:
                digest, kind = found.get(row_id, ("", ""))
                if kind == wanted:
                    yield from ((digest, layer) for layer in _layers(kind, details.get(row_id, Details())))


def _attached(place: Place) -> list[list[int]]:
    """Ids of what may be about the artifact: attached to it, beside it, attached to its index; the newest first each."""
    image, top = place.image, place.top
    subjects = {(each.repository_id, each.digest): each.id for each in (image, top)}
    found = {
        row_id: sorted((view.id for view in views), reverse=True)[:_CONSIDERED]
        for row_id, views in list_accessories_of(subjects).items()
    }
    beside = [
        str(child["child_digest"])
        for child in place.children
        if child.get("annotations", {}).get(_ABOUT) == image.digest
    ][:_CONSIDERED]
    siblings: list[int] = []
    if beside:
        rows = Manifest.objects.filter(repository_id=image.repository_id, digest__in=beside, deleted_at=None)
        siblings = list(rows.order_by("-id").values_list("id", flat=True))
    return [found.get(image.id, []), siblings, found.get(top.id, []) if top.id != image.id else []]


def _layers(kind: str, details: Details) -> Iterator[str]:
    if kind == kinds.SBOM:
        if digest := details.extra.get("digest"):
            yield str(digest)
        return
    for layer in details.extra.get("layers", ()):
        if str(layer.get("predicate_type", "")).startswith(_STATED):
            yield str(layer["digest"])


def _read(repository_id: int, digest: str, driver: StorageDriver) -> bytes:
    """Raises ValueError, StorageError."""
    blob = selectors.find_blob_in(repository_id, digest)
    if blob is None:
        raise ValueError("its layer is not here")
    if blob.size > MAX_SBOM_BYTES:
        raise ValueError(f"it is larger than {MAX_SBOM_BYTES // 1024**2} MiB")
    return b"".join(driver.read(blob.storage_key))
