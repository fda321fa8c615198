"""Lists: tags, repositories, referrers, extensions (distribution-spec end-8, end-12; Docker's catalog)."""

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from haven_core.errors import BadRequest
from haven_core.rbac.access import projects_allowing
from haven_core.rbac.permissions import Action, Permission, Resource
from haven_registry import selectors
from haven_registry.errors import PaginationInvalid, RepositoryUnknown
from haven_registry.oci.digest import Digest
from haven_registry.oci.media_types import OCI_INDEX
from haven_registry.oci.referrers import build_page, referrer_descriptor
from haven_registry.v2.authorization import Identity
from haven_registry.v2.http import Request, Response

MAX_TAGS = 10_000
MAX_REPOSITORIES = 1_000
DEFAULT_REPOSITORIES = 100
REFERRERS_PER_QUERY = 500
_JSON = ("Content-Type", "application/json")
_DIGITS = 12
_PULL = Permission(Resource.REPOSITORY, Action.PULL)


def tags(request: Request, project: str, repository: str) -> Response:
    """Tags in byte order; all of them, or n after `last`. More than the cap: a page and a Link."""
    limit = _limit(request, MAX_TAGS, MAX_TAGS)
    found = selectors.find_repository(project, repository)
    if found is None:
        raise RepositoryUnknown(f"{project}/{repository}")
    names = selectors.list_tags(found.id, _last(request), limit + 1) if limit else []
    page, headers = _page(request, names, limit)
    return Response(200, headers, json.dumps({"name": f"{project}/{repository}", "tags": page}).encode())


def catalog(request: Request, identity: Identity) -> Response:
    """Repositories the caller may pull from and that hold a manifest, in byte order of project/name.

    A robot gets here with the permission to read the whole catalog only (authorization.require_catalog).
    """
    limit = _limit(request, DEFAULT_REPOSITORIES, MAX_REPOSITORIES)
    actor = identity.actor
    projects = (
        None
        if actor.is_sysadmin or actor.is_robot
        else list(projects_allowing(actor, _PULL).values_list("id", flat=True))
    )
    names = selectors.list_repositories(projects, _last(request), limit + 1) if limit else []
    page, headers = _page(request, names, limit)
    return Response(200, headers, json.dumps({"repositories": page}).encode())


def _limit(request: Request, default: int, cap: int) -> int:
    text = request.parameter("n")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS:
        raise PaginationInvalid(f"n takes a number, 0 or more, not {text[:32]!a}")
    return min(int(text), cap)


def _last(request: Request) -> str | None:
    """Any text will do: the list goes on behind the place where it would stand. PostgreSQL takes no U+0000."""
    last = request.parameter("last")
    return None if last is None else last.partition("\0")[0]


def _page(request: Request, names: list[str], limit: int) -> tuple[list[str], list[tuple[str, str]]]:
    page, headers = names[:limit], [_JSON]
    if len(names) > limit:
        headers.append(_link(request, {"n": str(limit), "last": page[-1]}))
    return page, headers


def _link(request: Request, query: dict[str, str] | list[tuple[str, str]]) -> tuple[str, str]:
    """RFC 8288, path only."""
    return "Link", f'<{quote(request.path)}?{urlencode(query)}>; rel="next"'


def referrers(request: Request, project: str, repository: str, reference: str) -> Response:
    """An index of the manifests whose subject is this digest; an empty one when there are none, or no such subject.

    Pages end before 4 MiB, which is the most a client takes, and go on by Link (`last` is the place, opaque to clients).
    """
    subject = str(Digest.parse(reference))
    wanted = [value for value in request.query.get("artifactType", []) if value]
    if any("\0" in value for value in wanted):
        raise BadRequest("artifactType takes a media type")
    after = request.parameter("last")
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= 18):
        raise PaginationInvalid("last is a place from a Link header")
    found = selectors.find_repository(project, repository)
    rows: Sequence[selectors.Referrer] = []
    if found is not None:
        place = int(after) if after else None
        rows = selectors.find_referrers(found.id, subject, wanted, place, REFERRERS_PER_QUERY + 1)
    page = build_page(
        referrer_descriptor(
            media_type=row.media_type,
            digest=row.digest,
            size=row.size,
            artifact_type=row.artifact_type,
            annotations=row.annotations,
        )
        for row in rows[:REFERRERS_PER_QUERY]
    )
    headers = [("Content-Type", OCI_INDEX)]
    if wanted:
        headers.append(("OCI-Filters-Applied", "artifactType"))
    if page.has_more or len(rows) > REFERRERS_PER_QUERY:
        query = [*(("artifactType", value) for value in wanted), ("last", str(rows[page.count - 1].id))]
        headers.append(_link(request, query))
    return Response(200, headers, page.body)


def extensions() -> Response:
    """The extensions of the distribution API that exist here: none (distribution-spec, extensions)."""
    return Response(200, [_JSON], b'{"extensions":[]}')
