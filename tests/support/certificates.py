"""Certificates for a test: an authority and what it signs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority whose root certificate is in ``folder``.

    Parameters
    ----------
    folder
        Made for it.
    name
        What it calls itself.
    """

    def __init__(self, folder: Path, name: str = "Authority of the test") -> None:
        folder.mkdir(mode=0o711)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.root = folder / "root.crt"
        signed = _certificate(self._name, self._name, self._key, self._key, ca=True)
        self.root.write_bytes(signed.public_bytes(Encoding.PEM))

    def sign(self, host: str, folder: Path) -> tuple[Path, Path]:
        """Write a certificate for a host name to ``folder``; return it and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(_name(host), self._name, key, self._key, host=host)
        certificate, secret = folder / "server.crt", folder / "server.key"
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        secret.touch(0o600)
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, secret


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(  # noqa: PLR0913 - what a certificate is made of
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    host: str = "",
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if host:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())
