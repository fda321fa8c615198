"""Every configuration key: type, default, what a value must satisfy. Names and defaults are Harbor's
(harbor: src/lib/config/metadata/metadatalist.go). Pure: no Django."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

MAX_NUMBER = 9_999_999_999
MAX_STORAGE_BYTES = 1024 * 1024**4  # Harbor's limit of a quota: 1024 TiB
MAX_TEXT = 32 * 1024
BANNER_TYPES = ("info", "warning", "success", "danger")

EVENT_TYPES = (
    "create_artifact", "delete_artifact", "pull_artifact", "create_project", "delete_project", "update_project",
    "delete_repository", "login_user", "logout_user", "create_user", "delete_user", "update_user", "create_robot",
    "delete_robot", "update_configuration", "create_member", "delete_member", "update_member",
)  # fmt: skip


class Kind(Enum):
    """Type of a key's value in JSON; a secret is a text that is sealed at rest and never shown."""

    TEXT = str
    BOOLEAN = bool
    NUMBER = int
    SECRET = "secret"  # noqa: S105  # a word, no password


@dataclass(frozen=True, slots=True)
class Key:
    """A configuration key. check: returns what is wrong with a value of the right type, or ''."""

    name: str
    kind: Kind
    default: Any
    check: Callable[[Any], str] = lambda _value: ""

    @property
    def is_secret(self) -> bool:
        """Whether the value is sealed, and never shown."""
        return self.kind is Kind.SECRET

    def takes(self, value: Any) -> bool:
        """Whether `value` has the type of the key, no look-alike."""
        return type(value) is (str if self.is_secret else self.kind.value)

    def problem(self, value: Any) -> str:
        """What is wrong with `value`, or ''."""
        if not self.takes(value):
            return f"{self.name} takes a {_NAMES[self.kind]}"
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                return f"{self.name} is longer than {MAX_TEXT} characters"
            if "\0" in value:
                return f"{self.name} holds a NUL character"
        found = self.check(value)
        return f"{self.name} {found}" if found else ""


_NAMES = {Kind.TEXT: "string", Kind.BOOLEAN: "boolean", Kind.NUMBER: "number", Kind.SECRET: "string"}


def _between(low: int, high: int) -> Callable[[int], str]:
    return lambda value: "" if low <= value <= high else f"must be between {low} and {high}"


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda value: "" if value in words else f"must be one of: {', '.join(words)}"


def _storage(value: int) -> str:
    if value == -1 or 0 < value <= MAX_STORAGE_BYTES:
        return ""
    return f"must be -1 (unlimited), or from 1 to {MAX_STORAGE_BYTES} bytes"


def _event_types(text: str) -> str:
    unknown = [word for word in split_words(text) if word not in EVENT_TYPES]
    return f"must be event types of /auditlog-exts/events, joined by commas; {unknown[0]!a} is none" if unknown else ""


def _endpoint(text: str) -> str:
    if not text:
        return ""
    return "" if split_endpoint(text) else "must be host:port"


def _banner(text: str) -> str:
    if not text:
        return ""
    try:
        banner = json.loads(text)
    except (ValueError, RecursionError):
        return "must be JSON, or empty"
    if not isinstance(banner, Mapping) or not isinstance(banner.get("message", ""), str):
        return "must be a JSON object with a message"
    if banner.get("type", "info") not in BANNER_TYPES:
        return f"has a type that is none of: {', '.join(BANNER_TYPES)}"
    return ""


def _json_object(text: str) -> str:
    try:
        return "" if isinstance(json.loads(text), dict) else "must be a JSON object"
    except (ValueError, RecursionError):
        return "must be a JSON object"


def _robot_prefix(text: str) -> str:
    if text and len(text) <= 32 and text.isprintable() and ":" not in text:
        return ""
    return "must have 1 to 32 printable characters, and no colon"


def split_words(text: str) -> list[str]:
    """The words of a comma-separated value."""
    return [word.strip() for word in text.split(",") if word.strip()]


def split_endpoint(text: str) -> tuple[str, int] | None:
    """`host:port`, `[v6]:port`, with `tcp://` before it or not; None when it is neither."""
    host, colon, port = text.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536) or "/" in host:
        return None
    return host, int(port)


_T, _B, _N, _S = Kind.TEXT, Kind.BOOLEAN, Kind.NUMBER, Kind.SECRET
_POSITIVE = _between(1, MAX_NUMBER)
_SCOPE = _between(0, 2)
_DAYS = _between(1, 36_500)

KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key("auth_mode", _T, "db_auth", _one_of("db_auth")),
        Key("primary_auth_mode", _B, False),
        Key("ldap_url", _T, ""),
        Key("ldap_base_dn", _T, ""),
        Key("ldap_filter", _T, ""),
        Key("ldap_scope", _N, 2, _SCOPE),
        Key("ldap_search_dn", _T, ""),
        Key("ldap_search_password", _S, ""),
        Key("ldap_timeout", _N, 5, _POSITIVE),
        Key("ldap_uid", _T, "cn"),
        Key("ldap_verify_cert", _B, True),
        Key("ldap_group_base_dn", _T, ""),
        Key("ldap_group_admin_dn", _T, ""),
        Key("ldap_group_attribute_name", _T, ""),
        Key("ldap_group_search_filter", _T, ""),
        Key("ldap_group_search_scope", _N, 2, _SCOPE),
        Key("ldap_group_membership_attribute", _T, "memberof"),
        Key("ldap_group_attach_parallel", _B, False),
        Key("uaa_client_id", _T, ""),
        Key("uaa_client_secret", _S, ""),
        Key("uaa_endpoint", _T, ""),
        Key("uaa_verify_cert", _B, False),
        Key("http_authproxy_endpoint", _T, ""),
        Key("http_authproxy_tokenreview_endpoint", _T, ""),
        Key("http_authproxy_admin_groups", _T, ""),
        Key("http_authproxy_admin_usernames", _T, ""),
        Key("http_authproxy_server_certificate", _T, ""),
        Key("http_authproxy_verify_cert", _B, True),
        Key("http_authproxy_skip_search", _B, False),
        Key("oidc_name", _T, ""),
        Key("oidc_endpoint", _T, ""),
        Key("oidc_client_id", _T, ""),
        Key("oidc_client_secret", _S, ""),
        Key("oidc_groups_claim", _T, ""),
        Key("oidc_admin_group", _T, ""),
        Key("oidc_group_filter", _T, ""),
        Key("oidc_scope", _T, ""),
        Key("oidc_user_claim", _T, ""),
        Key("oidc_verify_cert", _B, True),
        Key("oidc_auto_onboard", _B, False),
        Key("oidc_extra_redirect_parms", _T, "{}", _json_object),
        Key("oidc_logout", _B, False),
        Key("project_creation_restriction", _T, "everyone", _one_of("everyone", "adminonly")),
        Key("read_only", _B, False),
        Key("self_registration", _B, False),
        Key("token_expiration", _N, 30, _POSITIVE),
        Key("robot_token_duration", _N, 30, _POSITIVE),
        Key("personal_token_duration", _N, 30, _DAYS),  # Haven's own, in days, as the next two
        Key("personal_token_max_duration", _N, 365, _DAYS),
        Key("tag_history_days", _N, 365, _between(0, 36_500)),
        Key("robot_name_prefix", _T, "robot$", _robot_prefix),
        Key("notification_enable", _B, True),
        Key("quota_per_project_enable", _B, True),
        Key("storage_per_project", _N, -1, _storage),
        Key("pull_time_update_disable", _B, False),
        Key("pull_count_update_disable", _B, False),
        Key("pull_audit_log_disable", _B, False),
        Key("audit_log_forward_endpoint", _T, "", _endpoint),
        Key("skip_audit_log_database", _B, False),
        Key("scanner_skip_update_pulltime", _B, False),
        Key("disabled_audit_log_event_types", _T, "", _event_types),
        Key("session_timeout", _N, 60, _POSITIVE),
        Key("banner_message", _T, "", _banner),
    )
}
