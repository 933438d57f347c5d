# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The bytes that an HTTP message signature is made of (RFC 9421, section 2)."""

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from . import constants as const
from .standard_webhooks import VerificationError, _encode

_DEFAULT_PORTS = {"http": 80, "https": 443}


def content_digest(body: bytes) -> str:
    """Return the value of ``Content-Digest``: SHA-256 of the body (RFC 9530)."""
    return f"sha-256=:{_encode(hashlib.sha256(body).digest())}:"


def signature_base(
    components: Sequence[str],
    parameters: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
) -> bytes:
    """Return the bytes which are signed (RFC 9421, section 2.5).

    :param components: names of the covered components, such as ``@method``.
    :param parameters: the serialized value of ``@signature-params``.
    :param url: absolute, as it is sent.
    :param headers: name to value; names are case-insensitive.
    :raises VerificationError: ``malformed_header`` for a component that is unknown or
        not there.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    lines = [
        f'"{name}": {_component(name, method, url, fields)}' for name in components
    ]
    lines.append(f'"@signature-params": {parameters}')
    try:
        return "\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise VerificationError(
            "malformed_header",
            "A signed header or the URL holds characters outside of ASCII. Encode "
            "them before signing.",
        ) from None


def _component(name: str, method: str, url: str, fields: Mapping[str, str]) -> str:
    if name == "@method":
        return method
    if name == "@target-uri":
        return url
    if name.startswith("@"):
        return _url_component(name, url)
    if name not in fields:
        raise VerificationError(
            "missing_header", f"The header {name} is signed, but it is not there."
        )
    value = str(fields[name]).strip(" \t")
    if "\n" in value or "\r" in value:
        raise VerificationError(
            "malformed_header", f"The header {name} holds a line break. Leave it out."
        )
    return value


def _url_component(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise VerificationError(
            "malformed_header", "The URL of the request is malformed."
        ) from None
    path = parts.path or "/"
    if name == "@authority":
        host = parts.netloc.rpartition("@")[2].lower()
        if port is not None and port == _DEFAULT_PORTS.get(parts.scheme):
            host = host.rpartition(":")[0]
        return host
    if name == "@scheme":
        return parts.scheme
    if name == "@path":
        return path
    if name == "@query":
        return f"?{parts.query}"
    if name == "@request-target":
        return f"{path}?{parts.query}" if parts.query else path
    raise VerificationError(
        "malformed_header",
        f"The signature covers {name}, which the hub does not know. Cover "
        f"{', '.join(const.COVERED)} instead.",
    )


def serialized_parameters(
    components: Sequence[str], created: int, key_id: str, algorithm
) -> str:
    names = " ".join(f'"{name}"' for name in components)
    text = f'({names});created={created};keyid="{key_id}"'
    return f'{text};alg="{algorithm}"' if algorithm else text
