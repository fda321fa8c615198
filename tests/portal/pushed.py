"""What tests of the pages about pushed things push: images into `private/team/app`, the repository of `site`."""

import json
from typing import Any

from tests.support.documents import digest_of, image, index
from tests.support.site import Site

REPOSITORY = "/projects/private/repos/team/app/-/"
CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "amd64",
    "author": "me",
    "config": {"Env": ["A=1"], "Entrypoint": ["/run"], "Labels": {"team": "shop"}},
    "history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
        {"created_by": "ENV A=1", "empty_layer": True},
        {"created_by": "RUN /bin/sh -c make all # buildkit"},
    ],
}


def push_image(site: Site, *tags: str, layers: tuple[bytes, ...] = (b"base", b"own"), **config: Any) -> str:
    """An image with a config and layers, of which the first is shared unless others are said; returns its digest."""
    blob = site.upload(json.dumps(CONFIG | config).encode())
    payload = image(blob, *(site.upload(layer) for layer in layers), nonce=json.dumps(config)[:200])
    return site.put(payload, *tags).digest


def push_index(site: Site, *tags: str, children: tuple[str, ...]) -> str:
    """An index of images that are there."""
    payload = index(*children, nonce=",".join(tags))
    assert site.put(payload, *tags).digest == digest_of(payload)
    return digest_of(payload)
