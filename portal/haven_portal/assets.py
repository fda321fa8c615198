"""The portal's files: made once, in memory, of readable sources; served under an address that changes with what is in
them, so that browsers may keep them for ever."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

_CSS = ("tokens", "base", "layout", "components", "forms", "registry", "phone")
_JS = ("start", "toast", "copy", "dialog", "menus", "keys", "session", "forms", "pick", "tree")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. version: of its content, part of its address."""

    content_type: str
    body: bytes
    zipped: bytes
    version: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """All of them, by name."""
    own = resources.files("haven_portal") / "static"
    htmx = resources.files("django_htmx") / "static" / "django_htmx" / "htmx-4.min.js"
    styles = _condensed("".join((own / "css" / f"{name}.css").read_text(encoding="utf-8") for name in _CSS))
    scripts = _condensed("".join((own / "js" / f"{name}.js").read_text(encoding="utf-8") for name in _JS))
    return {
        "haven.css": _asset("text/css; charset=utf-8", styles.encode()),
        "haven.js": _asset("text/javascript; charset=utf-8", scripts.encode()),
        "htmx.js": _asset("text/javascript; charset=utf-8", htmx.read_bytes()),
        "icons.svg": _asset("image/svg+xml", (own / "img" / "icons.svg").read_bytes()),
        "logo.svg": _asset("image/svg+xml", (own / "img" / "logo.svg").read_bytes()),
    }


@lru_cache(maxsize=16)
def asset_url(name: str) -> str:
    """The address of a file, below whatever path the site is served under."""
    return reverse("portal:asset", args=[assets()[name].version, name])


@require_safe
def serve(request: HttpRequest, version: str, name: str) -> HttpResponse:
    """GET /static/{version}/{name}. An old version gets today's file, and may not keep it: between two releases a page
    of the one may ask the other."""
    asset = assets().get(name)
    if asset is None:
        raise Http404
    is_zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(asset.zipped if is_zipped else asset.body, content_type=asset.content_type)
    if is_zipped:
        response["Content-Encoding"] = "gzip"
    response["Cache-Control"] = _FOR_EVER if version == asset.version else "no-cache"
    response["Content-Security-Policy"] = "default-src 'none'"  # an image that is opened by itself runs nothing
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


def _condensed(source: str) -> str:
    """Without comments and indentation; line ends stay, so that scripts mean the same."""
    lines = (line.strip() for line in _COMMENT.sub("", source).splitlines())
    return "\n".join(line for line in lines if line)


def _asset(content_type: str, body: bytes) -> Asset:
    version = hashlib.sha256(body).hexdigest()[:12]
    return Asset(content_type, body, gzip.compress(body, 9, mtime=0), version)
