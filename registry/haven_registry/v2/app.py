"""The WSGI callable of /v2: route, identify, authorise, answer."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from haven_core.db.connections import on_live_connection
from haven_core.domain.actor import Actor
from haven_core.errors import ProjectUnknown
from haven_core.policies.writes import before_write
from haven_core.rbac.access import ProjectAccess, renew_access
from haven_core.visibility import make_gone
from haven_registry.oci.reference import is_repository_name
from haven_registry.v2 import authorization, blobs, errors, lists, manifests, recent, routes, uploads
from haven_registry.v2.authorization import Identity
from haven_registry.v2.body import answered
from haven_registry.v2.http import REASONS, Request, Response
from haven_registry.v2.routes import Route

_log = logging.getLogger("haven.v2")
_API_VERSION = ("Docker-Distribution-API-Version", "registry/2.0")
_READS = frozenset({"GET", "HEAD"})
_NOSNIFF = ("X-Content-Type-Options", "nosniff")

StartResponse = Callable[..., Any]


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Serve one request of /v2 (PEP 3333)."""
    request = Request(environ)
    response = _respond(request)
    if response.status >= 500:
        _log.error(
            "%s %s answered %s, request %s",
            request.method,
            request.path[:300],
            response.status,
            request.header("X_REQUEST_ID"),
        )
    headers = [_API_VERSION, _NOSNIFF, *response.headers]
    length = response.content_length()
    if length is not None and response.status not in (204, 304):
        headers.append(("Content-Length", str(length)))
    start_response(REASONS[response.status], headers)
    return answered(request, b"" if request.method == "HEAD" else response.body)


def _respond(request: Request) -> Response:
    try:
        return on_live_connection(lambda: _dispatch(request), is_repeatable=request.method in _READS)
    except Exception as error:  # noqa: BLE001  # the one boundary: whatever a handler raises becomes an answer
        return errors.render(error)
    finally:
        make_gone()


def _dispatch(request: Request) -> Response:
    if request.method in _READS and (read := recent.find(request)):
        return read(request)
    route = routes.resolve(request.path)
    if route is None:
        return errors.error_response(404, "UNSUPPORTED", "no such endpoint of the distribution API")
    if request.method not in routes.METHODS[route.endpoint]:
        refusal = errors.error_response(405, "UNSUPPORTED", f"{request.method[:16]!a} is not possible here")
        refusal.headers.append(("Allow", ", ".join(routes.METHODS[route.endpoint])))
        return refusal
    if request.method not in _READS:
        before_write()
    return _on_repository(request, route) if route.name else _on_registry(request, route)


def _on_registry(request: Request, route: Route) -> Response:
    scopes = [authorization.CATALOG_SCOPE] if route.endpoint == routes.CATALOG else []
    identity = authorization.identify(request, scopes)
    if route.endpoint == routes.CATALOG:
        authorization.require_catalog(request, identity)
        return lists.catalog(request, identity)
    authorization.require_identity(request, identity)
    if route.endpoint == routes.EXTENSIONS:
        return lists.extensions()
    return Response(200, [("Content-Type", "application/json")], b"{}")


def _on_repository(request: Request, route: Route) -> Response:
    endpoint, name, reference = route
    project, _, repository = name.partition("/")
    if not is_repository_name(name):
        return errors.error_response(
            400, "NAME_INVALID", "a repository name has lower-case letters, digits and . _ - / between them"
        )
    if not repository:
        return errors.error_response(
            400, "NAME_INVALID", f"the repository has no project: push to a name such as library/{name}"
        )
    is_upload = endpoint in (routes.UPLOAD, routes.UPLOADS)
    action = authorization.action_of(request.method, upload=is_upload)
    scopes = [authorization.scope(name, action)]
    if endpoint == routes.UPLOADS and (source := uploads.mount_source(request)):
        scopes.append(authorization.scope(source, authorization.PULL))
    identity = authorization.identify(request, scopes)
    access = authorization.authorize(request, identity, name, action, scopes, allow_expired=endpoint == routes.UPLOAD)
    if request.method in _READS and endpoint != routes.UPLOAD:
        read = _reader(endpoint, project, repository, reference, identity.actor)
        recent.remember(request, read)
        return read(request)
    try:
        return _write(request, route, identity, access)
    except ProjectUnknown:
        return _write(request, route, identity, renew_access(identity.actor, project, access, action))


def _write(request: Request, route: Route, identity: Identity, access: ProjectAccess) -> Response:
    """Raises ProjectUnknown while an upload's body can be asked for again."""
    endpoint, name, reference = route
    project, _, repository = name.partition("/")
    match endpoint, request.method:
        case routes.MANIFEST, "PUT":
            return manifests.put(request, identity, access, project, repository, reference)
        case routes.MANIFEST, _:
            return manifests.delete(request, identity, project, repository, reference)
        case routes.BLOB, _:
            return blobs.delete(project, repository, reference)
        case routes.UPLOADS, _:
            return uploads.start(request, identity, access, project, repository)
        case _:
            return uploads.session(request, identity, access, project, repository, reference)


def _reader(endpoint: str, project: str, repository: str, reference: str, actor: Actor) -> recent.Read:
    match endpoint:
        case routes.MANIFEST:
            return partial(manifests.get, project=project, repository=repository, reference=reference, actor=actor)
        case routes.BLOB:
            return partial(blobs.get, project=project, repository=repository, reference=reference)
        case routes.TAGS:
            return partial(lists.tags, project=project, repository=repository)
        case _:
            return partial(lists.referrers, project=project, repository=repository, reference=reference)
