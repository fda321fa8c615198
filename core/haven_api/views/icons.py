"""/icons/{digest}."""

import base64

from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView
from haven_core.errors import BadRequest, NotFound
from haven_registry.artifacts.icons import ICONS, MEDIA_TYPE
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid


class OneIcon(ApiView):
    """A picture of a type of artifact, which says nothing of anybody's: no login is asked for."""

    def get(self, _request: Request, digest: str) -> Response:
        """Read, in base64 (Harbor)."""
        try:
            content = ICONS.get(str(Digest.parse(digest)))
        except DigestInvalid as error:
            raise BadRequest(f"invalid digest: {digest[:200]}") from error
        if content is None:
            raise NotFound(f"icon {digest[:200]} not found")
        return Response(
            {"content-type": MEDIA_TYPE, "content": base64.b64encode(content).decode()},
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )
