"""Manifests as clients write them."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from haven_registry.oci import media_types

LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(data: bytes) -> str:
    """The sha256 digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type: str, digest: str, size: int = 1) -> dict[str, Any]:
    """A descriptor as a manifest holds it."""
    return {"mediaType": media_type, "digest": digest, "size": size}


def image(*digests: str, nonce: object = 0, **more: Any) -> bytes:
    """An image: config, then layers. nonce makes it another one."""
    config, *layers = digests
    body = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor(LAYER, layer) for layer in layers],
        "annotations": {"nonce": str(nonce)},
    }
    return json.dumps(body | more).encode()


def index(*children: str, blobs: Sequence[str] = (), nonce: object = 0, **more: Any) -> bytes:
    """An index of images, and of blobs as BuildKit's cache has them."""
    entries = [descriptor(media_types.OCI_MANIFEST, child) for child in children]
    entries += [descriptor(LAYER, blob) for blob in blobs]
    body = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": entries,
        "annotations": {"nonce": str(nonce)},
    }
    return json.dumps(body | more).encode()
