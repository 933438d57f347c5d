# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Hide secrets before they reach a screen, a log or the attempt log."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from . import constants as const


def mask_secret(value: str | None) -> str:
    """Return ``value`` with all but a recognisable rest hidden.

    A known prefix (``whsec_``, ``sk_live_`` …, up to the last underscore in the first
    ten characters) and the last characters of a long secret stay readable, so that
    two secrets can be told apart. Nothing of a short one does. Empty stays empty.
    """
    if not value:
        return ""
    if len(value) < const.MASK_MIN_LENGTH:
        return const.MASK
    head = value[:10]
    prefix = head[: head.rfind("_") + 1]
    return f"{prefix}{const.MASK}{value[-const.MASK_VISIBLE_TAIL :]}"


@lru_cache(maxsize=1024)
def _is_secret_header(name: str, also: frozenset[str]) -> bool:
    name = name.lower()
    return (
        name in const.SECRET_HEADERS
        or name in also
        or any(fragment in name for fragment in const.SECRET_HEADER_FRAGMENTS)
    )


def mask_headers(headers: Mapping, also: Iterable[str] = ()) -> dict[str, str]:
    """Return a copy of HTTP headers with the secret values hidden.

    Of ``Authorization: Bearer …`` the scheme stays readable. Signatures are no
    secrets and stay, so that a delivery can be verified again from the log.

    :param headers: header name to value.
    :param also: further header names to hide, such as a configured API-key header.
    """
    also = frozenset(name.lower() for name in also) if also else frozenset()
    masked = {}
    for name, value in headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if _is_secret_header(name, also) and text:
            scheme, space, rest = text.partition(" ")
            if name.lower().endswith("authorization") and space and rest:
                text = f"{scheme} {const.MASK}"
            else:
                text = const.MASK
        masked[name] = text
    return masked


def mask_iban(iban: str | None) -> str:
    """Return an IBAN with country, check digits and last four readable.

    Blanks are left out: ``DE89****3000``. What is too short for an IBAN is hidden in
    full; empty stays empty.
    """
    compact = "".join((iban or "").split()).upper()
    if not compact:
        return ""
    if len(compact) < const.IBAN_MIN_LENGTH:
        return const.MASK
    return f"{compact[:4]}{const.MASK}{compact[-const.MASK_VISIBLE_TAIL :]}"
