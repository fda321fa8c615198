"""The images and charts whose manifests fill a seeded registry: a few real, tiny ones, whose blobs all share.

Their bytes are written to the storage, so everything that is seeded can be pulled. They don't depend on the library that
compresses: the same seed gives the same digests everywhere.
"""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from itertools import product
from typing import Any

from haven_core.db.fields import encode_digest
from haven_registry.artifacts import kinds
from haven_registry.artifacts.extract import extract
from haven_registry.oci import media_types
from haven_registry.oci.manifest import parse_manifest

_BASES = ("alpine:3.20", "debian:12-slim", "ubuntu:24.04", "distroless/static", "ubi9/minimal")
_RUNTIMES = {
    "python": ["python", "-m", "app"], "node": ["node", "server.js"], "go": ["/app/server"],
    "java": ["java", "-jar", "/app/app.jar"], "ruby": ["bundle", "exec", "puma"], "nginx": ["nginx", "-g", "daemon off;"],
}  # fmt: skip
_PLATFORMS = (("amd64", "x86_64"), ("arm64", "aarch64"))
_CHARTS = ("service", "worker", "cron", "stateful", "gateway", "monitoring")
_CREATED = "2025-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class SeedBlob:
    """Bytes, and what they are called."""

    data: bytes
    digest: str

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class SeedManifest:
    """A manifest of a family: its bytes, its digest as the database keeps it, and its annotations as JSON."""

    payload: bytes
    digest: bytes
    annotations: str


class Family:
    """Images, or charts, with the same blobs: they differ by their annotations only."""

    def __init__(self, config_type: str, layer_type: str, config: SeedBlob, layers: tuple[SeedBlob, ...]) -> None:
        self.config_type = config_type
        self.blobs = (config, *layers)
        described = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": _descriptor(config_type, config),
            "layers": [_descriptor(layer_type, layer) for layer in layers],
        }
        self._head = json.dumps(described, separators=(",", ":"))[:-1] + ',"annotations":'
        parsed = parse_manifest(self._head.encode() + b"{}}", None)
        self.total_size = parsed.total_size
        self.kind = kinds.artifact_kind(parsed)
        details = extract(self.kind, parsed, config.data)
        self.platform, self.created, self.author = details.platform, details.created, details.author
        self.extra, self.history = json.dumps(details.extra), json.dumps(list(details.history))

    def manifest(self, version: str, revision: str) -> SeedManifest:
        """The one of this version, built from this commit."""
        annotations = (
            f'{{"org.opencontainers.image.version":"{version}","org.opencontainers.image.revision":"{revision}"}}'
        )
        payload = f"{self._head}{annotations}}}".encode()
        return SeedManifest(payload, b"\x01" + hashlib.sha256(payload).digest(), annotations)


def families() -> list[Family]:
    """Images of each runtime on each base for each platform, then charts."""
    images = [_image(base, runtime, *platform) for base, runtime, platform in product(_BASES, _RUNTIMES, _PLATFORMS)]
    return images + [_chart(name) for name in _CHARTS]


def encoded(blob: SeedBlob) -> bytes:
    """Its digest as the database keeps it."""
    return encode_digest(blob.digest)


def _image(base: str, runtime: str, architecture: str, machine: str) -> Family:
    release = f'PRETTY_NAME="{base}"\nMACHINE={machine}\n'
    layers = (
        _blob(_tar({"etc/os-release": release})),
        _blob(_tar({f"usr/lib/{runtime}/VERSION": f"{runtime} for {machine}\n"})),
        _blob(_tar({"app/README": f"An application for {runtime}.\n"})),
    )
    name, _, version = base.partition(":")
    config: dict[str, Any] = {
        "created": _CREATED, "author": "Haven's seed", "architecture": architecture, "os": "linux",
        "config": {
            "User": "65532", "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", f"RUNTIME={runtime}"],
            "Entrypoint": _RUNTIMES[runtime], "WorkingDir": "/app", "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"org.opencontainers.image.base.name": name, "base.version": version or "latest"},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [
            {"created": _CREATED, "created_by": f"ADD {name}.tar / # buildkit"},
            {"created": _CREATED, "created_by": f"RUN install {runtime}"},
            {"created": _CREATED, "created_by": "COPY . /app # buildkit"},
            {"created": _CREATED, "created_by": f"ENTRYPOINT {json.dumps(_RUNTIMES[runtime])}", "empty_layer": True},
        ],
    }  # fmt: skip
    return Family(media_types.OCI_CONFIG, media_types.OCI_LAYER, _blob(json.dumps(config).encode()), layers)


def _chart(name: str) -> Family:
    metadata = {
        "name": name, "version": "1.0.0", "appVersion": "1.0.0", "apiVersion": "v2", "type": "application",
        "description": f"A {name} on Kubernetes",
    }  # fmt: skip
    archive = _tar(
        {
            f"{name}/Chart.yaml": "".join(f"{key}: {value}\n" for key, value in metadata.items()),
            f"{name}/values.yaml": "replicas: 2\nimage:\n  tag: latest\n",
            f"{name}/README.md": f"# {name}\n\nInstall it with `helm install`.\n",
        }
    )
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 0, packed, mtime=0) as file:  # level 0: stored, whatever zlib there is
        file.write(archive)
    config = _blob(json.dumps(metadata).encode())
    return Family(media_types.HELM_CONFIG, media_types.HELM_CHART, config, (_blob(packed.getvalue()),))


def _tar(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def _blob(data: bytes) -> SeedBlob:
    return SeedBlob(data, "sha256:" + hashlib.sha256(data).hexdigest())


def _descriptor(media_type: str, blob: SeedBlob) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
