"""The address of an upload session carries what the last answer knew of it, so that the next request need not look it up.

`<uuid>` or `<uuid>.<state>`: clients send back what they were given (distribution-spec, "Pushing a blob in chunks"). The state
is sealed for the session, the repository and the owner; it holds what no client is told, such as whether others have the bytes.
The address that POST answers is all there is of a session: it promises one, which is recorded with its first bytes (ADR 0026).
The others may be old: of a client that goes by its first address, or of two at once. Whoever goes by it finds that out,
takes back what it staged, says Outdated, and then the session is looked up (ADR 0025). Only where the storage sees what is
staged: S3 believes the state it is given.
"""

import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from haven_core.conf import config
from haven_core.sealing import Unsealable, seal, unseal
from haven_registry.models import Upload
from haven_registry.services.uploads import OpenUpload, promise_upload
from haven_registry.store import driver

LASTS_SECONDS = 600
"""From the session's begin; a longer push can afford a look-up. A promise holds for as long as a session may rest."""
_PURPOSE = "upload address 2"  # another number for another _FORM
_ALGORITHM = "sha256"
_FORM = struct.Struct(">QQQIQ?41s32s")  # in the order of _pack
_PROMISE = struct.Struct(">Q")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_DIGEST = bytes(32)


class Outdated(Exception):
    """The session is not, or not for sure, as its address says. It was left as it is, and the body can be asked for again."""


def holds(algorithm: str) -> bool:
    """Whether an address can carry a session of this algorithm."""
    return driver().sees_staged and algorithm == _ALGORITHM


def write(upload: OpenUpload, repository: str) -> str:
    """The last segment of the session's address. repository: its full name."""
    if not (upload.is_promised or (driver().sees_staged and _fits(upload))):
        return str(upload.id)
    sealed = seal(_pack(upload), purpose=_PURPOSE, place=_place(upload.id, repository, upload.owner))
    return f"{upload.id}.{urlsafe_b64encode(sealed).decode()}"


def read(upload_id: UUID, state: str, *, project_id: int, repository: str, owner: str) -> OpenUpload | None:
    """What write() wrote for this session, repository and owner; None for anything else, and when it is too old. project_id:
    of the project that has the name by now, which is a promise's."""
    if not driver().sees_staged:
        return None
    try:
        packed = unseal(urlsafe_b64decode(state), purpose=_PURPOSE, place=_place(upload_id, repository, owner))
    except (ValueError, Unsealable):
        return None
    if len(packed) == _PROMISE.size:
        return _promise(upload_id, packed, project_id, repository.partition("/")[2], owner)
    repository_id, its_project, created, version, received, is_new, key, digest = _FORM.unpack(packed)
    if _is_over(created, LASTS_SECONDS):
        return None
    return OpenUpload(
        upload_id, repository_id, its_project, key.decode(), Upload.OPEN, owner, _ALGORITHM, received,
        None if digest == _NO_DIGEST else f"{_ALGORITHM}:{digest.hex()}", {"bytes": received} if version else None,
        version, None, _EPOCH + created * _MICROSECOND, is_new, is_carried=True,
    )  # fmt: skip


def _promise(upload_id: UUID, packed: bytes, project_id: int, name: str, owner: str) -> OpenUpload | None:
    (created,) = _PROMISE.unpack(packed)
    if _is_over(created, config().upload_ttl.total_seconds()):
        return None
    before = (upload_id, _EPOCH + created * _MICROSECOND)
    return promise_upload(project_id=project_id, repository=name, owner=owner, algorithm=_ALGORITHM, before=before)


def _is_over(created: int, seconds: float) -> bool:
    return time.time() > created / 1_000_000 + seconds


def _fits(upload: OpenUpload) -> bool:
    """Whether it can be said in _FORM: the session of one hash, whose staging says nothing but how many bytes there are."""
    has_digest = upload.received_bytes == 0 or (upload.prefix_digest or "").startswith(f"{_ALGORITHM}:")
    staging = {"bytes": upload.received_bytes} if upload.version else None
    return has_digest and upload.algorithm == _ALGORITHM and upload.staging == staging and not upload.is_committed


def _pack(upload: OpenUpload) -> bytes:
    created = (upload.created_at - _EPOCH) // _MICROSECOND
    if upload.is_promised:
        return _PROMISE.pack(created)
    digest = bytes.fromhex(upload.prefix_digest.partition(":")[2]) if upload.prefix_digest else _NO_DIGEST
    return _FORM.pack(
        upload.repository_id, upload.project_id, created, upload.version, upload.received_bytes, upload.is_new,
        upload.key.encode(), digest,
    )  # fmt: skip


def _place(upload_id: UUID, repository: str, owner: str) -> str:
    return f"{upload_id}\n{repository}\n{owner}"
