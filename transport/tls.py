# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""TLS for requests that leave: client certificates and private authorities.

Sources: RFC 8446 (TLS 1.3, client authentication), RFC 7468 (PEM), RFC 5280 (validity).

Verification of the receiver is never switched off: a private authority takes the place
of the public ones, it does not weaken them.
"""

import contextlib
import os
import re
import secrets as random_source
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from . import constants as const

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----", re.DOTALL
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


class CertificateError(ValueError):
    """A certificate or its key can't be used.

    :ivar code: ``bad_certificate``, ``bad_key``, ``key_in_certificate``,
        ``not_a_pair`` or ``bad_authority``.
    :ivar message: a sentence for a person, which says what to do. It never contains
        anything of a key.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says.

    :ivar subject: whom it is for, as in ``CN=hub.example.com,O=Example``.
    :ivar issuer: who gave it out.
    :ivar valid_from: aware, UTC.
    :ivar valid_until: aware, UTC.
    :ivar fingerprint: SHA-256 in hexadecimal digits, by which both sides can compare.
    """

    subject: str
    issuer: str
    valid_from: datetime
    valid_until: datetime
    fingerprint: str


# === READING === #


def _load(pem: str | None, code: str, what: str) -> list[x509.Certificate]:
    text = pem or ""
    if len(text) > const.PEM_MAX_LENGTH:
        raise CertificateError(code, f"The {what} is too long to be one.")
    if _PRIVATE_KEY.search(text):
        raise CertificateError(
            "key_in_certificate",
            f"The {what} holds a private key as well. Take the part from BEGIN to END "
            "PRIVATE KEY out of it: a key belongs in the field for the key only.",
        )
    found = _CERTIFICATE.findall(text)
    if not found:
        raise CertificateError(
            code,
            f"The {what} is not in PEM form. Paste the text from -----BEGIN "
            "CERTIFICATE----- to -----END CERTIFICATE-----, these lines included.",
        )
    try:
        return [x509.load_pem_x509_certificate(part.encode("ascii")) for part in found]
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            code, f"The {what} can't be read. Copy it again, whole."
        ) from None


def _utc(certificate: x509.Certificate, name: str) -> datetime:
    # Before version 42 of cryptography there are naive times only.
    aware = getattr(certificate, f"{name}_utc", None)
    return aware or getattr(certificate, name).replace(tzinfo=timezone.utc)


def read_certificate(pem: str) -> Certificate:
    """Return what the first certificate of a PEM text says; its chain may follow.

    :raises CertificateError: ``bad_certificate`` or ``key_in_certificate``.
    """
    leaf = _load(pem, "bad_certificate", "certificate")[0]
    try:
        return Certificate(
            subject=leaf.subject.rfc4514_string(),
            issuer=leaf.issuer.rfc4514_string(),
            valid_from=_utc(leaf, "not_valid_before"),
            valid_until=_utc(leaf, "not_valid_after"),
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        )
    except ValueError:
        raise CertificateError(
            "bad_certificate", "The certificate can't be read. Copy it again, whole."
        ) from None


def check_authorities(pem: str) -> int:
    """Return how many certificates of authorities a PEM text holds.

    :raises CertificateError: ``bad_authority`` or ``key_in_certificate``.
    """
    count = len(_load(pem, "bad_authority", "certificate of the authority"))
    _trusting(pem)
    return count


def _load_key(pem: str, password: str | None):
    text = pem or ""
    if len(text) > const.PEM_MAX_LENGTH or not _PRIVATE_KEY.search(text):
        raise CertificateError(
            "bad_key",
            "The private key is not in PEM form. Paste the text from -----BEGIN "
            "PRIVATE KEY----- to -----END PRIVATE KEY-----, these lines included.",
        )
    try:
        return load_pem_private_key(
            text.encode("utf-8"), password.encode("utf-8") if password else None
        )
    except TypeError:
        raise CertificateError(
            "bad_key",
            "The private key is protected by a passphrase. Enter it."
            if not password
            else "The private key has no passphrase. Leave the passphrase empty.",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            "bad_key",
            "The private key can't be read. Copy it again, whole, and check its "
            "passphrase.",
        ) from None


def read_private_key(pem: str, password: str | None = None) -> str:
    """Return a private key as PKCS #8 PEM without a passphrase.

    The caller keeps it encrypted.

    :raises CertificateError: ``bad_key``.
    """
    key = _load_key(pem, password)
    return _pem(key, NoEncryption()).decode("ascii")


def _pem(key, encryption) -> bytes:
    try:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            "bad_key", "This kind of private key can't be used for TLS."
        ) from None


def check_pair(certificate_pem: str, private_key_pem: str, password=None) -> None:
    """Refuse a private key that does not belong to the certificate.

    :raises CertificateError: ``not_a_pair``, or why one of them can't be read.
    """
    leaf = _load(certificate_pem, "bad_certificate", "certificate")[0]
    _check_pair(leaf, _load_key(private_key_pem, password))


def _check_pair(leaf: x509.Certificate, key) -> None:
    def public(one) -> bytes:
        return one.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    try:
        fits = public(leaf) == public(key)
    except (ValueError, UnsupportedAlgorithm):
        fits = False
    if not fits:
        raise CertificateError(
            "not_a_pair",
            "The private key does not belong to the certificate. If there are several "
            "certificates, paste the one of this key first.",
        )


# === CONTEXTS === #


def client_context(
    certificate_pem: str | None = None,
    private_key_pem: str | None = None,
    password: str | None = None,
    ca_pem: str | None = None,
) -> ssl.SSLContext:
    """Return the TLS settings for requests to one receiver.

    The receiver's certificate and host name are always verified: against ``ca_pem``
    alone where it is given, else against the authorities the system trusts.

    :param certificate_pem: the hub's certificate, its chain behind it.
    :param private_key_pem: its key.
    :param password: passphrase of the key, if it has one.
    :param ca_pem: certificates of the authorities which the receiver's comes from.
    :raises CertificateError: see its codes.
    """
    context = _trusting(ca_pem)
    if certificate_pem or private_key_pem:
        chain = _load(certificate_pem, "bad_certificate", "certificate")
        key = _load_key(private_key_pem or "", password)
        _check_pair(chain[0], key)
        _load_chain(context, chain, key)
    return context


def _trusting(ca_pem: str | None) -> ssl.SSLContext:
    authorities = None
    if ca_pem:
        authorities = "\n".join(
            certificate.public_bytes(Encoding.PEM).decode("ascii")
            for certificate in _load(
                ca_pem, "bad_authority", "certificate of the authority"
            )
        )
    try:
        # With authorities of its own it trusts no others.
        return ssl.create_default_context(cadata=authorities)
    except ssl.SSLError:
        raise CertificateError(
            "bad_authority",
            "The certificate of the authority can't be used. Copy it again, whole.",
        ) from None


def _load_chain(context: ssl.SSLContext, chain: list[x509.Certificate], key) -> None:
    # OpenSSL reads the key from a file, so for a moment there has to be one. It lies
    # in memory where the system can do that, and is encrypted under a password that
    # exists nowhere else in any case.
    password = random_source.token_urlsafe(32)
    content = b"".join(
        [
            *(certificate.public_bytes(Encoding.PEM) for certificate in chain),
            _pem(key, BestAvailableEncryption(password.encode("ascii"))),
        ]
    )
    try:
        with _brief_file(content) as path:
            context.load_cert_chain(path, password=password)
    except ssl.SSLError:
        raise CertificateError(
            "bad_certificate",
            "OpenSSL does not take this certificate and key. They may be too weak: "
            "RSA keys need 2048 bits, and signatures need SHA-256.",
        ) from None


@contextlib.contextmanager
def _brief_file(content: bytes) -> Iterator[str]:
    """Yield the path of a file with ``content``, which is gone afterwards."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        handle = os.memfd_create("finance_hub", os.MFD_CLOEXEC)
        try:
            os.write(handle, content)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    # mkstemp gives mode 0600.
    handle, path = tempfile.mkstemp(prefix="finance_hub_")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        yield path
    finally:
        os.unlink(path)
