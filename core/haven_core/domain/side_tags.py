"""Tags that clients use as an index, not as a name."""

import re

_SIDE_TAG = re.compile(r"sha(?:256|512)-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?")


def is_side_tag(name: str) -> bool:
    """Whether the tag belongs to another manifest: the referrers tag schema (distribution-spec, "Referrers Tag Schema")
    or cosign's signatures, attestations and SBOMs. Clients rewrite them at each signature."""
    return _SIDE_TAG.fullmatch(name) is not None
