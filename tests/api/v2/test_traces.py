"""What clients send, request by request, in their order: docker, containerd, crane and kaniko, podman and skopeo,
regclient, oras and cosign, buildx, helm."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import pytest
import requests

from tests.api.v2.checks import challenge_of, check, check_created, check_resumable, check_session
from tests.support.client import location_of, pieces
from tests.support.oci import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Blob,
    Manifest,
    absent_digest,
    artifact,
    image,
    index,
    random_blob,
    random_image,
    random_layer,
)
from tests.support.stack import HavenServer


class Wire:
    """A client that keeps the token it asked for itself and sends exactly what it is told."""

    def __init__(self, haven: HavenServer) -> None:
        self.haven = haven
        self.session = requests.Session()
        self.session.trust_env = False

    def __call__(self, method: str, path: str, status: int, *codes: str, **options: object) -> requests.Response:
        options = {"timeout": 20, "allow_redirects": False, **options}
        answer = self.session.request(method, urljoin(self.haven.url, path), **options)  # type: ignore[arg-type]
        return check(answer, status, *codes)

    def log_in(self, *scopes: str, **parameters: str) -> None:
        """GET at the realm of the challenge, one scope parameter each."""
        challenge = challenge_of(self("GET", "/v2/", 401))
        query = [("service", challenge["service"]), *parameters.items(), *(("scope", scope) for scope in scopes)]
        auth = (self.haven.admin_user, self.haven.admin_password)
        answer = self.session.get(challenge["realm"], params=query, auth=auth, timeout=20)
        assert answer.status_code == 200
        self.session.headers["Authorization"] = f"Bearer {answer.json()['token']}"


@pytest.fixture
def wire(haven: HavenServer) -> Wire:
    return Wire(haven)


def with_digest(location: str, digest: str) -> str:
    """The query taken apart, sorted and put together again, as containerd does."""
    parts = urlsplit(location)
    query = sorted([*parse_qsl(parts.query), ("digest", digest)])
    return urlunsplit(parts._replace(query=urlencode(query)))


def test_docker_push_and_pull(wire: Wire, repository: str) -> None:
    manifest = image([random_layer(300_000)], docker=True)
    scopes = (f"repository:{repository}:push,pull", "repository:library/elsewhere:pull")
    wire.log_in(*scopes, account="admin", client_id="docker", offline_token="true")
    for blob in (manifest.blobs[1], manifest.blobs[0]):
        wire("HEAD", f"/v2/{repository}/blobs/{blob.digest}", 404)
        source = {"from": "library/elsewhere", "mount": blob.digest}
        started = wire("POST", f"/v2/{repository}/blobs/uploads/", 202, params=source)
        unused = wire("POST", f"/v2/{repository}/blobs/uploads/", 202)
        patched = wire("PATCH", location_of(started), 202, data=pieces(blob.data, 32 * 1024))
        check_session(patched, 202, repository, blob.size)
        done = wire("PUT", with_digest(location_of(patched), blob.digest), 201)
        check_created(done, repository, blob.digest)
        wire("DELETE", location_of(unused), 204)
        head = wire("HEAD", f"/v2/{repository}/blobs/{blob.digest}", 200)
        assert head.headers["Content-Length"] == str(blob.size)
    headers = {"Content-Type": DOCKER_MANIFEST}
    put = wire("PUT", f"/v2/{repository}/manifests/latest", 201, data=manifest.payload, headers=headers)
    assert put.headers["Docker-Content-Digest"] == manifest.digest

    types = [
        DOCKER_MANIFEST,
        DOCKER_LIST,
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        OCI_INDEX,
        OCI_MANIFEST,
    ]
    accept = {"Accept": ", ".join(types)}
    head = wire("HEAD", f"/v2/{repository}/manifests/latest", 200, headers=accept)
    digest = head.headers["Docker-Content-Digest"]
    assert wire("GET", f"/v2/{repository}/manifests/{digest}", 200, headers=accept).content == manifest.payload
    for blob in manifest.blobs:
        assert wire("GET", f"/v2/{repository}/blobs/{blob.digest}", 200).content == blob.data
    layer = manifest.blobs[1]
    rest = wire("GET", f"/v2/{repository}/blobs/{layer.digest}", 206, headers={"Range": "bytes=100000-"})
    assert rest.content == layer.data[100_000:]


def test_containerd_push(wire: Wire, repository: str) -> None:
    manifest = index([random_image(100_000)])
    wire.log_in(f"repository:{repository}:pull,push")
    for blob in manifest.all_blobs():
        accept = {"Accept": f"{blob.media_type}, */*"}
        wire("HEAD", f"/v2/{repository}/blobs/{blob.digest}", 404, headers=accept)
        started = wire("POST", f"/v2/{repository}/blobs/uploads/", 202)
        headers = {"Content-Type": "application/octet-stream"}
        done = wire("PUT", with_digest(location_of(started), blob.digest), 201, data=blob.data, headers=headers)
        assert done.headers["Docker-Content-Digest"] == blob.digest
    child, top = manifest.manifests()
    for one, reference in ((child, child.digest), (top, "v1")):
        path = f"/v2/{repository}/manifests/{reference}"
        wire("HEAD", path, 404, headers={"Accept": f"{one.media_type}, */*"})
        done = wire("PUT", path, 201, data=one.payload, headers={"Content-Type": one.media_type})
        assert done.headers["Docker-Content-Digest"] == one.digest
    # by a tag that is there: HEAD says which digest it is
    head = wire("HEAD", f"/v2/{repository}/manifests/v1", 200, headers={"Accept": f"{OCI_INDEX}, */*"})
    assert (head.headers["Docker-Content-Digest"], head.headers["Content-Length"]) == (top.digest, str(top.size))
    wire("GET", f"/v2/{repository}/blobs/{child.digest}", 404, "BLOB_UNKNOWN")  # its fallback for manifests


def test_crane_and_kaniko(wire: Wire, repository: str) -> None:
    manifest = artifact([random_blob(1000)], subject=random_image())
    wire.log_in(f"repository:{repository}:push,pull", "repository:library/base:pull")
    for blob in manifest.blobs:
        wire("HEAD", f"/v2/{repository}/blobs/{blob.digest}", 404)
        query = {"mount": blob.digest, "from": "library/base", "origin": "docker.io"}
        headers = {"Content-Type": "application/json"}
        started = wire("POST", f"/v2/{repository}/blobs/uploads/", 202, params=query, headers=headers)
        headers = {"Content-Type": "application/octet-stream"}
        patched = wire("PATCH", location_of(started), 202, data=blob.data, headers=headers)
        done = wire("PUT", with_digest(location_of(patched), blob.digest), 201)
        check_created(done, repository, blob.digest)
    done = wire(
        "PUT", f"/v2/{repository}/manifests/v1", 201, data=manifest.payload, headers={"Content-Type": OCI_MANIFEST}
    )
    subject = manifest.document["subject"]["digest"]
    assert done.headers["OCI-Subject"] == subject
    found = wire("GET", f"/v2/{repository}/referrers/{subject}", 200).json()["manifests"]
    assert [one["digest"] for one in found] == [manifest.digest]


def test_podman_and_skopeo(wire: Wire, project: str) -> None:
    source, target, manifest = f"{project}/source", f"{project}/target", random_image(100_000)
    wire.log_in(f"repository:{source}:pull,push", f"repository:{target}:pull,push", account="admin")
    layer, other = manifest.blobs[1], absent_digest()
    for blob in manifest.blobs:
        started = wire("POST", f"/v2/{source}/blobs/uploads/", 202)
        patched = wire("PATCH", location_of(started), 202, data=blob.data)
        wire("PUT", with_digest(location_of(patched), blob.digest), 201)
        wire("HEAD", f"/v2/{source}/blobs/{blob.digest}", 200)
        mounted = wire("POST", f"/v2/{target}/blobs/uploads/", 201, params={"mount": blob.digest, "from": source})
        check_created(mounted, target, blob.digest)
    refused = wire("POST", f"/v2/{target}/blobs/uploads/", 202, params={"mount": other, "from": source})
    wire("DELETE", location_of(refused), 204)
    started = wire("POST", f"/v2/{target}/blobs/uploads/", 202)
    patched = wire("PATCH", location_of(started), 202, data=pieces(layer.data))
    wire("PUT", with_digest(location_of(patched), layer.digest), 201)
    wire("PUT", f"/v2/{target}/manifests/v1", 201, data=manifest.payload, headers={"Content-Type": OCI_MANIFEST})

    wire.session.headers.pop("Authorization")
    wire.log_in(f"repository:{target}:*", account="admin")
    head = wire("HEAD", f"/v2/{target}/manifests/v1", 200)
    wire("DELETE", f"/v2/{target}/manifests/{head.headers['Docker-Content-Digest']}", 202)
    wire("GET", f"/v2/{target}/manifests/v1", 404, "MANIFEST_UNKNOWN")


def test_regclient(wire: Wire, repository: str) -> None:
    blob = random_blob(10_000)
    wire.log_in(f"repository:{repository}:pull,push")
    started = wire("POST", f"/v2/{repository}/blobs/uploads/", 202, params={"mount": blob.digest})
    location = location_of(started)
    upload = started.headers["Docker-Upload-UUID"]
    chunk = wire("PATCH", location, 202, data=blob.data[:4000], headers={"Content-Range": "0-3999"})
    assert (chunk.headers["Range"], chunk.headers["Docker-Upload-UUID"]) == ("0-3999", upload)
    lost = wire("PATCH", location, 416, data=blob.data[:4000], headers={"Content-Range": "0-3999"})
    check_resumable(lost, 4000)
    status = check_session(wire("GET", location, 204), 204, repository, 4000)
    following = int(status.headers["Range"].partition("-")[2]) + 1
    wire("PATCH", location, 202, data=blob.data[following:], headers={"Content-Range": f"{following}-9999"})
    check_created(wire("PUT", with_digest(location, blob.digest), 201), repository, blob.digest)
    wire("POST", f"/v2/{repository}/blobs/uploads/", 201, params={"mount": blob.digest})
    aborted = wire("POST", f"/v2/{repository}/blobs/uploads/", 202)
    wire("DELETE", location_of(aborted), 204)


def test_oras_attach_and_cosign_sign(wire: Wire, repository: str) -> None:
    subject = random_image()
    wire.log_in(f"repository:{repository}:pull,push")
    push(wire, repository, subject, "v1")
    zero = "sha256:" + "0" * 64
    ping = wire("GET", f"/v2/{repository}/referrers/{zero}", 200)
    assert ping.headers["Content-Type"] == OCI_INDEX
    signature = artifact(
        [random_blob(300)], subject=subject, artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json"
    )
    for blob in signature.blobs:
        wire("HEAD", f"/v2/{repository}/blobs/{blob.digest}", 404)
    push(wire, repository, signature, signature.digest)
    found = wire("GET", f"/v2/{repository}/referrers/{subject.digest}", 200).json()["manifests"]
    assert [one["digest"] for one in found] == [signature.digest]
    # what came before the referrers API: tags, read, changed and written back
    tag = subject.digest.replace(":", "-")
    wire("GET", f"/v2/{repository}/manifests/{tag}", 404, "MANIFEST_UNKNOWN")
    fallback = index([signature])
    headers = {"Content-Type": OCI_INDEX, "If-None-Match": "*"}
    wire("PUT", f"/v2/{repository}/manifests/{tag}", 201, data=fallback.payload, headers=headers)
    wire("PUT", f"/v2/{repository}/manifests/{tag}", 412, data=fallback.payload, headers=headers)
    old = image([Blob(b'{"critical":{}}', "application/vnd.dev.cosign.simplesigning.v1+json")])
    push(wire, repository, old, f"{tag}.sig")
    assert wire("GET", f"/v2/{repository}/manifests/{tag}.sig", 200).content == old.payload


def test_buildx_cache(wire: Wire, repository: str) -> None:
    layer = random_layer(2000)
    config = Blob(b'{"layers":[],"records":[]}', "application/vnd.buildkit.cacheconfig.v0")
    wire.log_in(f"repository:{repository}:pull,push")
    for docker in (False, True):
        cache = index([layer, config], docker=docker)
        push(wire, repository, cache, "cache")
        got = wire("GET", f"/v2/{repository}/manifests/cache", 200)
        assert (got.content, got.headers["Content-Type"]) == (cache.payload, cache.media_type)
    as_image = image([layer], config=config)
    push(wire, repository, as_image, "cache")
    assert wire("GET", f"/v2/{repository}/blobs/{layer.digest}", 200).content == layer.data


def test_helm_push_and_pull_by_range(wire: Wire, repository: str) -> None:
    config = Blob(b'{"name":"app","version":"1.2.3+a"}', "application/vnd.cncf.helm.config.v1+json")
    chart = random_blob(3000, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    provenance = random_blob(500, "application/vnd.cncf.helm.chart.provenance.v1.prov")
    wire.log_in(f"repository:{repository}:pull,push")
    layers = sorted([chart, provenance], key=lambda blob: blob.digest)
    pushed = image(layers, config=config)
    for version in ("1.2.3_a", "1.2.2", "not-a-version"):
        push(wire, repository, pushed, version)
    first = wire("GET", f"/v2/{repository}/tags/list", 200, params={"n": 2})
    following = wire("GET", first.links["next"]["url"], 200)
    assert first.json()["tags"] + following.json()["tags"] == ["1.2.2", "1.2.3_a", "not-a-version"]
    assert wire("GET", f"/v2/{repository}/manifests/1.2.3_a", 200).content == pushed.payload


def push(wire: Wire, repository: str, manifest: Manifest, reference: str) -> None:
    """As oras does: HEAD, POST, PUT."""
    for blob in manifest.all_blobs():
        answer = wire.session.head(f"{wire.haven.url}/v2/{repository}/blobs/{blob.digest}", timeout=20)
        if answer.status_code == 404:
            started = wire("POST", f"/v2/{repository}/blobs/uploads/", 202)
            wire("PUT", with_digest(location_of(started), blob.digest), 201, data=blob.data)
    for one in manifest.manifests():
        path = f"/v2/{repository}/manifests/{reference if one is manifest else one.digest}"
        wire("PUT", path, 201, data=one.payload, headers={"Content-Type": one.media_type})
