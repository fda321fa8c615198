"""Manifests: GET, HEAD, PUT, DELETE by tag or digest (distribution-spec end-3, end-7, end-9)."""

from functools import partial
from urllib.parse import quote

from haven_core.domain.actor import Actor
from haven_core.domain.origin import Origin
from haven_core.rbac.access import ProjectAccess
from haven_registry import selectors
from haven_registry.errors import ManifestBlobUnknown, ManifestUnknown, RepositoryUnknown, TooManyTags
from haven_registry.oci.accept import accepts
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid, DigestUnsupported, OciError, TagInvalid
from haven_registry.oci.manifest import MAX_MANIFEST_BYTES, parse_manifest
from haven_registry.oci.reference import is_tag, parse_reference
from haven_registry.services import manifests as service
from haven_registry.services.delete import delete_manifest
from haven_registry.services.repositories import get_or_create_repository
from haven_registry.services.tags import delete_tag
from haven_registry.v2 import pulls, remembered
from haven_registry.v2.authorization import Identity
from haven_registry.v2.body import read_all
from haven_registry.v2.http import Request, Response
from haven_registry.v2.payloads import payload_of
from haven_registry.v2.preconditions import etag_matches

MAX_TAGS_PER_PUT = 46  # 8 KiB of request line hold that many of the longest


def get(request: Request, project: str, repository: str, reference: str, actor: Actor) -> Response:
    """HEAD and GET: the stored bytes, unchanged, under the type they were pushed with."""
    try:
        wanted = parse_reference(reference)
    except DigestUnsupported:
        raise ManifestUnknown(reference) from None
    is_digest = isinstance(wanted, Digest)
    if is_digest:
        found = remembered.find_manifest(project, repository, str(wanted))
    else:
        found = remembered.find_tagged(project, repository, reference)
    if found is None:
        raise ManifestUnknown(reference)
    accept = request.environ.get("HTTP_ACCEPT")
    if not accepts(accept, found.media_type):
        raise ManifestUnknown(f"{reference} is {found.media_type}, which the Accept header does not take")
    headers = [
        ("Docker-Content-Digest", found.digest),
        ("ETag", f'"{found.digest}"'),
        ("Cache-Control", "private, max-age=31536000, immutable" if is_digest else "no-cache"),
    ]
    if etag_matches(request.header("IF_NONE_MATCH"), found.digest):
        return Response(304, headers)
    headers.append(("Content-Type", found.media_type))
    is_head = request.method == "HEAD"
    payload = b"" if is_head else payload_of(found.id)
    if payload is None:
        raise ManifestUnknown(reference)
    if not (is_head and is_digest):
        agent = request.environ.get("HTTP_USER_AGENT", "")
        pulls.note(found, "" if is_digest else reference, actor, request.client_address, agent, is_head=is_head)
    return Response(200, headers, length=found.payload_size) if is_head else Response(200, headers, payload)


def put(
    request: Request, identity: Identity, access: ProjectAccess, project: str, repository: str, reference: str
) -> Response:
    """PUT: by tag, or by digest with any number of ?tag= beside it. One transaction moves all tags."""
    wanted = parse_reference(reference)
    tags = _tags(request, wanted)
    payload = read_all(request, MAX_MANIFEST_BYTES)
    digest = Digest.of(payload, wanted.algorithm if isinstance(wanted, Digest) else "sha256")
    if isinstance(wanted, Digest) and wanted != digest:
        raise DigestInvalid(f"the manifest does not have the digest {wanted}", {"computed": str(digest)})
    parsed = parse_manifest(payload, request.content_type)
    origin = Origin(identity.actor.name, request.client_address)
    publish = partial(
        service.put_manifest,
        parsed=parsed,
        payload=payload,
        digest=str(digest),
        tags=tags,
        pushed_by=origin.name,
        address=origin.address,
        if_match=request.header("IF_MATCH"),
        if_none_match=request.header("IF_NONE_MATCH"),
    )
    try:
        publish(repository=f"{project}/{repository}")
    except RepositoryUnknown:
        named = {str(one.digest) for one in (*(blob for _, blob in parsed.required_blobs), *parsed.child_manifests)}
        if named:
            raise ManifestBlobUnknown(named) from None  # a refused push makes no repository
        publish(repository=get_or_create_repository(access.project_id, repository))
    headers = [("Location", f"/v2/{project}/{repository}/manifests/{digest}"), ("Docker-Content-Digest", str(digest))]
    if parsed.subject is not None:
        headers.append(("OCI-Subject", str(parsed.subject.digest)))
    if isinstance(wanted, Digest) and tags:
        headers.append(("OCI-Tag", ", ".join(quote(tag) for tag in tags)))
    return Response(201, headers)


def _tags(request: Request, wanted: str | Digest) -> list[str]:
    named = request.query.get("tag", [])
    if not isinstance(wanted, Digest):
        if named:
            raise TagInvalid("the tag parameter goes with a push by digest")
        return [wanted]
    if len(named) > MAX_TAGS_PER_PUT:
        raise TooManyTags(f"{len(named)} tags in one request; the limit is {MAX_TAGS_PER_PUT}")
    for tag in named:
        if not is_tag(tag):
            raise TagInvalid(f"{tag[:128]!a} is not a tag")
    return list(dict.fromkeys(named))


def delete(request: Request, identity: Identity, project: str, repository: str, reference: str) -> Response:
    """DELETE: a tag alone, or a manifest with all its tags; into the trash, 404 from now on. Referrers stay (ADR 0018)."""
    try:
        wanted = parse_reference(reference)
    except OciError as error:
        raise ManifestUnknown(reference) from error
    found = selectors.find_repository(project, repository)
    if found is None:
        raise ManifestUnknown(reference)
    origin = Origin(identity.actor.name, request.client_address)
    if isinstance(wanted, Digest):
        delete_manifest(repository_id=found.id, digest=str(wanted), origin=origin)
    else:
        delete_tag(repository_id=found.id, name=wanted, origin=origin)
    return Response(202)
