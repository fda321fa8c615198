"""Uploads: POST, PATCH, PUT, GET, DELETE of a session; monolithic, mount and cancel (distribution-spec end-4 to end-6,
end-11, end-13, end-14)."""

import logging
import time
from contextlib import suppress
from uuid import UUID

from haven_core.conf import config
from haven_core.db.connections import rest_connection, wake_connection
from haven_core.domain.origin import Origin
from haven_core.errors import HavenError
from haven_core.rbac.access import ProjectAccess
from haven_core.tokens.grants import Claims
from haven_registry import selectors
from haven_registry.errors import BlobUnknown, RepositoryUnknown, UploadConflict, UploadUnknown
from haven_registry.models import Upload
from haven_registry.oci.digest import SUPPORTED_ALGORITHMS, Digest
from haven_registry.oci.errors import DigestInvalid, DigestUnsupported, OciError, RangeInvalid
from haven_registry.oci.http_ranges import format_upload_range, parse_content_range
from haven_registry.oci.reference import is_repository_name
from haven_registry.selectors import StoredBlob
from haven_registry.services import uploads as service
from haven_registry.services.blobs import mount_blob
from haven_registry.services.publishing import commit_upload
from haven_registry.services.repositories import get_or_create_repository
from haven_registry.services.uploads import OpenUpload
from haven_registry.storage.errors import ObjectMissing, StagedAhead, StagingLost, StorageError, UploadBusy
from haven_registry.store import driver
from haven_registry.v2 import carried, receiving
from haven_registry.v2.authorization import PULL, PUSH, Challenge, Identity, may_pull, scope, token_covers
from haven_registry.v2.carried import Outdated
from haven_registry.v2.errors import error_response, render
from haven_registry.v2.http import Request, Response

_log = logging.getLogger("haven.v2")
_SEAL_PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.2)


class _Here:
    """Where an upload request is: repository by name, the caller, what it may."""

    def __init__(
        self, request: Request, identity: Identity, access: ProjectAccess, project: str, repository: str
    ) -> None:
        self.request, self.identity, self.access = request, identity, access
        self.project, self.repository = project, repository

    @property
    def name(self) -> str:
        return f"{self.project}/{self.repository}"

    @property
    def owner(self) -> str:
        return self.identity.actor.subject

    def blob_created(self, digest: str) -> Response:
        location = f"/v2/{self.name}/blobs/{digest}"
        return Response(201, [("Location", location), ("Docker-Content-Digest", digest)])

    def progress(self, status: int, upload: OpenUpload) -> Response:
        return Response(
            status,
            [
                ("Location", self.location(upload)),
                ("Range", format_upload_range(upload.received_bytes)),
                ("Docker-Upload-UUID", str(upload.id)),
            ],
        )

    @property
    def origin(self) -> Origin:
        """Who asks, and from where."""
        return Origin(self.identity.actor.name, self.request.client_address)

    def location(self, upload: OpenUpload) -> str:
        """Path only: clients resolve it, and no proxy in between can make it wrong."""
        return f"/v2/{self.name}/blobs/uploads/{carried.write(upload, self.name)}"


def start(request: Request, identity: Identity, access: ProjectAccess, project: str, repository: str) -> Response:
    """POST: a new session; with ?mount a link instead, with ?digest the whole blob at once."""
    here = _Here(request, identity, access, project, repository)
    if mount := request.parameter("mount"):
        mounted = _mount(here, Digest.parse(mount), request.parameter("from"))
        if mounted is not None:
            return mounted
    digest = None if mount else request.parameter("digest")
    wanted = Digest.parse(digest) if digest else None
    algorithm = wanted.algorithm if wanted else request.parameter("digest-algorithm") or "sha256"
    if algorithm not in SUPPORTED_ALGORITHMS:
        raise DigestUnsupported(f"digest algorithm {algorithm[:32]!a} is not one of {', '.join(SUPPORTED_ALGORITHMS)}")
    # a promise costs nothing; one request that brings all has nothing of it
    begin = service.promise_upload if wanted is None and carried.holds(algorithm) else service.begin_upload
    upload = begin(project_id=access.project_id, repository=repository, owner=here.owner, algorithm=algorithm)
    if wanted is None:
        return here.progress(202, upload)
    try:
        upload = receiving.append_body(request, upload)
    except (OciError, HavenError):
        _cancel(upload)  # the client knows no address where it could go on
        raise
    return _finish(here, upload, wanted)


def mount_source(request: Request) -> str | None:
    """The repository a POST wants to mount from, if it could be one: its challenge asks for both at once, as docker and
    containerd expect."""
    source = request.parameter("from") if request.parameter("mount") else None
    return source if source and is_repository_name(source) and "/" in source else None


def _mount(here: _Here, digest: Digest, source: str | None) -> Response | None:
    """201 when the blob could be linked; None lets the caller answer 202 with a session, as for anything that can't be
    mounted (never 403 or 404: containerd gives up on those)."""
    if source is None:
        found = selectors.find_mountable_repository(here.access.project_id, str(digest))
    else:
        found = _readable_source(here, source)
    if found is None:
        return None
    repository_id = get_or_create_repository(here.access.project_id, here.repository)
    try:
        mount_blob(
            source_repository_id=found.id,
            repository_id=repository_id,
            project_id=here.access.project_id,
            digest=str(digest),
        )
    except (BlobUnknown, RepositoryUnknown):
        return None
    return here.blob_created(str(digest))


def _readable_source(here: _Here, source: str) -> selectors.FoundRepository | None:
    """The source repository, when the caller may pull from it.

    Both count: the caller's right now, and what the token was issued for. A token that was not issued for the source is
    challenged for one that is, if its owner could have it; who can't pull the source learns nothing.
    """
    if not is_repository_name(source) or "/" not in source or not may_pull(here.identity, source):
        return None
    if not token_covers(here.identity, source, PULL):
        raise Challenge(here.request, [scope(here.name, PUSH), scope(source, PULL)], "insufficient_scope")
    project, _, repository = source.partition("/")
    return selectors.find_repository(project, repository)


def session(
    request: Request, identity: Identity, access: ProjectAccess, project: str, repository: str, ref: str
) -> Response:
    """Everything on an existing session; another's session, or another repository's, is 404."""
    here = _Here(request, identity, access, project, repository)
    try:
        return _on_session(here, _carried(here, ref) or _find(here, ref))
    except Outdated:
        wake_connection()
        return _on_session(here, _find(here, ref))


def _on_session(here: _Here, upload: OpenUpload) -> Response:
    match here.request.method:
        case "PATCH":
            return _patch(here, upload)
        case "PUT":
            return _put(here, upload)
        case "DELETE":
            _cancel(upload)
            return Response(204)
        case _:
            _require_open(upload)
            return here.progress(204, upload)


def _find(here: _Here, ref: str) -> OpenUpload:
    wanted = _wanted(here.request) if here.request.method == "PUT" else None
    upload_id, state = _parse(ref)
    try:
        upload = service.find_upload(upload_id=upload_id, repository=here.name, owner=here.owner, digest=wanted)
    except UploadUnknown:
        upload = _promised(here, upload_id, state, wanted)
    _require_token_of(here, upload)
    return upload


def _promised(here: _Here, upload_id: UUID, state: str, wanted: str | None) -> OpenUpload:
    """A session that its address promises, recorded unless its state is asked for, or its end. Raises UploadUnknown."""
    upload = _read(here, upload_id, state)
    if upload is None or not upload.is_promised:
        raise UploadUnknown(str(upload_id))
    _require_token_of(here, upload)
    with suppress(UploadConflict):  # recorded meanwhile
        if here.request.method in ("PATCH", "PUT"):
            return service.record_upload(upload)
        if not service.was_recorded(upload_id):
            return upload
    return service.find_upload(upload_id=upload_id, repository=here.name, owner=here.owner, digest=wanted)


def _carried(here: _Here, ref: str) -> OpenUpload | None:
    """The session as its address has it, when that will do: for a body, or to publish what a PATCH brought."""
    upload_id, state = _parse(ref)
    if here.request.method not in ("PATCH", "PUT"):
        return None
    upload = _read(here, upload_id, state)
    if upload is None or not (here.request.has_body or upload.received_bytes):
        return None
    if here.request.method == "PUT" and not _may_end(here.request, upload):
        return None
    _require_token_of(here, upload)
    return upload


def _read(here: _Here, upload_id: UUID, state: str) -> OpenUpload | None:
    return carried.read(upload_id, state, project_id=here.access.project_id, repository=here.name, owner=here.owner)


def _may_end(request: Request, upload: OpenUpload) -> bool:
    """Whether a PUT's digest is one, and the bytes have it, as far as they have come; refusals are for who looked."""
    wanted = _wanted(request)
    return wanted is not None and (request.has_body or upload.prefix_digest == wanted)


def _parse(ref: str) -> tuple[UUID, str]:
    """The session's id, and what follows it in its address."""
    text, _, state = ref.partition(".")
    try:
        upload_id = UUID(text)
    except ValueError:
        raise UploadUnknown(text[:64]) from None
    if str(upload_id) != text:
        raise UploadUnknown(text[:64])
    return upload_id, state


def _require_token_of(here: _Here, upload: OpenUpload) -> None:
    """Raise Challenge when the caller's token had ended before the session began."""
    claims = here.identity.claims
    if here.identity.expired and claims is not None and not _began(upload, claims):
        raise Challenge(here.request, [scope(here.name, PUSH)], "invalid_token")


def _wanted(request: Request) -> str | None:
    """What a PUT is to publish; a digest that is none is refused later, once the session is known."""
    try:
        return str(Digest.parse(request.parameter("digest") or ""))
    except OciError:
        return None


def _began(upload: OpenUpload, claims: Claims) -> bool:
    """Whether the token was good when the session began, and ended no longer ago than a session may rest."""
    is_recent = time.time() <= claims.exp + config().upload_ttl.total_seconds()
    return is_recent and claims.iat <= upload.created_at.timestamp() <= claims.exp


def _require_open(upload: OpenUpload) -> None:
    if upload.state != Upload.OPEN:
        raise UploadUnknown(str(upload.id))


def _patch(here: _Here, upload: OpenUpload) -> Response:
    _require_open(upload)
    refusal = _range_refusal(here, upload)
    if refusal is not None:
        return refusal
    try:
        return here.progress(202, receiving.append_body(here.request, upload))
    except (UploadBusy, UploadConflict) as error:
        now = _now(here, upload)
        _require_open(now)
        return _with_status(here, now, render(error))


def _put(here: _Here, upload: OpenUpload) -> Response:
    text = here.request.parameter("digest")
    if not text:
        raise DigestInvalid("the digest parameter is missing; the upload is kept")
    digest = Digest.parse(text)
    if upload.state == Upload.COMMITTED and upload.digest == str(digest):
        return here.blob_created(str(digest))  # the client lost our first answer
    _require_open(upload)
    refusal = _range_refusal(here, upload)
    if refusal is not None:
        return refusal
    try:
        # all there already: the same PUT again, while the first is at its end
        if here.request.has_body and upload.prefix_digest != str(digest):
            upload = receiving.append_body(here.request, upload, digest.algorithm)
        return _finish(here, upload, digest)
    except (UploadBusy, UploadConflict, UploadUnknown) as error:
        now = _now(here, upload)
        if now.state == Upload.COMMITTED and now.digest == str(digest):
            return here.blob_created(str(digest))  # the same PUT, sent twice, has just ended
        _require_open(now)
        return _with_status(here, now, render(error))


def _range_refusal(here: _Here, upload: OpenUpload) -> Response | None:
    """What refuses a chunk, if anything does, before it is read. Raises Outdated when only the address says so."""
    refusal = _refused_range(here, upload)
    if refusal is not None and upload.is_carried:
        raise Outdated
    return refusal


def _refused_range(here: _Here, upload: OpenUpload) -> Response | None:
    """416 with the session's true state when a chunk does not begin where the bytes end; nothing has been read then."""
    header = here.request.environ.get("HTTP_CONTENT_RANGE")
    if not header:
        return None
    try:
        start, end = parse_content_range(header)
    except RangeInvalid as error:
        return _with_status(here, upload, render(error))
    if start != upload.received_bytes:
        message = f"the upload has {upload.received_bytes} bytes; a chunk beginning at {start} does not continue it"
        return _with_status(here, upload, error_response(416, "RANGE_INVALID", message))
    length = here.request.content_length
    if length is not None and length != end - start + 1:
        return error_response(
            400, "SIZE_INVALID", f"Content-Range has {end - start + 1} bytes, Content-Length {length}"
        )
    return None


def _now(here: _Here, upload: OpenUpload) -> OpenUpload:
    """The session as the request that was first has left it."""
    wake_connection()
    return service.find_upload(upload_id=upload.id, repository=here.name, owner=here.owner)


def _with_status(here: _Here, upload: OpenUpload, response: Response) -> Response:
    """Where to go on. No Range before the first byte: `0-0` would be read as one byte received."""
    response.headers.append(("Location", here.location(upload)))
    if upload.received_bytes:
        response.headers.append(("Range", format_upload_range(upload.received_bytes)))
    return response


def _finish(here: _Here, upload: OpenUpload, digest: Digest) -> Response:
    """Check the digest, make the bytes durable at their key, publish. A wrong digest ends the session with 400. An upload that
    is carried still brought no body with this request. Raises Outdated of one."""
    waiting_since = time.monotonic()
    rest_connection()
    try:
        receiving.require_digest(upload, digest)
    except OciError:
        _cancel(upload)
        raise
    _seal(upload)
    wake_connection(waiting_since)
    try:
        commit_upload(upload=upload, digest=str(digest), size=upload.received_bytes, is_sound=_is_sound)
    except (UploadConflict, UploadUnknown, RepositoryUnknown):
        if upload.is_carried:
            raise Outdated from None
        raise
    return here.blob_created(str(digest))


def _seal(upload: OpenUpload) -> None:
    """Publish the bytes. A request that comes too late holds the lock just long enough to find that out: waited for."""
    for pause in _SEAL_PAUSES_SECONDS:
        try:
            return _publish(upload)
        except UploadBusy:
            time.sleep(pause)
    return _publish(upload)


def _publish(upload: OpenUpload) -> None:
    try:
        driver().seal(upload.key, upload.staging, upload.received_bytes, may_cut=not upload.is_carried)
    except (StagedAhead, StagingLost):
        if upload.is_carried:
            raise Outdated from None
        raise


def _is_sound(stored: StoredBlob) -> bool:
    """Whether a blob's bytes are where they should be, all of them."""
    try:
        return driver().size(stored.storage_key) == stored.size
    except ObjectMissing:
        return False


def _cancel(upload: OpenUpload) -> None:
    """End the session, then remove its bytes; what is left by a crash in between is the sweeper's."""
    _require_open(upload)
    wake_connection()
    if upload.is_promised:
        return service.cancel_promise(upload)
    service.cancel_upload(upload.id)
    try:
        driver().abandon(upload.key, upload.staging)
    except StorageError:
        _log.warning("bytes of upload %s stay for the sweeper", upload.id, exc_info=True)
