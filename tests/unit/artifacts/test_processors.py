"""What processors read out of signatures, statements, SBOMs, caches and models, and out of hostile ones."""

import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from haven_registry.artifacts import cnai
from haven_registry.artifacts.details import MAX_STORED_BYTES, Details
from haven_registry.artifacts.extract import extract, wanted_blob
from haven_registry.artifacts.kinds import artifact_kind
from haven_registry.oci.manifest import parse_manifest
from haven_registry.oci.strict_json import MAX_DEPTH
from tests.support import artifacts
from tests.support.artifacts import Artifact
from tests.support.documents import digest_of

IMAGE = digest_of(b"image")
SPDX_JSON, CYCLONEDX_JSON = "application/spdx+json", "application/vnd.cyclonedx+json"


def read(artifact: Artifact | bytes) -> Details:
    """As the service does it: the wanted blob, if it was pushed."""
    payload = artifact if isinstance(artifact, bytes) else artifact.payload
    parsed = parse_manifest(payload, None)
    kind = artifact_kind(parsed)
    wanted = wanted_blob(kind, parsed)
    blobs = {} if isinstance(artifact, bytes) else {digest_of(blob): blob for blob in artifact.blobs}
    return extract(kind, parsed, None if wanted is None else blobs[str(wanted.digest)])


def sbom(document: Any, media_type: str = SPDX_JSON) -> dict[str, Any]:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    found = dict(read(artifacts.attached_sbom(IMAGE, media_type, data)).extra)
    return {key: found[key] for key in ("format", "version", "name", "created", "packages") if key in found}


def test_signatures() -> None:
    cosign = read(artifacts.cosign_signature()).extra
    assert (cosign["format"], cosign["number"]) == ("cosign", 1)
    assert cosign["layers"][0]["has_certificate"]
    assert not cosign["layers"][0]["has_log_entry"]
    notation = read(artifacts.notation_signature(IMAGE)).extra
    assert (notation["format"], notation["certificates"]) == ("notation", ["ab12"])
    bundle = read(artifacts.sigstore_bundle(IMAGE, "https://sigstore.dev/cosign/sign/v1"))
    assert (bundle.extra["format"], bundle.created) == ("sigstore-bundle", "2025-01-24T20:47:58Z")


@pytest.mark.parametrize("thumbprints", ["", "x", "{}", "[1, {}]", "[" * 4000, "null", "[" + "1," * 9000 + "1]"])
def test_wrong_thumbprints_are_none(thumbprints: str) -> None:
    assert read(artifacts.notation_signature(IMAGE, thumbprints)).extra["certificates"] == []


def test_attestations_name_what_they_state() -> None:
    def predicates(artifact: Artifact) -> tuple[str, list[str]]:
        extra = read(artifact).extra
        return extra["format"], [each["predicate_type"] for each in extra["layers"]]

    buildkit = ("in-toto", ["https://slsa.dev/provenance/v0.2", "https://spdx.dev/Document"])
    assert predicates(artifacts.buildkit_attestation()) == buildkit
    assert predicates(artifacts.buildkit_attestation(IMAGE)) == buildkit
    assert predicates(artifacts.cosign_attestation()) == ("dsse", ["https://slsa.dev/provenance/v1"])
    assert predicates(artifacts.sigstore_bundle(IMAGE, "x:y")) == ("sigstore-bundle", ["x:y"])
    children = read(artifacts.buildkit_index(IMAGE, IMAGE)).children
    assert children[1]["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"


def test_sboms_of_each_format() -> None:
    spdx = {"spdxVersion": "SPDX-2.3", "name": "app", "creationInfo": {"created": "2024"}, "packages": [{}, {}]}
    expected = {"format": "SPDX", "version": "SPDX-2.3", "name": "app", "created": "2024", "packages": 2}
    assert sbom(spdx) == expected
    assert sbom(spdx, "application/vnd.goharbor.harbor.sbom.v1") == expected
    cyclonedx = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{}],
        "metadata": {"timestamp": "2023", "component": {"name": "app"}},
    }  # fmt: skip
    assert sbom(cyclonedx, CYCLONEDX_JSON) == {
        "format": "CycloneDX", "version": "1.5", "name": "app", "created": "2023", "packages": 1,
    }  # fmt: skip
    syft = {"artifacts": [{}], "schema": {"version": "16"}, "source": {"name": "app"}}
    assert sbom(syft, "application/vnd.syft+json")["packages"] == 1
    assert read(artifacts.cosign_sbom()).extra["format"] == "SPDX"


@pytest.mark.parametrize(
    "document",
    [
        {}, {"spdxVersion": 1}, {"spdxVersion": "x", "name": [], "creationInfo": 3, "packages": "y"},
        {"bomFormat": "CycloneDX", "metadata": [], "components": {}}, {"artifacts": [], "schema": 1, "source": []},
        b"", b"[]", b"\xff", b"[" * 100_000, b'{"a":' * (MAX_DEPTH + 1), b'{"spdxVersion":"\\u0000<script>"}',
    ],
)  # fmt: skip
def test_a_hostile_sbom_is_still_one(document: Any) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    details = read(artifacts.attached_sbom(IMAGE, SPDX_JSON, data))
    assert details.extra["digest"] == digest_of(data)
    assert bool(details.error) is (data[:1] != b"{" or len(data) > MAX_DEPTH * 4)
    assert "\0" not in json.dumps(details.extra, ensure_ascii=False)


def test_sboms_with_no_or_many_layers() -> None:
    for layers in ([], [(SPDX_JSON, b"{}"), (SPDX_JSON, b"{ }")]):
        assert read(Artifact(layers, artifactType=SPDX_JSON)).extra == {"format": "SPDX"}


def test_caches_say_their_size() -> None:
    assert read(artifacts.cache_image()).extra == {"layers": 2, "size": 16}
    assert read(artifacts.cache_index()[0]).extra == {"layers": 2, "size": 16}


def test_many_signatures_are_not_all_shown() -> None:
    layers = [("application/vnd.dev.cosign.simplesigning.v1+json", str(number).encode()) for number in range(3000)]
    extra = read(Artifact(layers, config=("application/vnd.oci.image.config.v1+json", b"{}"))).extra
    assert (extra["number"], len(extra["layers"])) == (3000, 100)
    huge = "x" * MAX_STORED_BYTES
    details = read(artifacts.sigstore_bundle(IMAGE, huge))
    assert (len(details.extra["layers"][0]["predicate_type"]), details.annotations) == (4096, {})


# ---------------------------------------------------------------- models


def tar(mode: str = "w:", **files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def document(kind: str, data: bytes, path: str = "README.md", organisation: str = "cncf") -> str | None:
    artifact = artifacts.model({"weights.bin": ("weight.v1.raw", b"w"), path: (kind, data)}, organisation=organisation)
    layer = cnai.find_document(parse_manifest(artifact.payload, None).layers, cnai.README)
    return None if layer is None else cnai.read_document(layer, data)


def test_a_models_config_is_shown_whole() -> None:
    details = read(artifacts.model({}))
    assert details.extra["descriptor"] == {"name": "tiny"}
    assert read(artifacts.model({}, config=b"[" * 1000)).error.startswith("the config can't be read")


def test_a_model_card_however_it_is_packed() -> None:
    for kind, data in (
        ("doc.v1.raw", b"# Hi \xff"), ("doc.v1.tar", tar(**{"README.md": b"# Hi \xff"})),
        ("doc.v1.tar+gzip", tar("w:gz", **{"x": b"no", "./readme.md": b"# Hi \xff"})),
    ):  # fmt: skip
        assert document(kind, data) == "# Hi \ufffd", kind
        assert document(kind, data, organisation="cnai") == "# Hi \ufffd", kind
    assert document("weight.v1.raw", b"# Hi") is None
    assert document("doc.v1.raw", b"# Hi", path="docs/README.md") is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("doc.v1.tar", b""), ("doc.v1.tar", b"x" * 2000), ("doc.v1.tar+gzip", b"x"), ("doc.v1.tar+zstd", b"x"),
        ("doc.v1.tar", tar(other=b"x")), ("doc.v1.tar+gzip", gzip.compress(bytes(cnai.MAX_DOCUMENT_BYTES * 4))),
        ("doc.v1.tar", tar(**{"README.md": b"x" * 2000})[:1000]),
        ("doc.v1.tar", tar(**{"README.md": bytes(cnai.MAX_DOCUMENT_BYTES + 1)})),
    ],
)  # fmt: skip
def test_a_model_card_that_can_not_be_opened(kind: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it |its |the file"):
        document(kind, data)


def test_a_models_files() -> None:
    paths = (
        "a/b/w.bin", "a/x", "readme", "/rooted", "./a//y", "../out", "a/../../out", "empty/", "a/x/below", "a/b",
        "deep/" * 40 + "x", "<script>",
    )  # fmt: skip
    layers = artifacts.model({path: ("weight.v1.raw", path.encode()) for path in paths})
    assert cnai.file_tree(parse_manifest(layers.payload, None).layers) == [
        {"name": "a", "type": "directory", "children": [
            {"name": "b", "type": "directory", "children": [{"name": "w.bin", "type": "file", "size": 9}]},
            {"name": "x", "type": "file", "size": 3}, {"name": "y", "type": "file", "size": 6},
        ]},
        {"name": "empty", "type": "directory", "children": []},
        {"name": "<script>", "type": "file", "size": 8}, {"name": "readme", "type": "file", "size": 6},
        {"name": "rooted", "type": "file", "size": 7},
    ]  # fmt: skip
