"""The proof at start: a tiny image pushed to library/haven-proof and pulled back, over HTTP, byte for byte.

It uses a token issued here rather than the admin's password, which may have changed since the first start. What an
administrator decided since (read-only mode, a quota, no such project) is no failure of Haven: whoever is to undo it needs
it running. The same goes for a full disk.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from haven_core.accounts.services import admin_actor
from haven_core.domain.actor import Actor
from haven_core.errors import DatabaseUnavailable
from haven_core.rbac.access import project_access
from haven_core.tokens.grants import issue_token
from haven_core.tokens.scopes import Scope
from haven_registry.errors import RepositoryUnknown
from haven_registry.selectors import find_repository
from haven_registry.services.repositories import delete_repository
from haven_registry.services.trash import purge_trashed_repository

REPOSITORY = "library/haven-proof"
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
_LAYER = b"haven"
TIMEOUT_SECONDS = 30
_REFUSED = (403, 507)  # a policy or a quota; a full disk


class ProofError(Exception):
    """A step of the proof got another answer than it must; the text tells which."""


class PushRefused(Exception):
    """The registry answers, and takes no push now: the text tells why."""


def prove_push_and_pull(url: str, *, ca: Path | None = None) -> None:
    """Push, pull, compare, and leave nothing behind. Raises ProofError, PushRefused."""
    session = requests.Session()
    session.verify = str(ca) if ca else True
    session.trust_env = False  # a proxy of the environment does not lead back to this machine
    grant = Scope("repository", REPOSITORY, frozenset({"pull", "push"}))
    base = f"{url}/v2/{REPOSITORY}"
    try:
        _expect(session.get(f"{url}/v2/", timeout=TIMEOUT_SECONDS), 401)
        session.headers["Authorization"] = f"Bearer {issue_token(_pusher(), [grant]).token}"
        config, layer = (_push_blob(session, url, base, data) for data in (_CONFIG, _LAYER))
        manifest = json.dumps({"schemaVersion": 2, "mediaType": _IMAGE, "config": config, "layers": [layer]}).encode()
        headers = {"Content-Type": _IMAGE}
        _expect(session.put(f"{base}/manifests/proof", manifest, headers=headers, timeout=TIMEOUT_SECONDS), 201)
        pulled = _expect(session.get(f"{base}/manifests/proof", timeout=TIMEOUT_SECONDS), 200)
        blob = _expect(session.get(f"{base}/blobs/{layer['digest']}", timeout=TIMEOUT_SECONDS), 200)
        if pulled.content != manifest or blob.content != _LAYER:
            raise ProofError("what was pulled is not what was pushed")
    except requests.RequestException as error:
        raise ProofError(f"{url} does not answer: {error}") from error
    except PushRefused:
        with suppress(DatabaseUnavailable):
            _forget()
        raise
    _forget()


def _pusher() -> Actor:
    """The administrator, who can't be removed. Raises PushRefused without the project, which can."""
    admin = admin_actor()
    if project_access(admin, REPOSITORY.partition("/")[0]) is None:
        raise PushRefused("the project library was deleted")
    return admin


def _forget() -> None:
    """Not by way of the trash, which people look into."""
    found = find_repository(*REPOSITORY.split("/"))
    if found is not None:
        with suppress(RepositoryUnknown):  # another process is as far
            delete_repository(found.id)
            purge_trashed_repository(project_id=found.project_id, repository_id=found.id)


def _push_blob(session: requests.Session, url: str, base: str, data: bytes) -> dict[str, Any]:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    started = _expect(session.post(f"{base}/blobs/uploads/", timeout=TIMEOUT_SECONDS), 202)
    location = url + started.headers["Location"]
    _expect(session.put(location, data, params={"digest": digest}, timeout=TIMEOUT_SECONDS), 201)
    kind = "image.config.v1+json" if data == _CONFIG else "image.layer.v1.tar"
    return {"mediaType": f"application/vnd.oci.{kind}", "digest": digest, "size": len(data)}


def _expect(response: requests.Response, status: int) -> requests.Response:
    if response.status_code in _REFUSED:
        raise PushRefused(response.json()["errors"][0]["message"])
    if response.status_code != status:
        request = response.request
        raise ProofError(
            f"{request.method} {request.url} answered {response.status_code} instead of {status}: {response.text[:300]}"
        )
    return response
