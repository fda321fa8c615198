"""Signatures, attestations, SBOMs, caches and models over the REST API: type, attributes, additions, accessories."""

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest

from haven_registry.artifacts import cnai
from haven_registry.artifacts.details import MAX_CONFIG_BYTES
from haven_registry.models import Manifest
from tests.api.artifacts import APP, digests, push
from tests.api.conftest import Call
from tests.support import artifacts
from tests.support.artifacts import Artifact
from tests.support.site import Site

SCRIPT = "<script>alert(1)</script>"
SLSA = "https://slsa.dev/provenance/v1"


def put(site: Site, artifact: Artifact, *tags: str) -> str:
    for blob in artifact.blobs:
        site.upload(blob)
    return site.put(artifact.payload, *tags).digest


def shown(api: Call, reference: str) -> dict[str, Any]:
    response = api("GET", f"{APP}/artifacts/{reference}", user="guest")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def addition(api: Call, reference: str, name: str) -> tuple[int, bytes, str]:
    response = api("GET", f"{APP}/artifacts/{reference}/additions/{name}", user="guest")
    if response.status_code == 200:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    return response.status_code, response.content, response.headers["Content-Type"]


def test_types_are_right_when_the_push_answers(api: Call, site: Site) -> None:
    image = push(site, "v1")
    pushed = {
        put(site, artifacts.cosign_signature(), "a"): "SIGNATURE",
        put(site, artifacts.cosign_attestation(), "b"): "ATTESTATION",
        put(site, artifacts.cosign_sbom(), "c"): "SBOM",
        put(site, artifacts.cache_image(), "d"): "CACHE",
        put(site, artifacts.model({}), "e"): "CNAI",
        put(site, artifacts.attached_sbom(None, "application/spdx+json", b"{}"), "f"): "SBOM",
        image: "IMAGE",
    }
    assert dict(Manifest.objects.values_list("digest", "kind")) == pushed
    listed = api("GET", f"{APP}/artifacts", user="guest").json()
    assert {row["digest"]: row["type"] for row in listed} == pushed
    for kind in ("SBOM", "sbom", "{SIGNATURE ATTESTATION}"):
        assert len(api("GET", f"{APP}/artifacts?q=type={kind}", user="guest").json()) == 2, kind


def test_a_caches_index_of_layers(api: Call, site: Site) -> None:
    payload, blobs = artifacts.cache_index()
    for blob in blobs:
        site.upload(blob)
    site.put(payload, "cache")
    found = shown(api, "cache")
    assert (found["type"], found["extra_attrs"], found["references"]) == ("CACHE", {"layers": 2, "size": 16}, [])


def test_buildkits_attestation_stays_in_its_index(api: Call, site: Site) -> None:
    image = push(site)
    attestation = put(site, artifacts.buildkit_attestation())
    site.put(artifacts.buildkit_index(image, attestation), "v1")
    [row] = api("GET", f"{APP}/artifacts", user="guest").json()
    assert (row["type"], [each["child_digest"] for each in row["references"]]) == ("IMAGE", [image, attestation])
    about = row["references"][1]["annotations"]
    assert about == {"vnd.docker.reference.digest": image, "vnd.docker.reference.type": "attestation-manifest"}
    child = shown(api, attestation)
    assert (child["type"], child["extra_attrs"]["format"]) == ("ATTESTATION", "in-toto")
    assert child["addition_links"] == {}
    assert addition(api, attestation, "build_history")[0] == 400


def test_accessories_of_both_schemes(api: Call, site: Site) -> None:
    image = push(site, "v1")
    by_tag = image.replace(":", "-")
    expected = {
        put(site, artifacts.cosign_signature(), f"{by_tag}.sig"): "signature.cosign",
        put(site, artifacts.cosign_attestation(), f"{by_tag}.att"): "subject.accessory",
        put(site, artifacts.cosign_sbom(), f"{by_tag}.sbom"): "subject.accessory",
        put(site, artifacts.notation_signature(image)): "signature.notation",
        put(site, artifacts.sigstore_bundle(image, "https://sigstore.dev/cosign/sign/v1")): "signature.cosign",
        put(site, artifacts.sigstore_bundle(image, SLSA)): "subject.accessory",
        put(site, artifacts.buildkit_attestation(image)): "subject.accessory",
        put(site, artifacts.attached_sbom(image, "application/vnd.cyclonedx+json", b"{}")): "subject.accessory",
        put(site, artifacts.attached_sbom(image, "application/vnd.goharbor.harbor.sbom.v1", b"{}")): "sbom.harbor",
    }
    [row] = api("GET", f"{APP}/artifacts", user="guest").json()
    assert {each["digest"]: each["type"] for each in row["accessories"]} == expected
    assert digests(api("GET", f"{APP}/artifacts/v1/accessories", user="guest")) == set(expected)
    accessories = f"{APP}/artifacts/v1/accessories"
    for q, number in (
        ("type=signature.cosign", 2), ("type={sbom.harbor signature.notation}", 2), ("type=~signature", 3), ("type=x", 0),
        (f"digest={next(iter(expected))}", 1), ("nothing=known", 9),
    ):  # fmt: skip
        response = api("GET", f"{accessories}?q={q}", user="guest")
        assert (len(response.json()), response.headers["X-Total-Count"]) == (number, str(number)), q
    assert api("GET", f"{accessories}?q=type=[a~b]", user="guest").status_code == 400
    sizes = [each["size"] for each in api("GET", f"{accessories}?sort=-size", user="guest").json()]
    assert sizes == sorted(sizes, reverse=True)
    page = api("GET", f"{accessories}?sort=type,-id&page=2&page_size=4", user="guest")
    assert ([each["type"] for each in page.json()], page.headers["X-Total-Count"]) == (
        sorted(expected.values())[4:8], "9",
    )  # fmt: skip
    assert api("GET", APP, user="guest").json()["artifact_count"] == 1
    assert api("DELETE", f"{APP}/artifacts/v1", user="owner").status_code == 200
    assert not Manifest.objects.filter(deleted_at=None).exists()


def test_a_tag_of_cosigns_hides_no_image(api: Call, site: Site) -> None:
    image = push(site, "v1")
    other = push(site, image.replace(":", "-") + ".sig", author="x")
    assert digests(api("GET", f"{APP}/artifacts", user="guest")) == {image, other}
    assert api("GET", f"{APP}/artifacts/v1/accessories", user="guest").json() == []
    assert api("DELETE", f"{APP}/artifacts/v1", user="owner").status_code == 200
    assert digests(api("GET", f"{APP}/artifacts", user="guest")) == {other}


def test_an_sbom_as_it_was_attached(api: Call, site: Site) -> None:
    document = json.dumps({"spdxVersion": "SPDX-2.3", "name": SCRIPT, "packages": [{}]}).encode()
    found = shown(api, put(site, artifacts.attached_sbom(push(site, "v1"), "application/spdx+json", document)))
    assert (found["extra_attrs"]["packages"], found["extra_attrs"]["name"]) == (1, SCRIPT)
    assert list(found["addition_links"]) == ["sbom"]
    assert addition(api, found["digest"], "sbom") == (200, document, "application/json; charset=utf-8")
    text = put(site, artifacts.cosign_sbom())
    assert addition(api, text, "sbom") == (200, b"SPDXVersion: SPDX-2.3", "text/plain; charset=utf-8")
    assert addition(api, text, "files")[0] == 400
    none = put(site, Artifact([], artifactType="application/spdx+json"))
    assert addition(api, none, "sbom")[0] == 404


def test_a_models_additions(api: Call, site: Site) -> None:
    files = {
        "README.md": ("doc.v1.raw", f"# {SCRIPT}".encode()), "LICENSE": ("doc.v1.raw", b"free"),
        "w/1.safetensors": ("weight.v1.raw", b"12345"),
    }  # fmt: skip
    put(site, artifacts.model(files), "m")
    assert set(shown(api, "m")["addition_links"]) == {"readme.md", "license", "files"}
    assert addition(api, "m", "readme.md") == (200, f"# {SCRIPT}".encode(), "text/markdown; charset=utf-8")
    assert addition(api, "m", "license") == (200, b"free", "text/plain; charset=utf-8")
    status, content, _ = addition(api, "m", "files")
    assert (status, [each["name"] for each in json.loads(content)]) == (200, ["w", "LICENSE", "README.md"])
    put(site, artifacts.model({}), "bare")
    assert [addition(api, "bare", name)[0] for name in ("readme.md", "license", "files", "sbom")] == [
        404,
        404,
        200,
        400,
    ]


HUGE = b"#" * (cnai.MAX_DOCUMENT_BYTES + 1)
BOMB = gzip.compress(bytes(cnai.MAX_DOCUMENT_BYTES * 4))


@pytest.mark.parametrize(
    ("kind", "data"), [("doc.v1.raw", HUGE), ("doc.v1.tar+gzip", BOMB), ("doc.v1.tar", b"no tar" * 99)]
)
def test_a_hostile_model_card_is_not_opened(api: Call, site: Site, kind: str, data: bytes) -> None:
    put(site, artifacts.model({"README.md": (kind, data)}), "m")
    assert addition(api, "m", "readme.md")[0] == 404
    assert shown(api, "m")["type"] == "CNAI"


@pytest.mark.parametrize("config", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"a":{}}' + b" " * MAX_CONFIG_BYTES])
def test_a_hostile_blob_fails_no_push(api: Call, site: Site, config: bytes) -> None:
    put(site, artifacts.model({}, config=config), "model")
    put(site, artifacts.attached_sbom(None, "application/spdx+json", config), "sbom")
    image = push(site, "v1")
    put(site, artifacts.notation_signature(image, config.decode("latin-1")[:1000]))
    assert [shown(api, name)["type"] for name in ("model", "sbom", "v1")] == ["CNAI", "SBOM", "IMAGE"]
    assert shown(api, "model")["extra_attrs"] == {}
    assert shown(api, "sbom")["extra_attrs"]["format"] == "SPDX"


def test_a_bundle_is_told_by_its_child(api: Call, site: Site) -> None:
    bundle = json.dumps({"name": "hello", "version": "0.1.1", "description": SCRIPT}).encode()
    described = put(site, Artifact([], config=("application/vnd.cnab.config.v1+json", bundle)))
    image = push(site)
    site.put(artifacts.cnab_index(described, image), "v1")
    site.put(artifacts.cnab_index(image, described), "odd")  # a config that is an image's is shown all the same
    [odd, row] = api("GET", f"{APP}/artifacts", user="guest").json()
    assert (row["type"], row["media_type"]) == ("CNAB", "application/vnd.cnab.manifest.v1")
    assert row["extra_attrs"] == {"name": "hello", "version": "0.1.1", "description": SCRIPT}
    assert [each["child_digest"] for each in row["references"]] == [image, described]
    assert (row["addition_links"], odd["extra_attrs"]["os"]) == ({}, "linux")
    assert addition(api, "v1", "build_history")[0] == 400
    q = "media_type=application/vnd.cnab.manifest.v1"
    assert len(api("GET", f"{APP}/artifacts?q={q}", user="guest").json()) == 2


def test_modules_however_they_are_packed(api: Call, site: Site) -> None:
    packed = shown(api, put(site, artifacts.wasm_image({"run.oci.handler": "wasm"}), "packed"))
    assert (packed["type"], packed["media_type"]) == ("WASM", "application/vnd.wasm.config.v1+json")
    assert packed["extra_attrs"]["manifest.config.mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert packed["extra_attrs"]["author"] == "me"
    assert list(packed["addition_links"]) == ["build_history"]
    status, content, _ = addition(api, "packed", "build_history")
    assert (status, json.loads(content)) == (200, [{"created_by": "COPY a.wasm /"}])
    bare = shown(api, put(site, artifacts.wasm_module(), "bare"))
    assert (bare["type"], bare["extra_attrs"]) == (
        "WASM",
        {
            "manifest.config.mediaType": "application/vnd.wasm.config.v1+json",
            "manifest.layers.mediaType": "application/vnd.wasm.content.layer.v1+wasm",
            "org.opencontainers.image.title": "a.wasm",
        },
    )
    config = b'{"os":"wasip1","architecture":"wasm","created":"2024-01-01T00:00:00Z","component":{"exports":[]}}'
    component = shown(api, put(site, Artifact([], config=("application/vnd.wasm.config.v0+json", config))))
    assert (component["type"], component["extra_attrs"]["component"]) == ("WASM", {"exports": []})


def test_a_config_that_is_said_to_be_json_is_shown(api: Call, site: Site) -> None:
    for number, (data, expected) in enumerate(((b'{"a": [1]}', {"a": [1]}), (b"no JSON", {}), (b"[1]", {}))):
        rocket = Artifact([], config=("application/vnd.acme.rocket.config.v1+json", data))
        found = shown(api, put(site, rocket, f"r{number}"))
        assert (found["type"], found["extra_attrs"]) == ("ROCKET", expected)


def test_icons(api: Call, site: Site) -> None:
    image = push(site, "v1")
    put(site, artifacts.notation_signature(image))
    put(site, artifacts.model({}), "m")
    put(site, Artifact([], config=("application/vnd.acme.rocket.config", b"{}")), "rocket")
    row = shown(api, "v1")
    found = {row["icon"], row["accessories"][0]["icon"], shown(api, "m")["icon"], shown(api, "rocket")["icon"]}
    assert len(found) == 4
    for digest in found:
        icon = api("GET", f"/icons/{digest}").json()
        assert icon["content-type"] == "image/svg+xml"
        assert "sha256:" + hashlib.sha256(base64.b64decode(icon["content"])).hexdigest() == digest
    for digest, status in (("sha256:" + "0" * 64, 404), ("x", 400), ("sha256:x", 400), ("md5:" + "0" * 32, 400)):
        assert api("GET", f"/icons/{digest}").status_code == status, digest
