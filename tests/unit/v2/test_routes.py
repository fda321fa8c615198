"""Paths are read from the right: a repository's name may hold every word of the API."""

import pytest

from haven_registry.v2.routes import (
    BLOB,
    CATALOG,
    EXTENSIONS,
    MANIFEST,
    PING,
    REFERRERS,
    TAGS,
    UPLOAD,
    UPLOADS,
    Route,
    resolve,
)

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", Route(PING)),
        ("/v2/", Route(PING)),
        ("/v2/_catalog", Route(CATALOG)),
        ("/v2/_oci/ext/discover", Route(EXTENSIONS)),
        ("/v2/p/r/tags/list", Route(TAGS, "p/r")),
        ("/v2/p/r/manifests/latest", Route(MANIFEST, "p/r", "latest")),
        (f"/v2/p/r/manifests/{D}", Route(MANIFEST, "p/r", D)),
        ("/v2/p/r/manifests/sha256:baddigeststring", Route(MANIFEST, "p/r", "sha256:baddigeststring")),
        (f"/v2/p/r/blobs/{D}", Route(BLOB, "p/r", D)),
        (f"/v2/p/r/referrers/{D}", Route(REFERRERS, "p/r", D)),
        ("/v2/p/r/blobs/uploads/", Route(UPLOADS, "p/r")),
        ("/v2/p/r/blobs/uploads", Route(UPLOADS, "p/r")),
        ("/v2/p/r/blobs/uploads/1", Route(UPLOAD, "p/r", "1")),
        ("/v2/p/blobs/tags/list", Route(TAGS, "p/blobs")),
        ("/v2/p/tags/list/tags/list", Route(TAGS, "p/tags/list")),
        ("/v2/p/manifests/manifests/manifests", Route(MANIFEST, "p/manifests", "manifests")),
        ("/v2/p/blobs/uploads/manifests/t", Route(MANIFEST, "p/blobs/uploads", "t")),
        ("/v2/p/blobs/uploads/blobs/uploads/", Route(UPLOADS, "p/blobs/uploads")),
        ("/v2/p/blobs/uploads/blobs/uploads/7", Route(UPLOAD, "p/blobs/uploads", "7")),
        ("/v2/r/manifests/latest", Route(MANIFEST, "r", "latest")),
    ],
)
def test_the_endpoint_is_read_from_the_right(path: str, route: Route) -> None:
    assert resolve(path) == route


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/", "/v2x", "/v2/p/r", "/v2/manifests/latest", "/v2/p/r/manifests/", "/v2/p/r/tags/list/", "/v2/p/r/tags",
     "/v2//manifests/x", "/v2/blobs/uploads/", "/v2/p/r/uploads/1", "/api/v2.0/projects"],
)  # fmt: skip
def test_what_is_no_endpoint_has_no_route(path: str) -> None:
    route = resolve(path)
    assert route is None or route.name == ""
