"""`haven up --tls`: clients that trust the private CA get in, others don't."""

from pathlib import Path

import pytest
import requests

from tests.support.oci import random_image, read_layout, write_layout
from tests.support.stack import HavenServer, running_haven
from tests.support.tools import Sandbox, requires


@pytest.fixture(scope="module")
def secure():
    with running_haven(arguments=["--tls"]) as server:
        yield server


def ca_of(server: HavenServer) -> Path:
    assert server.data_dir is not None
    return server.data_dir / "tls" / "ca.crt"


def test_the_certificate_holds_for_the_address_and_for_localhost(secure: HavenServer) -> None:
    port = secure.host_port.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        answer = requests.get(f"https://{host}:{port}/v2/", verify=str(ca_of(secure)), timeout=10)
        assert answer.status_code == 401
        assert f'realm="https://{host}:{port}/service/token"' in answer.headers["WWW-Authenticate"]


def test_who_does_not_trust_the_authority_is_warned(secure: HavenServer) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{secure.url}/v2/", timeout=10)


def test_what_to_copy_where_is_printed(secure: HavenServer) -> None:
    assert secure.log is not None
    printed = secure.log.read_text()
    for text in (str(ca_of(secure)), "/etc/docker/certs.d/", "/etc/containers/certs.d/", "hosts.toml"):
        assert text in printed


@requires("skopeo")
def test_skopeo_with_the_authority_pushes_and_pulls(secure: HavenServer, sandbox: Sandbox, tmp_path: Path) -> None:
    certificates = tmp_path / "certs"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(ca_of(secure).read_bytes())
    layout = write_layout(tmp_path / "out", {"v1": random_image(50_000, layers=2)})
    target = f"docker://{secure.host_port}/library/tls:v1"
    credentials = f"{secure.admin_user}:{secure.admin_password}"
    push = ["skopeo", "copy", "--insecure-policy", "--dest-creds", credentials, f"oci:{layout}:v1", target]

    refused = sandbox.run(*push, ok=False)
    assert "certificate" in refused.stderr

    sandbox.run(*push, "--dest-cert-dir", certificates)
    back = tmp_path / "in"
    pull = ["skopeo", "copy", "--insecure-policy", "--src-creds", credentials, "--src-cert-dir", certificates]
    sandbox.run(*pull, target, f"oci:{back}:v1")
    assert read_layout(back) == read_layout(layout)
