"""What can be wrong with the OCI values a client sends.

Plain Python: a renderer turns these into the error body of the distribution specification. `code` is the
specification's error code, `message` is one sentence for a person, `detail` holds JSON values for a program.
"""

from __future__ import annotations

from collections.abc import Mapping

_EXCERPT_CHARACTERS = 200


def excerpt(value: object) -> str:
    """A client's value as it may be shown in a message: printable, on one line and short."""
    shown = ascii(value[: _EXCERPT_CHARACTERS + 1] if isinstance(value, str) else value)
    return shown if len(shown) <= _EXCERPT_CHARACTERS else f"{shown[:_EXCERPT_CHARACTERS]}..."


class OciError(Exception):
    """Base of every error of this package."""

    code = "UNKNOWN"

    def __init__(self, message: str, detail: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail: Mapping[str, object] = {} if detail is None else detail


class DigestInvalid(OciError):
    """The text is not a digest."""

    code = "DIGEST_INVALID"


class DigestUnsupported(DigestInvalid):
    """The text is a well-formed digest of an algorithm this registry does not compute.

    A write answers 400 with it; a read may answer 404, because nothing is stored under such a digest.
    """


class TagInvalid(OciError):
    """The text is not a tag."""

    code = "TAG_INVALID"


class ManifestInvalid(OciError):
    """The manifest is not acceptable; `json_path` names the place (`$.layers[3].digest`), `$` the whole document."""

    code = "MANIFEST_INVALID"

    def __init__(self, message: str, json_path: str = "$", detail: Mapping[str, object] | None = None) -> None:
        super().__init__(message, {"path": json_path, **({} if detail is None else detail)})
        self.json_path = json_path


class RangeInvalid(OciError):
    """The `Content-Range` of an upload request cannot be read (answer 416)."""

    code = "RANGE_INVALID"


class RangeUnsatisfiable(OciError):
    """None of the requested ranges touches the representation (answer 416 with `Content-Range: bytes */<length>`)."""

    code = "RANGE_INVALID"
