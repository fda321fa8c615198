"""What else an artifact has to say: its build history, files of a chart or a model, an SBOM, its layers and who shares
them. Reads only."""

import json
from dataclasses import dataclass

from django.db.models import Count

from haven_core.errors import BadRequest, NotFound
from haven_registry import selectors
from haven_registry.artifact_list import ManifestRow
from haven_registry.artifacts import cnai, kinds
from haven_registry.artifacts.charts import README, VALUES, chart_dependencies, chart_file
from haven_registry.artifacts.details import Details
from haven_registry.artifacts.sboms import MAX_SBOM_BYTES, SBOM_ADDITION, find_sbom, is_json
from haven_registry.insight import live_uses
from haven_registry.models import ManifestBlob
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.manifest import ParsedManifest, parse_manifest
from haven_registry.oci.media_types import HELM_CHART, INDEX_TYPES
from haven_registry.services.details import load_details
from haven_registry.storage.driver import StorageDriver

MAX_CHART_BYTES = 16 * 1024 * 1024
"""The largest chart that is opened."""

HISTORY, DEPENDENCIES = "build_history", "dependencies"
BY_KIND = {
    kinds.IMAGE: (HISTORY,),
    kinds.CHART: (VALUES, README, DEPENDENCIES),
    kinds.CNAI: (cnai.README, cnai.LICENSE, cnai.FILES),
    kinds.SBOM: (SBOM_ADDITION,),
    kinds.WASM: (HISTORY,),
}
"""Additions of each type of artifact; an index has none."""

JSON, MARKDOWN, PLAIN = ("application/json; charset=utf-8", "text/markdown; charset=utf-8", "text/plain; charset=utf-8")
_HARBORS = ("created", "created_by", "author", "comment", "empty_layer")


@dataclass(frozen=True, slots=True)
class LayerView:
    """A layer by position. command: what made it, '' when unknown. shared_by: live manifests of the project that have
    it, this one included; 0 when its bytes lie elsewhere. size in bytes."""

    digest: str
    media_type: str
    size: int
    command: str
    created: str
    shared_by: int


def additions_of(row: ManifestRow) -> tuple[str, ...]:
    """Names of the additions there may be."""
    return () if row.media_type in INDEX_TYPES else BY_KIND.get(row.kind, ())


def load_addition(repository_id: int, row: ManifestRow, name: str, driver: StorageDriver) -> tuple[str, str]:
    """An addition and its content type. Raises BadRequest for a type that has none of that name, NotFound for an
    artifact that lacks it, StorageError."""
    if name not in additions_of(row):
        raise BadRequest(f"addition {name} isn't supported for {row.kind}")
    if row.kind == kinds.CNAI:
        return _model_part(repository_id, row, name, driver)
    if row.kind == kinds.SBOM:
        return _sbom(repository_id, row, driver)
    if name in (README, VALUES):
        return _chart_file(repository_id, row, name, driver), MARKDOWN if name == README else PLAIN
    details = _details(row, driver)
    if name == DEPENDENCIES:
        return json.dumps(chart_dependencies(details.extra)), JSON
    steps = [{key: step[key] for key in _HARBORS if key in step} for step in details.history]
    return json.dumps(steps), JSON


def list_layers(row: ManifestRow, driver: StorageDriver) -> list[LayerView]:
    """The layers of an image, in order, with who shares them; none for an index. Four statements."""
    steps = {step["digest"]: step for step in reversed(_details(row, driver).history) if "digest" in step}
    named = ManifestBlob.objects.filter(manifest_id=row.id, role=ManifestBlob.LAYER)
    path = "repository_blob__project_blob"
    blobs = dict(named.values_list(f"{path}__blob__digest", f"{path}_id"))
    uses = live_uses().filter(**{f"{path}_id__in": blobs.values()})
    shared = dict(uses.values_list(f"{path}_id").annotate(number=Count("manifest_id", distinct=True)).order_by())
    return [
        LayerView(
            digest=str(layer.digest),
            media_type=layer.media_type,
            size=layer.size,
            command=steps.get(str(layer.digest), {}).get("created_by", ""),
            created=steps.get(str(layer.digest), {}).get("created", ""),
            shared_by=shared.get(blobs.get(str(layer.digest)), 0),
        )
        for layer in _parsed(row).layers
    ]


def _chart_file(repository_id: int, row: ManifestRow, name: str, driver: StorageDriver) -> str:
    layer = next((layer for layer in _parsed(row).layers if layer.media_type == HELM_CHART), None)
    archive = _read("chart", repository_id, layer, MAX_CHART_BYTES, driver)
    try:
        text = chart_file(archive, name)
    except ValueError as error:
        raise NotFound(f"the chart can't be opened: {error}") from None
    if text is None:
        raise NotFound(f"the chart has no {name}")
    return text


def _model_part(repository_id: int, row: ManifestRow, name: str, driver: StorageDriver) -> tuple[str, str]:
    layers = _parsed(row).layers
    if name == cnai.FILES:
        return json.dumps(cnai.file_tree(layers)), JSON
    layer = cnai.find_document(layers, name)
    data = _read(name, repository_id, layer, cnai.MAX_DOCUMENT_BYTES, driver)
    assert layer is not None  # _read refuses None
    try:
        return cnai.read_document(layer, data), MARKDOWN if name == cnai.README else PLAIN
    except ValueError as error:
        raise NotFound(f"the {name} can't be opened: {error}") from None


def _sbom(repository_id: int, row: ManifestRow, driver: StorageDriver) -> tuple[str, str]:
    layer = find_sbom(_parsed(row))
    data = _read("SBOM", repository_id, layer, MAX_SBOM_BYTES, driver)
    return data.decode("utf-8", "replace"), JSON if layer is not None and is_json(layer) else PLAIN


def _read(what: str, repository_id: int, layer: Descriptor | None, limit: int, driver: StorageDriver) -> bytes:
    """A layer of at most `limit` bytes. Raises NotFound, StorageError."""
    blob = None if layer is None else selectors.find_blob_in(repository_id, str(layer.digest))
    if blob is None:
        raise NotFound(f"the artifact has no {what}")
    if blob.size > limit:
        raise NotFound(f"the {what} is larger than {limit // 1024**2} MiB and is not opened")
    return b"".join(driver.read(blob.storage_key))


def _details(row: ManifestRow, driver: StorageDriver) -> Details:
    return load_details([row.id], driver).get(row.id, Details())


def _parsed(row: ManifestRow) -> ParsedManifest:
    payload = selectors.load_payload(row.id)
    if payload is None:
        raise NotFound("the artifact was deleted meanwhile")
    return parse_manifest(payload, row.media_type)
