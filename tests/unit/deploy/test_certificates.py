import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from haven_deploy.certificates import ensure_certificates, local_names_and_addresses, trust_instructions

NOW = datetime(2027, 1, 1, tzinfo=UTC)
NAMES = ["Registry.example.", "localhost"]
ADDRESSES = ["127.0.0.1", "::1"]


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def test_authority_can_sign_servers_and_nothing_below(tmp_path):
    ca = load(ensure_certificates(tmp_path / "tls", NAMES, ADDRESSES, now=NOW).ca)

    assert extension(ca, x509.BasicConstraints).critical
    assert extension(ca, x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    assert extension(ca, x509.KeyUsage).value.key_cert_sign
    assert ca.public_key().curve.name == "secp256r1"
    assert ca.not_valid_after_utc - ca.not_valid_before_utc == timedelta(days=3650)


def test_server_certificate_names_every_name_and_address(tmp_path):
    made = ensure_certificates(tmp_path / "tls", NAMES, ADDRESSES, now=NOW)
    server = load(made.certificate)

    names = extension(server, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "registry.example"]
    assert set(names.get_values_for_type(x509.IPAddress)) == {ipaddress.ip_address(a) for a in ADDRESSES}
    assert extension(server, x509.BasicConstraints).value.ca is False
    assert list(extension(server, x509.ExtendedKeyUsage).value) == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    assert server.not_valid_after_utc - server.not_valid_before_utc == timedelta(days=397)
    server.verify_directly_issued_by(load(made.ca))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)


def test_everything_is_private(tmp_path):
    ensure_certificates(tmp_path / "tls", NAMES, ADDRESSES)

    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()} == dict.fromkeys(
        ["ca.crt", "ca.key", "server.crt", "server.key"], 0o600
    )


def renewed(tmp_path, names=NAMES, addresses=ADDRESSES, now=NOW):
    made = ensure_certificates(tmp_path / "tls", names, addresses, now=now)
    return made.ca_renewed, made.server_renewed


def test_what_is_good_is_kept(tmp_path):
    assert renewed(tmp_path) == (True, True)
    before = {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()}

    assert renewed(tmp_path, [*reversed(NAMES)], ["::1", "127.0.0.1"], NOW + timedelta(days=366)) == (False, False)
    assert {path: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"names": ["localhost"]}, (False, True)),
        ({"addresses": ["127.0.0.1", "192.0.2.1"]}, (False, True)),
        ({"now": NOW + timedelta(days=368)}, (False, True)),
        ({"now": NOW + timedelta(days=3621)}, (True, True)),
    ],
)
def test_what_does_not_fit_is_renewed(tmp_path, change, expected):
    renewed(tmp_path)

    assert renewed(tmp_path, **change) == expected
    assert renewed(tmp_path, **change) == (False, False)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("server.key", None, (False, True)),
        ("server.crt", "garbage", (False, True)),
        ("ca.key", None, (True, True)),
        ("ca.crt", "garbage", (True, True)),
    ],
)
def test_damage_is_repaired(tmp_path, name, content, expected):
    renewed(tmp_path)
    path = tmp_path / "tls" / name
    path.unlink() if content is None else path.write_text(content)

    assert renewed(tmp_path) == expected
    assert renewed(tmp_path) == (False, False)


def test_key_of_another_certificate_is_noticed(tmp_path):
    renewed(tmp_path)
    renewed(tmp_path / "other")
    (tmp_path / "tls" / "server.key").write_bytes((tmp_path / "other" / "tls" / "server.key").read_bytes())

    assert renewed(tmp_path) == (False, True)


def test_no_name_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one name"):
        ensure_certificates(tmp_path / "tls", [], [])
    assert not any(tmp_path.iterdir())


def test_local_names_are_fit_for_a_certificate(tmp_path):
    names, addresses = local_names_and_addresses()

    assert "localhost" in names
    assert {"127.0.0.1", "::1"} <= set(addresses)
    assert renewed(tmp_path, names, addresses) == (True, True)


def test_instructions_name_the_folders_of_each_client(tmp_path):
    text = trust_instructions(tmp_path / "ca.crt", "registry.example", 8443)

    for path in (
        "/etc/docker/certs.d/registry.example:8443/ca.crt",
        "/etc/containers/certs.d/registry.example:8443/ca.crt",
        "/etc/containerd/certs.d/registry.example:8443/hosts.toml",
    ):
        assert path in text
    assert str(tmp_path / "ca.crt") in text
    assert "certs.d/registry.example/ca.crt" in trust_instructions(tmp_path / "ca.crt", "registry.example", 443)
