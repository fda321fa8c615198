"""A private certificate authority and one server certificate, for installations that have none.

    DIR/ca.crt      the authority, 10 years; clients must trust it
    DIR/ca.key      its key, 0600
    DIR/server.crt  the server's, 397 days, for all names and addresses
    DIR/server.key  its key (PKCS #8, unencrypted), 0600

`cryptography` is imported inside the functions: the supervisor, which stays in memory, does not need it.
"""

import ipaddress
import itertools
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from haven_deploy.data_dir import write_atomically

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

CA_DAYS = 3650
SERVER_DAYS = 397  # what Apple's clients accept at most is 398
RENEW_DAYS = 30
CLOCK_SKEW = timedelta(hours=1)  # a client whose clock is behind accepts a new certificate


@dataclass(frozen=True)
class Certificates:
    """ca_renewed: clients must be given the new ca.crt. server_renewed: a running gateway must be reloaded."""

    ca: Path
    certificate: Path
    key: Path
    ca_renewed: bool
    server_renewed: bool


def ensure_certificates(
    directory: Path, names: Iterable[str], addresses: Iterable[str], *, now: datetime | None = None
) -> Certificates:
    """Make what is missing, ends within 30 days, does not fit together, or is for other names; keep everything else.

    names: DNS names. addresses: IP addresses. now: for tests.
    Raises: ValueError for a malformed address, or no name at all.
    """
    now = now or datetime.now(UTC)
    wanted_names = {name.lower().rstrip(".") for name in names}
    wanted_addresses = {ipaddress.ip_address(address) for address in addresses}
    if not wanted_names and not wanted_addresses:
        raise ValueError("a certificate needs at least one name or address")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = Certificates(directory / "ca.crt", directory / "server.crt", directory / "server.key", False, False)
    ca = _load_pair(paths.ca, directory / "ca.key", now)
    ca_renewed = ca is None
    if ca is None:
        ca = _make_ca(now)
        _write_pair(paths.ca, directory / "ca.key", *ca)
    server = _load_pair(paths.certificate, paths.key, now)
    server_renewed = server is None or not _is_for(server[0], ca[0], wanted_names, wanted_addresses)
    if server_renewed:
        _write_pair(paths.certificate, paths.key, *_make_server(ca, wanted_names, wanted_addresses, now))
    return Certificates(paths.ca, paths.certificate, paths.key, ca_renewed, server_renewed)


def _load_pair(
    certificate_path: Path, key_path: Path, now: datetime
) -> "tuple[x509.Certificate, EllipticCurvePrivateKey] | None":
    """The pair, or None unless both are there, belong together and last for another 30 days."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        return None
    if certificate.not_valid_after_utc - now < timedelta(days=RENEW_DAYS):
        return None
    return certificate, key


def _is_for(
    certificate: "x509.Certificate", ca: "x509.Certificate", names: set[str], addresses: set[IPAddress]
) -> bool:
    """Whether the authority issued it for exactly these names and addresses."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(ca)
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return set(held.get_values_for_type(x509.DNSName)) == names and (
        set(held.get_values_for_type(x509.IPAddress)) == addresses
    )


def _make_ca(now: datetime) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    # The date tells two authorities of one host apart where people see them: in a trust store.
    title = f"Haven CA {socket.gethostname()} {now:%Y-%m-%d}"[:64]
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title)])
    builder = _builder(subject, subject, key.public_key(), key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _make_server(
    ca: "tuple[x509.Certificate, EllipticCurvePrivateKey]",
    names: set[str],
    addresses: set[IPAddress],
    now: datetime,
) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    title = next(iter(sorted(names)), "") or str(min(addresses, key=str))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title[:64])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(names)]
    alternatives += [x509.IPAddress(address) for address in sorted(addresses, key=str)]
    builder = _builder(subject, ca[0].subject, key.public_key(), ca[1].public_key(), now, SERVER_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(ca[1], hashes.SHA256()), key


def _builder(
    subject: "x509.Name", issuer: "x509.Name", key: object, issuer_key: object, now: datetime, days: int
) -> "x509.CertificateBuilder":
    from cryptography import x509

    begin = now - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)  # type: ignore[arg-type]
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)  # type: ignore[arg-type]
    )


def _key_usage(*, signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(
    certificate_path: Path, key_path: Path, certificate: "x509.Certificate", key: "EllipticCurvePrivateKey"
) -> None:
    """Both files 0600. A crash between the two leaves a pair that does not match, which the next start replaces."""
    from cryptography.hazmat.primitives import serialization

    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_atomically(key_path, pem.decode())
    write_atomically(certificate_path, certificate.public_bytes(serialization.Encoding.PEM).decode())


def local_names_and_addresses() -> tuple[list[str], list[str]]:
    """This machine's names and the IP addresses of its interfaces, loopback included. Asks no name server."""
    names = {"localhost", socket.gethostname().lower()}
    addresses = {"127.0.0.1", "::1", *_ipv4_addresses(), *_ipv6_addresses()}
    return sorted(name for name in names if name), sorted(addresses)


def _ipv4_addresses() -> Iterable[str]:
    """Addresses of type LOCAL in the kernel's routing table; each stands on the line above its type."""
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        return
    for above, line in itertools.pairwise(lines):
        if "/32 host LOCAL" in line:
            yield above.split()[-1]


def _ipv6_addresses() -> Iterable[str]:
    """Global addresses (scope 00); link-local ones have a zone and fit in no certificate."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        digits, _, _, scope, *_ = line.split()
        if scope == "00":
            yield str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def trust_instructions(ca: Path, host: str, port: int) -> str:
    """What to copy where, so that clients trust the authority. Commands for root on the clients' machines."""
    registry = f"{host}:{port}" if port != 443 else host
    source = os.fspath(ca)
    return f"""\
Clients must trust Haven's certificate authority {source}.
Copy it to each of them (here called ca.crt), then, as root:

docker
  mkdir -p /etc/docker/certs.d/{registry}
  cp ca.crt /etc/docker/certs.d/{registry}/ca.crt

podman, skopeo, buildah
  mkdir -p /etc/containers/certs.d/{registry}
  cp ca.crt /etc/containers/certs.d/{registry}/ca.crt

containerd (config_path = "/etc/containerd/certs.d")
  mkdir -p /etc/containerd/certs.d/{registry}
  cp ca.crt /etc/containerd/certs.d/{registry}/ca.crt
  cat > /etc/containerd/certs.d/{registry}/hosts.toml <<'EOF'
server = "https://{registry}"

[host."https://{registry}"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/{registry}/ca.crt"
EOF

the whole system (browsers may keep a store of their own)
  Debian, Ubuntu:   cp ca.crt /usr/local/share/ca-certificates/haven.crt && update-ca-certificates
  Fedora, RHEL:     cp ca.crt /etc/pki/ca-trust/source/anchors/haven.crt && update-ca-trust
"""
