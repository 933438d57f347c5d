"""A certificate authority of the tests, with short-lived certificates.

It runs inside the virtual environment (it uses ``cryptography``).
"""

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .broker import TlsFiles

_VALIDITY = timedelta(days=1)
#: Clocks of two programs may differ a little.
_BACKDATED = timedelta(hours=1)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates of servers and of clients.

    :param name: its own name
    """

    def __init__(self, name: str = "Test Authority"):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False
            )
            .sign(self._key, hashes.SHA256())
        )
        #: its certificate, as PEM
        self.pem = _pem(self._certificate)

    def _builder(self, name, key) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + _VALIDITY)
        )

    def _issue(self, name: str, usage, hosts=()) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_name(name), key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self._key.public_key()
                ),
                False,
            )
        )
        if hosts:
            names = [_alternative(host) for host in hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        return _pem(builder.sign(self._key, hashes.SHA256())), _pem_key(key)

    def server_files(self, *hosts: str) -> TlsFiles:
        """Certificate and key of a server with these names and addresses."""
        certificate, key = self._issue(hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, hosts)
        return TlsFiles(self.pem, certificate, key)

    def client_files(self, name: str, folder: Path) -> tuple[Path, Path]:
        """Certificate and key of a client, as files, since Python wants files."""
        certificate, key = self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH)
        paths = folder / f"{name}.pem", folder / f"{name}-key.pem"
        for path, content in zip(paths, (certificate, key), strict=True):
            path.write_bytes(content)
        return paths


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
