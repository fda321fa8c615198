"""A small distribution client for tests: it shows every answer, repairs nothing and retries nothing but a challenge.

Methods named after one request return its `requests.Response`; `push`, `pull`, `push_blob`, `tags` are built of them
and raise `UnexpectedStatusError` when a step fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import urljoin

import requests

from tests.support.oci import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Blob, Manifest, digest_of

MANIFEST_TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
PushMethod = Literal["post-put", "single-post", "chunked", "stream", "put-chunk"]
PUSH_METHODS: tuple[PushMethod, ...] = ("post-put", "single-post", "chunked", "stream", "put-chunk")
Body = bytes | Iterable[bytes] | None

_CHALLENGE_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_RANGE = re.compile(r"0-([0-9]+)")


class UnexpectedStatusError(AssertionError):
    """A step of `push` or `pull` was answered otherwise than the specification's success."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        super().__init__(
            f"{response.request.method} {response.request.url} -> {response.status_code} {response.text[:400]}"
        )


def expect(response: requests.Response, *statuses: int) -> requests.Response:
    if response.status_code not in statuses:
        raise UnexpectedStatusError(response)
    return response


def error_codes(response: requests.Response) -> list[str]:
    """The codes of an error answer, whose body must be the specification's envelope."""
    assert response.headers["Content-Type"].split(";")[0] == "application/json", response.headers
    errors = response.json()["errors"]
    assert errors, "an error answer names at least one error"
    assert all(isinstance(entry["message"], str) for entry in errors), errors
    return [entry["code"] for entry in errors]


class RegistryClient:
    """One subject talking to one registry. Not thread-safe: give each thread its own (`clone`)."""

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        *,
        timeout: float = 60,
        verify: str | bool = True,
    ) -> None:
        self.url = url.rstrip("/")
        self.credentials = (username, password or "") if username is not None else None
        self.timeout = timeout
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between a test and its registry
        self.session.verify = verify
        self._authorisations: dict[str, str] = {}  # action, repository, mount source -> Authorization

    def clone(self) -> RegistryClient:
        found = RegistryClient(self.url, timeout=self.timeout, verify=self.session.verify or False)
        found.credentials = self.credentials
        return found

    def anonymous(self) -> RegistryClient:
        return RegistryClient(self.url, timeout=self.timeout, verify=self.session.verify or False)

    # -- requests ------------------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, data: Body = None, **options: Any
    ) -> requests.Response:
        """One request; a 401 with a challenge is answered once. A body given as an iterator can't be sent twice, so a
        request with one asks for its token first where the last token for such a request is known."""
        url = urljoin(self.url + "/", path)
        mounted_from = dict(options.get("params") or {}).get("from", "")
        key = f"{_action(method)} {_repository(path)} {mounted_from}"
        sent = dict(headers or {})
        options = {"timeout": self.timeout, "allow_redirects": method in ("GET", "HEAD"), **options}
        if "Authorization" in sent:
            return self.session.request(method, url, headers=sent, data=data, **options)
        if key in self._authorisations:
            sent["Authorization"] = self._authorisations[key]
        elif isinstance(data, Iterator):
            self._authorise_ahead(key)
            if key in self._authorisations:
                sent["Authorization"] = self._authorisations[key]
        response = self.session.request(method, url, headers=sent, data=data, **options)
        if response.status_code != 401 or isinstance(data, Iterator):
            return response
        authorisation = self.answer_challenge(response)
        if authorisation is None or authorisation == sent.get("Authorization"):
            return response
        self._authorisations[key] = authorisation
        sent["Authorization"] = authorisation
        return self.session.request(method, url, headers=sent, data=data, **options)

    def _authorise_ahead(self, key: str) -> None:
        """Learn the Authorization for a write from the challenge to an anonymous POST, which opens nothing."""
        repository = key.split(" ")[1]
        probe = self.session.request("POST", f"{self.url}/v2/{repository}/blobs/uploads/", timeout=self.timeout)
        if probe.status_code == 401 and (authorisation := self.answer_challenge(probe)):
            self._authorisations[key] = authorisation

    def answer_challenge(self, response: requests.Response) -> str | None:
        """The Authorization value a 401 asks for; None when it names no scheme, or the token service refuses."""
        scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        if scheme.lower() == "basic" and self.credentials:
            return requests.auth._basic_auth_str(*self.credentials)
        if scheme.lower() != "bearer":
            return None
        parameters = dict(_CHALLENGE_PARAMETER.findall(rest))
        answer = self.token(parameters["realm"], parameters.get("service"), parameters.get("scope", "").split())
        if answer.status_code != 200:
            return None
        return f"Bearer {answer.json()['token']}"

    def token(self, realm: str, service: str | None = None, scopes: Sequence[str] = ()) -> requests.Response:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        return self.session.get(realm, params=query, auth=self.credentials, timeout=self.timeout)

    def forget_tokens(self) -> None:
        self._authorisations.clear()

    def ping(self) -> requests.Response:
        return self.request("GET", "/v2/")

    # -- blobs ---------------------------------------------------------------------------------------------------

    def start_upload(self, repository: str, **parameters: str) -> requests.Response:
        return self.request("POST", f"/v2/{repository}/blobs/uploads/", params=parameters)

    def mount(self, repository: str, digest: str, source: str | None = None) -> requests.Response:
        return self.start_upload(repository, mount=digest, **({"from": source} if source else {}))

    def patch(self, location: str, data: Body, content_range: str | None = None) -> requests.Response:
        """PATCH; an iterator goes with Transfer-Encoding: chunked, bytes with Content-Length."""
        headers = {"Content-Type": "application/octet-stream"}
        if content_range:
            headers["Content-Range"] = content_range
        return self.request("PATCH", location, headers=headers, data=data)

    def finish_upload(
        self, location: str, digest: str | None, data: Body = b"", content_range: str | None = None
    ) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        if content_range:
            headers["Content-Range"] = content_range
        return self.request(
            "PUT", location, headers=headers, data=data, params={} if digest is None else {"digest": digest}
        )

    def upload_status(self, location: str) -> requests.Response:
        return self.request("GET", location)

    def cancel_upload(self, location: str) -> requests.Response:
        return self.request("DELETE", location)

    def post_blob(self, repository: str, digest: str, data: Body) -> requests.Response:
        """POST ?digest=: the whole upload in one request."""
        return self.request(
            "POST",
            f"/v2/{repository}/blobs/uploads/",
            params={"digest": digest},
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def head_blob(self, repository: str, digest: str) -> requests.Response:
        return self.request("HEAD", f"/v2/{repository}/blobs/{digest}")

    def get_blob(self, repository: str, digest: str, byte_range: str | None = None) -> requests.Response:
        headers = {"Range": byte_range} if byte_range else {}
        return self.request("GET", f"/v2/{repository}/blobs/{digest}", headers=headers)

    def delete_blob(self, repository: str, digest: str) -> requests.Response:
        return self.request("DELETE", f"/v2/{repository}/blobs/{digest}")

    def push_blob(
        self, repository: str, blob: Blob, method: PushMethod = "post-put", *, chunk: int | None = None
    ) -> requests.Response:
        """Upload by one of the specification's ways and return the closing 201.

        post-put: POST, PUT with the body (containerd). single-post: POST ?digest=, which may be answered 202 like a
        POST. chunked: PATCHes of `chunk` bytes with Content-Range, then an empty PUT. put-chunk: the same, the last
        chunk in the PUT. stream: one PATCH with Transfer-Encoding: chunked and no length (docker)."""
        if method == "single-post":
            answer = expect(self.post_blob(repository, blob.digest, blob.data), 201, 202)
            if answer.status_code == 201:
                return answer
            return expect(self.finish_upload(location_of(answer), blob.digest, blob.data), 201)
        started = expect(self.start_upload(repository), 202)
        location = location_of(started)
        if method == "post-put":
            return expect(self.finish_upload(location, blob.digest, blob.data), 201)
        if method == "stream":
            location = location_of(expect(self.patch(location, pieces(blob.data)), 202))
            return expect(self.finish_upload(location, blob.digest), 201)
        return self._push_in_chunks(blob, started, chunk, last_in_put=method == "put-chunk")

    def _push_in_chunks(
        self, blob: Blob, started: requests.Response, chunk: int | None, *, last_in_put: bool
    ) -> requests.Response:
        location = location_of(started)
        minimum = int(started.headers.get("OCI-Chunk-Min-Length", 0))
        step = max(chunk or len(blob.data) // 3, minimum, 1)
        starts = list(range(0, len(blob.data), step))
        for start in starts[:-1] if last_in_put else starts:
            part = blob.data[start : start + step]
            answer = expect(self.patch(location, part, f"{start}-{start + len(part) - 1}"), 202)
            assert range_end(answer) == start + len(part) - 1, answer.headers
            location = location_of(answer)
        if not (last_in_put and starts):
            return expect(self.finish_upload(location, blob.digest), 201)
        last = starts[-1]
        return expect(self.finish_upload(location, blob.digest, blob.data[last:], f"{last}-{len(blob.data) - 1}"), 201)

    # -- manifests -----------------------------------------------------------------------------------------------

    def put_manifest(
        self,
        repository: str,
        manifest: Manifest,
        reference: str | None = None,
        *,
        tags: Sequence[str] = (),
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """PUT under a tag or, without a reference, under its digest. `tags`: ?tag= parameters of a push by digest."""
        return self.request(
            "PUT",
            f"/v2/{repository}/manifests/{reference or manifest.digest}",
            data=manifest.payload,
            headers={"Content-Type": manifest.media_type, **(headers or {})},
            params=[("tag", tag) for tag in tags],
        )

    def get_manifest(
        self, repository: str, reference: str, accept: Sequence[str] = MANIFEST_TYPES, **headers: str
    ) -> requests.Response:
        return self.request(
            "GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(accept), **headers}
        )

    def head_manifest(
        self, repository: str, reference: str, accept: Sequence[str] = MANIFEST_TYPES
    ) -> requests.Response:
        return self.request("HEAD", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(accept)})

    def delete_manifest(self, repository: str, reference: str) -> requests.Response:
        return self.request("DELETE", f"/v2/{repository}/manifests/{reference}")

    def referrers(self, repository: str, digest: str, artifact_type: str | None = None) -> requests.Response:
        query = {"artifactType": artifact_type} if artifact_type else {}
        return self.request("GET", f"/v2/{repository}/referrers/{digest}", params=query)

    def push(self, repository: str, manifest: Manifest, tag: str | None = None) -> Manifest:
        """Blobs, children, then the manifest: by digest, or under the tag. Returns the manifest."""
        for blob in manifest.all_blobs():
            if self.head_blob(repository, blob.digest).status_code != 200:
                self.push_blob(repository, blob)
        *below, top = manifest.manifests()
        for child in below:
            expect(self.put_manifest(repository, child), 201)
        expect(self.put_manifest(repository, top, tag), 201)
        return manifest

    def pull(self, repository: str, reference: str) -> Manifest:
        """The manifest with all it names, every digest checked against the bytes. Foreign layers are left out."""
        answer = expect(self.get_manifest(repository, reference), 200)
        digest = answer.headers["Docker-Content-Digest"]
        algorithm = digest.split(":")[0]
        assert digest_of(answer.content, algorithm) == digest
        document = answer.json()
        blobs, children = [], []
        descriptors = [*([document["config"]] if "config" in document else []), *document.get("layers", [])]
        for descriptor in [*descriptors, *document.get("manifests", [])]:
            if descriptor["mediaType"] in MANIFEST_TYPES:
                children.append(self.pull(repository, descriptor["digest"]))
            elif "nondistributable" not in descriptor["mediaType"] and "foreign" not in descriptor["mediaType"]:
                blobs.append(self._pull_blob(repository, descriptor))
        return Manifest(answer.content, answer.headers["Content-Type"], tuple(blobs), tuple(children), algorithm)

    def _pull_blob(self, repository: str, descriptor: dict[str, Any]) -> Blob:
        data = expect(self.get_blob(repository, descriptor["digest"]), 200).content
        algorithm = descriptor["digest"].split(":")[0]
        assert digest_of(data, algorithm) == descriptor["digest"]
        return Blob(data, descriptor["mediaType"], algorithm)

    # -- lists ---------------------------------------------------------------------------------------------------

    def list_tags(self, repository: str, **parameters: str | int) -> requests.Response:
        return self.request("GET", f"/v2/{repository}/tags/list", params=parameters)

    def catalog(self, **parameters: str | int) -> requests.Response:
        return self.request("GET", "/v2/_catalog", params=parameters)

    def tags(self, repository: str, page: int | None = None) -> list[str]:
        """Every tag, following Link."""
        answer = expect(self.list_tags(repository, **({"n": page} if page else {})), 200)
        found: list[str] = answer.json()["tags"]
        while "next" in answer.links:
            answer = expect(self.request("GET", answer.links["next"]["url"]), 200)
            found += answer.json()["tags"]
        return found


def location_of(response: requests.Response) -> str:
    """The Location of an answer as an absolute URL."""
    return urljoin(str(response.url), response.headers["Location"])


def range_end(response: requests.Response) -> int:
    """The last byte an upload holds, by the Range header `0-<last>`."""
    match = _RANGE.fullmatch(response.headers.get("Range", ""))
    assert match, response.headers
    return int(match[1])


def pieces(data: bytes, step: int = 65536) -> Iterator[bytes]:
    """The data as a stream of unknown length."""
    return (data[start : start + step] for start in range(0, len(data), step))


def _repository(path: str) -> str:
    match = re.search(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/", path)
    return match[1] if match else ""


def _action(method: str) -> str:
    return {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "push")
