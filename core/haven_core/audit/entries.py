"""From an event to what the audit log says of it, in Harbor's words. Pure but for Event's type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from haven_core.events.delivery import Event

API_WRITE = "api.write"
LOGIN = "login"
LOGOUT = "logout"

_OPERATIONS = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
# collection in an API path: what the log calls a thing of it; the last one in a path counts
_TYPES = {
    "projects": "project", "members": "member", "metadatas": "metadata", "users": "user", "usergroups": "user-group",
    "tokens": "personal-token", "roles": "role", "secrets": "robot-secret", "trash": "trash",
    "robots": "robot", "labels": "label", "quotas": "quota", "configurations": "configuration",
    "repositories": "repository", "artifacts": "artifact", "tags": "tag", "immutabletagrules": "immutable-tag",
    "retentions": "tag-retention", "CVEAllowlist": "cve-allowlist", "gc": "garbage-collection",
    "purgeaudit": "purge-audit", "schedules": "schedule", "registries": "registry", "replication": "replication",
    "webhook": "notification-policy", "scanners": "scanner", "scan": "scan", "preheat": "preheat-policy",
}  # fmt: skip
# what changes these publishes an event of its own, wherever it comes from; so does what is taken out of the trash
_TOLD_BY_EVENTS = frozenset({"repository", "artifact", "tag"})
_MAX_NAME = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log, before it is stored. project: name or id of its project, None for none."""

    event_id: int
    op_time: datetime
    username: str
    address: str
    operation: str
    resource_type: str
    resource: str
    project: str | int | None
    is_success: bool = True
    detail: str = ""

    @property
    def event_type(self) -> str:
        """Harbor's name of this kind of event, as in disabled_audit_log_event_types."""
        return f"{self.operation}_{self.resource_type.replace('-', '_')}"

    @property
    def description(self) -> str:
        """One line for people."""
        text = f"{self.operation} {self.resource_type}: {self.resource}"
        return f"{text} ({self.detail})" if self.detail else text


def entry_of(event: Event) -> Entry | None:
    """What the log says of an event; None: nothing."""
    describe = _BY_TOPIC.get(event.topic)
    return describe(event, event.payload) if describe else None


def _entry(event: Event, operation: str, resource_type: str, resource: str, **more: Any) -> Entry:
    payload = event.payload
    return Entry(
        event_id=event.id,
        op_time=event.created_at,
        username=str(payload.get("by", ""))[:255],
        address=str(payload.get("address", ""))[:64],
        operation=operation,
        resource_type=resource_type,
        resource=resource[:_MAX_NAME],
        **{"project": payload.get("project"), **more},
    )


def _artifact(operation: str) -> Callable[[Event, Mapping[str, Any]], Entry]:
    def describe(event: Event, payload: Mapping[str, Any]) -> Entry:
        tags = payload.get("tags") or ([payload["tag"]] if payload.get("tag") else [])
        named = len(tags) == 1 and operation != "delete"
        reference = f":{tags[0]}" if named else f"@{payload['digest']}"
        detail = payload["digest"] if named else ", ".join(tags)[:128]
        if payload.get("times", 1) > 1:
            detail = ", ".join(filter(None, (detail, f"{payload['times']} times")))
        return _entry(event, operation, "artifact", payload["name"] + reference, detail=detail)

    return describe


def _tag(operation: str) -> Callable[[Event, Mapping[str, Any]], Entry]:
    return lambda event, payload: _entry(
        event, operation, "tag", f"{payload['name']}:{payload['tag']}", detail=payload["digest"]
    )


def _repository(operation: str) -> Callable[[Event, Mapping[str, Any]], Entry]:
    return lambda event, payload: _entry(event, operation, "repository", payload["name"])


def _session(operation: str) -> Callable[[Event, Mapping[str, Any]], Entry]:
    return lambda event, payload: _entry(
        event, operation, "user", payload["by"] or "(unknown)", is_success=payload["is_success"]
    )


def _api_write(event: Event, payload: Mapping[str, Any]) -> Entry | None:
    """A request of the REST API. The name the body gave a new thing, or the view's own, else the path."""
    path = str(payload["path"])
    segments = path.strip("/").split("/")
    resource_type = _type_of(segments)
    is_success = payload["status"] < 400
    is_told = resource_type in _TOLD_BY_EVENTS or (resource_type == "trash" and payload["method"] == "POST")
    if is_success and is_told:
        return None
    name = payload.get("resource") or path
    project: str | int | None = payload.get("project")
    if project is None and segments[0] == "projects":
        text = segments[1] if len(segments) > 1 else payload.get("resource")
        project = int(text) if text and text.isdigit() and len(text) < 19 and not payload.get("by_name") else text
    return _entry(
        event, _OPERATIONS[payload["method"]], resource_type, str(name),
        project=project, is_success=is_success, detail="" if is_success else f"status {payload['status']}",
    )  # fmt: skip


def _type_of(segments: Sequence[str]) -> str:
    """What the log calls the thing a path names. What follows a collection is a name and never looked at: a project may
    be called `users`."""
    found, place = [], 0
    while place < len(segments):
        is_collection = segments[place] in _TYPES
        if is_collection:
            found.append(segments[place])
        place += 2 if is_collection else 1
    if found == ["usergroups", "members"]:
        return _TYPES["usergroups"]
    return _TYPES[found[-1]] if found else segments[0]


_BY_TOPIC: Mapping[str, Callable[[Event, Mapping[str, Any]], Entry | None]] = {
    API_WRITE: _api_write,
    LOGIN: _session("login"),
    LOGOUT: _session("logout"),
    "manifest.pushed": _artifact("create"),
    "manifest.copied": _artifact("create"),
    "manifest.pulled": _artifact("pull"),
    "manifest.deleted": _artifact("delete"),
    "manifest.restored": _artifact("restore"),
    "tag.moved": _tag("create"),
    "tag.deleted": _tag("delete"),
    "repository.created": _repository("create"),
    "repository.described": _repository("update"),
    "repository.deleted": _repository("delete"),
    "repository.restored": _repository("restore"),
}
