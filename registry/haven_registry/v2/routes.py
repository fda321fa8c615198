"""Which endpoint a path means. Read from the right, because a repository may be named `p/blobs` or `p/tags/list`."""

from typing import NamedTuple

PING, CATALOG, EXTENSIONS = "ping", "catalog", "extensions"
TAGS, MANIFEST, BLOB, REFERRERS, UPLOADS, UPLOAD = "tags", "manifest", "blob", "referrers", "uploads", "upload"

METHODS = {
    PING: ("GET", "HEAD"),
    CATALOG: ("GET", "HEAD"),
    EXTENSIONS: ("GET", "HEAD"),
    TAGS: ("GET", "HEAD"),
    MANIFEST: ("GET", "HEAD", "PUT", "DELETE"),
    BLOB: ("GET", "HEAD", "DELETE"),
    REFERRERS: ("GET", "HEAD"),
    UPLOADS: ("POST",),
    UPLOAD: ("GET", "HEAD", "PATCH", "PUT", "DELETE"),
}


class Route(NamedTuple):
    """An endpoint, the repository's full name ('' for the registry's own endpoints) and the last segment."""

    endpoint: str
    name: str = ""
    reference: str = ""


_REGISTRY_ROUTES = {
    "/v2": Route(PING),
    "/v2/": Route(PING),
    "/v2/_catalog": Route(CATALOG),
    "/v2/_oci/ext/discover": Route(EXTENSIONS),
}
_BY_PARENT = {"manifests": MANIFEST, "blobs": BLOB, "referrers": REFERRERS}


def resolve(path: str) -> Route | None:
    """The route of a decoded path, or None. Neither the name nor the reference is checked here."""
    if route := _REGISTRY_ROUTES.get(path):
        return route
    if not path.startswith("/v2/"):
        return None
    if path.endswith("/"):
        path = path[:-1]
        if not path.endswith("/blobs/uploads"):
            return None
    head, _, last = path[4:].rpartition("/")
    name, _, parent = head.rpartition("/")
    if not name:
        return None
    if parent == "blobs" and last == "uploads":
        return Route(UPLOADS, name)
    if parent == "tags" and last == "list":
        return Route(TAGS, name)
    if endpoint := _BY_PARENT.get(parent):
        return Route(endpoint, name, last)
    if parent == "uploads" and name.endswith("/blobs"):
        return Route(UPLOAD, name[: -len("/blobs")], last)
    return None
