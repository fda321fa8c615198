"""The two reads that scripts ask for all the time, a project and an artifact by digest, without Django's layers: those
cost several times what finding and writing the answer does.

Rights, selectors and renderers are the views' own, and a test holds every byte and header against Django's answer. What
is unusual in a request, and everything that is not simply there and allowed, is left to Django.
"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from haven_api.middleware import SANE_REQUEST_ID
from haven_api.views.artifacts import render_artifact
from haven_api.views.projects import render_project
from haven_core.accounts.basic import parse_basic
from haven_core.accounts.credentials import verify_basic
from haven_core.db.connections import on_live_connection
from haven_core.domain.actor import Actor
from haven_core.errors import HavenError
from haven_core.projects.selectors import find_project, find_standing
from haven_core.rbac.permissions import Action, Resource, evaluate
from haven_registry.artifact_read import read_plain_artifact

_NAME = r"(?![0-9]+/?$)[a-z0-9._-]{1,255}"  # what is a number may be an id
_PROJECT = re.compile(rf"/api/v2\.0/projects/({_NAME})")
_ARTIFACT = re.compile(
    r"/api/v2\.0/projects/([a-z0-9._-]{1,255})/repositories/([a-z0-9._%A-F-]{1,511})/artifacts/(sha256:[0-9a-f]{64})"
)
# What makes the answer another one, or its headers.
_UNUSUAL = (
    "HTTP_ACCEPT_LANGUAGE", "HTTP_COOKIE", "HTTP_X_IS_RESOURCE_NAME", "HTTP_X_HARBOR_NO_SESSION_RENEWAL",
)  # fmt: skip
_HEADERS = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("Vary", "Accept-Language"),
    ("Content-Language", "en"),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)

Answer = tuple[list[tuple[str, str]], bytes]


def quick_answer(environ: Mapping[str, Any]) -> Answer | None:
    """Headers and body of a 200, or None: ask Django."""
    if environ["REQUEST_METHOD"] != "GET" or environ.get("QUERY_STRING"):
        return None
    path: str = environ["PATH_INFO"]
    project, artifact = _PROJECT.fullmatch(path), _ARTIFACT.fullmatch(path)
    credentials = parse_basic(environ.get("HTTP_AUTHORIZATION", ""))
    if not (project or artifact) or credentials is None or any(name in environ for name in _UNUSUAL):
        return None

    def read() -> tuple[str, dict[str, Any]] | None:
        actor = verify_basic(*credentials, address=environ.get("REMOTE_ADDR", ""), takes_tokens=True)
        if actor is None or actor.is_registry_only:
            return None
        if artifact:
            return _artifact(actor, artifact[1], unquote(artifact[2]), artifact[3])
        return _project(actor, project[1]) if project else None

    try:
        found = on_live_connection(read, is_repeatable=True)
    except HavenError:
        return None  # the same happens again, and Django knows how to say it
    if found is None:
        return None
    methods, document = found
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("\u2028", "\\u2028")
    encoded = body.replace("\u2029", "\\u2029").encode()  # as the framework's renderer writes it
    sent = environ.get("HTTP_X_REQUEST_ID", "")
    request_id = sent if SANE_REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())
    return [
        *_HEADERS, ("Allow", methods), ("X-Request-ID", request_id), ("Content-Length", str(len(encoded))),
    ], encoded  # fmt: skip


def _project(actor: Actor, name: str) -> tuple[str, dict[str, Any]] | None:
    view = find_project(actor, name)
    if view is None or not evaluate(actor, Resource.PROJECT, Action.READ, view):
        return None
    return "GET, PUT, DELETE, HEAD, OPTIONS", render_project(view, actor)


def _artifact(actor: Actor, project: str, name: str, digest: str) -> tuple[str, dict[str, Any]] | None:
    if project.isdigit():
        return None
    standing = find_standing(actor, project)
    if standing is None or not evaluate(actor, Resource.ARTIFACT, Action.READ, standing[1]):
        return None
    found = read_plain_artifact(project, name, digest)
    return ("GET, DELETE, HEAD, OPTIONS", render_artifact(*found)) if found else None
