"""A private certificate authority, so that unmodified clients can insist on TLS."""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.salesforce_emulator.errors import SalesforceError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

# One label per star, as certificates demand it.
_DNS_NAMES = (
    "localhost",
    "salesforce-emulator",  # the service of docker-compose.yaml
    "*.salesforce.com",
    "*.my.salesforce.com",
    "*.sandbox.my.salesforce.com",
)
_LIFETIME = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of one folder."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    @property
    def server(self) -> Path:
        """The server's certificate."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The server's private key."""
        return self.folder / "server-key.pem"

    @property
    def bundle(self) -> Path:
        """The bundle to point REQUESTS_CA_BUNDLE at: what was trusted before, and ours."""
        return self.folder / "ca-bundle.pem"


def ensure_certificates(folder: Path, now: datetime | None = None) -> Certificates:
    """Return the folder's certificates, made anew unless they are valid for a week still.

    The bundle is written every time, because the one in force may have changed.
    """
    now = now or datetime.now(UTC)
    certificates = Certificates(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not _are_valid(certificates, now):
        _issue(certificates, now)
    in_force = os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
    _write_bundle(certificates, Path(in_force))
    return certificates


def public_key(pem: str) -> str:
    """Return the public key, in PEM, of a certificate or of itself.

    Raises:
        SalesforceError: 400, it is neither.
    """
    try:
        if "CERTIFICATE" in pem:
            key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        else:
            key = serialization.load_pem_public_key(pem.encode())  # type: ignore[assignment]
    except ValueError as error:
        raise SalesforceError(400, "BAD_REQUEST", "the PEM cannot be read") from error
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def _are_valid(certificates: Certificates, now: datetime) -> bool:
    paths = (certificates.authority, certificates.server, certificates.server_key)
    if not all(path.exists() for path in paths):
        return False
    try:
        found = x509.load_pem_x509_certificate(certificates.server.read_bytes())
        authority = x509.load_pem_x509_certificate(certificates.authority.read_bytes())
    except ValueError:
        return False
    return found.not_valid_after_utc - _RENEW_BEFORE > now and found.issuer == authority.subject


def _write_bundle(certificates: Certificates, in_force: Path) -> None:
    own = certificates.authority.read_text(encoding="ascii")
    trusted = in_force.read_text(encoding="utf-8") if in_force.is_file() else ""
    if in_force != certificates.bundle:
        text = trusted if own in trusted else f"{trusted.rstrip()}\n{own}"
        certificates.bundle.write_text(text, encoding="utf-8")


def _issue(certificates: Certificates, now: datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    # A number in the name keeps clients from mixing up two generations of the authority.
    authority_name = _name(f"Salesforce emulator authority {secrets.token_hex(8)}")
    authority = _authority(authority_name, authority_key, now)
    server = _server(authority_name, authority_key, server_key, now)
    certificates.server_key.touch(mode=0o600)
    certificates.server_key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificates.server.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    certificates.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(now: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
    )


def _authority(name: x509.Name, key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    return (
        _builder(now)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _server(
    issuer: x509.Name,
    issuer_key: EllipticCurvePrivateKey,
    key: EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _DNS_NAMES]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    issuer_public = issuer_key.public_key()
    return (
        _builder(now)
        .subject_name(_name("Salesforce emulator"))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
