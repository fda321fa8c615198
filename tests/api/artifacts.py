"""What tests of artifacts push into `private/team/app`, the repository of the fixture `site`."""

import json
from typing import Any

from tests.support.site import Site

CONFIG = {"os": "linux", "architecture": "amd64", "author": "me", "config": {"Labels": {"x": "<script>"}}}
APP = "/projects/private/repositories/team%252Fapp"


def push(site: Site, *tags: str, **more: Any) -> str:
    """An image with a config of its own."""
    return site.push(json.dumps(CONFIG | more).encode(), *tags)


def digests(response: Any) -> set[str]:
    """Of a list."""
    assert response.status_code == 200, response.content
    return {row["digest"] for row in response.json()}
