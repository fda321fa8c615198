"""Harbor's metadata of a project: a map of texts whose keys and values are checked here. `public` is among them on the
wire, and has its own column at rest."""

from collections.abc import Mapping

from haven_core.errors import BadRequest

PUBLIC = "public"
RETENTION = "retention_id"
_BOOLEANS = (
    PUBLIC,
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "auto_scan",
    "auto_sbom_generation",
    "reuse_sys_cve_allowlist",
    "proxy_cache_local_on_not_found",
    "proxy_referrer_api",
)
_SEVERITIES = ("none", "low", "medium", "high", "critical")
_FILTER_KINDS = ("doublestar", "regex")
_MAX_PATTERN = 1024
KEYS = frozenset(
    {
        *_BOOLEANS, "severity", RETENTION, "proxy_speed_kb", "max_upstream_conn", "proxy_cache_filter_pattern",
        "proxy_cache_filter_kind",
    }
)  # fmt: skip


def checked(metadata: Mapping[str, str]) -> dict[str, str]:
    """The keys there are, with values in Harbor's spelling; others are dropped (Harbor). Raises BadRequest."""
    return {key: _checked(key, value) for key, value in metadata.items() if key in KEYS}


def _checked(key: str, value: str) -> str:
    if key in _BOOLEANS:
        if value.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise BadRequest(f'metadata.{key} must be "true" or "false"')
        return "true" if value.lower() in ("true", "1", "t") else "false"
    if key == "severity":
        return _word(key, value, _SEVERITIES)
    if key == "proxy_cache_filter_kind":
        return _word(key, value, _FILTER_KINDS)
    if key == "proxy_speed_kb":
        return _number(key, value, -(2**31))
    if key == "max_upstream_conn":
        if value == "-1":
            return value
        return _number(key, value, 1)
    if len(value) > _MAX_PATTERN:
        raise BadRequest(f"metadata.{key} has at most {_MAX_PATTERN} characters")
    return value


def _word(key: str, value: str, words: tuple[str, ...]) -> str:
    if value.lower() not in words:
        raise BadRequest(f"metadata.{key} must be one of {', '.join(words)}")
    return value.lower()


def _number(key: str, value: str, lowest: int) -> str:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and lowest <= int(value) < 2**31):
        raise BadRequest(f"metadata.{key} must be a number from {lowest} to {2**31 - 1}")
    return str(int(value))
