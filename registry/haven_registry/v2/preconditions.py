"""Conditional requests on digests (RFC 9110, 13)."""


def etag_matches(header: str | None, digest: str) -> bool:
    """Whether an If-None-Match or If-Match names this digest: quoted, bare, weak, one of several, or *."""
    if not header:
        return False
    names = (name.strip().removeprefix("W/").strip('"') for name in header.split(","))
    return any(name in (digest, "*") for name in names)


def if_range_holds(header: str | None, digest: str) -> bool:
    """Whether a Range counts (RFC 9110, 13.1.5): without If-Range, or when it is this ETag. A date is none of ours."""
    return header is None or header.strip() == f'"{digest}"'
