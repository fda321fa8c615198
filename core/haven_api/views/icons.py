"""/icons: pictures of types of artifacts."""

import base64

from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView
from haven_core.errors import BadRequest, NotFound
from haven_registry.artifacts.icons import find_icon
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid


class OneIcon(ApiView):
    """An icon, as the `icon` of artifacts and accessories names it."""

    def get(self, _request: Request, digest: str) -> Response:
        """Read; for everybody: there are Haven's own only, and they say nothing of what is stored."""
        try:
            wanted = str(Digest.parse(digest))
        except DigestInvalid:
            raise BadRequest(f"invalid digest: {digest[:150]}") from None
        icon = find_icon(wanted)
        if icon is None:
            raise NotFound(f"icon {wanted} not found")
        content = base64.b64encode(icon.content).decode()
        return Response(
            {"content-type": icon.content_type, "content": content},
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )
