"""An algebra of OCI data: blobs, layers, manifests, indexes, image layouts. All are values that know their digest.

layer = random_layer(64 * 1024)
amd64, arm64 = image([layer]), image([random_layer()], architecture="arm64")
both = index([amd64, arm64])
write_layout(path, {"latest": both})
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
OCTETS = "application/octet-stream"

_DOCKER_TYPE_OF = {OCI_LAYER_GZIP: DOCKER_LAYER, OCI_LAYER_FOREIGN: DOCKER_LAYER_FOREIGN}

Descriptor = dict[str, Any]


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def absent_digest(algorithm: str = "sha256") -> str:
    """A digest no registry holds: of fresh random bytes."""
    return digest_of(random.SystemRandom().randbytes(32), algorithm)


@dataclass(frozen=True)
class Blob:
    """Bytes with a media type. `urls` makes its descriptor one that clients fetch elsewhere."""

    data: bytes
    media_type: str = OCTETS
    algorithm: str = "sha256"
    diff_id: str | None = None
    urls: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.data, self.algorithm)

    @property
    def size(self) -> int:
        return len(self.data)

    def descriptor(self, **extra: Any) -> Descriptor:
        found: Descriptor = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.urls:
            found["urls"] = list(self.urls)
        return found | extra


@dataclass(frozen=True)
class Manifest:
    """Manifest bytes with the blobs and manifests to push before it; a foreign layer is named and not among them."""

    payload: bytes
    media_type: str
    blobs: tuple[Blob, ...] = ()
    children: tuple[Manifest, ...] = ()
    algorithm: str = "sha256"

    @property
    def digest(self) -> str:
        return digest_of(self.payload, self.algorithm)

    @property
    def size(self) -> int:
        return len(self.payload)

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.payload)
        return found

    def descriptor(self, **extra: Any) -> Descriptor:
        found: Descriptor = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.media_type in (OCI_MANIFEST, DOCKER_MANIFEST) and (platform := _platform_of(self)):
            found["platform"] = platform
        return found | extra

    def manifests(self) -> Iterator[Manifest]:
        """Children before parents: the order in which they may be pushed."""
        for child in self.children:
            yield from child.manifests()
        yield self

    def all_blobs(self) -> list[Blob]:
        """Every blob to push, each digest once."""
        found = {blob.digest: blob for manifest in self.manifests() for blob in manifest.blobs}
        return list(found.values())


EMPTY_JSON = Blob(b"{}", OCI_EMPTY)
EMPTY_BLOB = Blob(b"")


def random_blob(size: int = 1024, media_type: str = OCTETS, algorithm: str = "sha256", seed: object = None) -> Blob:
    """`size` bytes of noise; with a seed always the same."""
    return Blob(_random(seed).randbytes(size), media_type, algorithm)


def random_layer(size: int = 4096, seed: object = None, *, compress: bool = True, algorithm: str = "sha256") -> Blob:
    """A real layer: a tar archive holding one file of `size` random bytes, named after its content."""
    content = _random(seed).randbytes(size)
    return tar_layer(
        {f"data/{hashlib.sha256(content).hexdigest()[:16]}": content}, compress=compress, algorithm=algorithm
    )


def tar_layer(
    files: Mapping[str, bytes | str],
    *,
    mode: int = 0o644,
    compress: bool = True,
    algorithm: str = "sha256",
) -> Blob:
    """A layer of these files; a str is the target of a symbolic link. Reproducible: no time, no owner."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(content), mode
                archive.addfile(entry, io.BytesIO(content))
    data = buffer.getvalue()
    diff_id = digest_of(data)
    if not compress:
        return Blob(data, OCI_LAYER, algorithm, diff_id)
    return Blob(gzip.compress(data, compresslevel=1, mtime=0), OCI_LAYER_GZIP, algorithm, diff_id)


def foreign_layer(size: int = 1024, url: str = "https://elsewhere.invalid/layer") -> Blob:
    """A layer the registry never holds: name it in `image(...)`, which keeps it out of what is pushed."""
    layer = random_layer(size)
    return Blob(layer.data, OCI_LAYER_FOREIGN, layer.algorithm, layer.diff_id, (url,))


def image(
    layers: Sequence[Blob] = (),
    *,
    docker: bool = False,
    architecture: str = "amd64",
    command: Sequence[str] = (),
    config: Blob | None = None,
    subject: Manifest | Descriptor | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
    extra: Mapping[str, Any] | None = None,
) -> Manifest:
    """An image manifest, OCI or (docker=True) Docker schema 2. `extra` adds or replaces top-level fields."""
    if docker:
        layers = [
            Blob(b.data, _DOCKER_TYPE_OF.get(b.media_type, b.media_type), b.algorithm, b.diff_id, b.urls)
            for b in layers
        ]
    config = config or _image_config(layers, architecture, command, DOCKER_CONFIG if docker else OCI_CONFIG, algorithm)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        **({"artifactType": artifact_type} if artifact_type else {}),
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
        **_optional(subject, annotations),
        **(extra or {}),
    }
    pushed = tuple(
        blob for blob in (config, *layers) if blob.media_type not in (OCI_LAYER_FOREIGN, DOCKER_LAYER_FOREIGN)
    )
    return Manifest(encode(document), document["mediaType"], pushed, algorithm=algorithm)


def artifact(
    blobs: Sequence[Blob] = (),
    *,
    artifact_type: str = "application/vnd.example.data",
    subject: Manifest | Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
) -> Manifest:
    """An artifact by OCI 1.1's guidance: an image manifest with an empty config and an artifactType."""
    empty = Blob(b"{}", OCI_EMPTY, algorithm)
    return image(
        blobs or [empty],
        config=empty,
        artifact_type=artifact_type,
        subject=subject,
        annotations=annotations,
        algorithm=algorithm,
    )


def index(
    children: Sequence[Manifest | Blob] = (),
    *,
    docker: bool = False,
    subject: Manifest | Descriptor | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
    algorithm: str = "sha256",
    extra: Mapping[str, Any] | None = None,
) -> Manifest:
    """An index, or a Docker manifest list. Children may be blobs, as in a build cache."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST if docker else OCI_INDEX,
        **({"artifactType": artifact_type} if artifact_type else {}),
        "manifests": [child.descriptor() for child in children],
        **_optional(subject, annotations),
        **(extra or {}),
    }
    return Manifest(
        encode(document),
        document["mediaType"],
        tuple(child for child in children if isinstance(child, Blob)),
        tuple(child for child in children if isinstance(child, Manifest)),
        algorithm,
    )


def random_image(size: int = 4096, layers: int = 1, **options: Any) -> Manifest:
    return image([random_layer(size) for _ in range(layers)], **options)


def busybox_image(message: str = "hello from haven", **options: Any) -> Manifest:
    """A small image a container engine can really run: static busybox and a file. FileNotFoundError without busybox."""
    busybox = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if Path(p).exists()), shutil.which("busybox"))
    if busybox is None:
        raise FileNotFoundError("busybox-static is not installed")
    root = tar_layer(
        {"bin/busybox": Path(busybox).read_bytes(), "bin/sh": "busybox", "bin/cat": "busybox", "bin/echo": "busybox"},
        mode=0o755,
    )
    text = tar_layer({"message": message.encode()})
    return image([root, text], command=["/bin/cat", "/message"], **options)


def encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def write_layout(folder: Path, references: Mapping[str, Manifest]) -> Path:
    """An OCI image layout that skopeo reads as `oci:<folder>:<tag>`; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    for root in references.values():
        contents = [(m.digest, m.payload) for m in root.manifests()] + [(b.digest, b.data) for b in root.all_blobs()]
        for digest, data in contents:
            target = folder / "blobs" / digest.replace(":", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    entries = [
        root.descriptor(annotations={"org.opencontainers.image.ref.name": tag}) for tag, root in references.items()
    ]
    (folder / "index.json").write_bytes(encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}))
    return folder


def read_layout(folder: Path) -> dict[str, bytes]:
    """Digest to bytes of every blob in a layout."""
    files: Iterable[Path] = (folder / "blobs").glob("*/*")
    return {f"{path.parent.name}:{path.name}": path.read_bytes() for path in files}


def _random(seed: object) -> random.Random:
    return random.SystemRandom() if seed is None else random.Random(repr(seed))


def _image_config(
    layers: Sequence[Blob], architecture: str, command: Sequence[str], media_type: str, algorithm: str
) -> Blob:
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": list(command)} if command else {},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id or layer.digest for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": f"layer {n}"} for n, _ in enumerate(layers)],
        "created": "1970-01-01T00:00:00Z",
    }
    return Blob(encode(document), media_type, algorithm)


def _optional(subject: Manifest | Descriptor | None, annotations: Mapping[str, str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if subject is not None:
        named = subject.descriptor() if isinstance(subject, Manifest) else subject
        found["subject"] = {key: value for key, value in named.items() if key != "platform"}
    if annotations is not None:
        found["annotations"] = dict(annotations)
    return found


def _platform_of(manifest: Manifest) -> dict[str, str] | None:
    config = next((b for b in manifest.blobs if b.media_type in (OCI_CONFIG, DOCKER_CONFIG)), None)
    if config is None:
        return None
    document = json.loads(config.data)
    return {"architecture": document["architecture"], "os": document["os"]} if "architecture" in document else None
