"""Many clients push small artifacts into one project at once."""

import base64
import hashlib
import http.client
import json
import os
import threading
import time
from dataclasses import dataclass, field

from tests.support.oci import OCI_MANIFEST
from tests.support.stack import HavenServer

LAYER_BYTES = 1024
_CONFIG = b"{}"
_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass
class Pushed:
    """What all clients did; the sizes are those a project is charged with, in bytes."""

    artifacts: int = 0
    charged: int = len(_CONFIG)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def push_at_once(
    server: HavenServer, project: str, *, clients: int, seconds: float, one_repository: bool
) -> tuple[Pushed, float]:
    """What was pushed until `seconds` were over, and the time it took. Each client pushes one artifact after another, as
    `oras push` does: is the config there, begin an upload, send the layer, put the manifest."""
    done, lock = Pushed(), threading.Lock()
    names = [f"{project}/{'app' if one_repository else f'app-{number}'}" for number in range(clients)]
    tokens = {repository: _token(server, repository) for repository in set(names)}
    for repository, token in tokens.items():
        _push_blob(_Connection(server.host_port, token), repository, _CONFIG)
    ready = threading.Barrier(clients + 1)
    ends: list[float] = []

    def client(number: int) -> None:
        repository = names[number]
        connection = _Connection(server.host_port, tokens[repository])
        ready.wait()
        while time.monotonic() < ends[0]:
            began = time.monotonic()
            try:
                size = _push(connection, repository, os.urandom(LAYER_BYTES), f"{number}-{began}")
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                with lock:
                    done.failures.append(str(error))
                return
            with lock:
                done.artifacts, done.charged = done.artifacts + 1, done.charged + size
                done.seconds.append(time.monotonic() - began)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    ends.append(began + seconds)
    ready.wait()
    for thread in threads:
        thread.join()
    return done, time.monotonic() - began


class _Connection:
    """A kept connection; anything but the expected status is an error."""

    def __init__(self, host_port: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(host_port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: bytes | None, wanted: int, kind: str = "") -> str:
        """Returns the answer's Location."""
        headers = {**self._headers, "Content-Type": kind} if kind else self._headers
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != wanted:
            raise RuntimeError(f"{method} {path.partition('?')[0]} -> {answer.status} {said[:200]!r}")
        return answer.getheader("Location") or ""


def _push_blob(connection: _Connection, repository: str, data: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    location = connection.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", 202)
    joined = "&" if "?" in location else "?"
    connection.ask("PUT", f"{location}{joined}digest={digest}", data, 201, "application/octet-stream")
    return digest


def _push(connection: _Connection, repository: str, layer: bytes, nonce: str) -> int:
    """One artifact; returns the bytes it is charged with."""
    config = "sha256:" + hashlib.sha256(_CONFIG).hexdigest()
    connection.ask("HEAD", f"/v2/{repository}/blobs/{config}", None, 200)
    digest = _push_blob(connection, repository, layer)
    manifest = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.thing",
        "config": {"mediaType": _EMPTY, "digest": config, "size": len(_CONFIG)},
        "layers": [{"mediaType": "application/octet-stream", "digest": digest, "size": len(layer)}],
        "annotations": {"nonce": nonce},
    }  # fmt: skip
    payload = json.dumps(manifest).encode()
    connection.ask("PUT", f"/v2/{repository}/manifests/t{hashlib.md5(payload).hexdigest()}", payload, 201, OCI_MANIFEST)
    return len(payload) + len(layer)


def _token(server: HavenServer, repository: str) -> str:
    pair = base64.b64encode(f"{server.admin_user}:{server.admin_password}".encode()).decode()
    query = f"service=haven-registry&scope=repository:{repository}:pull,push"
    connection = http.client.HTTPConnection(server.host_port, timeout=60)
    connection.request("GET", f"/service/token?{query}", headers={"Authorization": f"Basic {pair}"})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"no token: {answer.status} {said[:200]!r}")
    return str(json.loads(said)["token"])
