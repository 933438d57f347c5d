# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What of a content describes a person: to find it again, and to take it out.

Found are e-mail addresses and IBANs wherever they stand, and names, phone numbers and
free texts in the fields that are marked ``PERSONAL`` in their contract or are called so
in what comes from outside. What is found is brought to one form, a *term*, so that
``J. DOE@Example.com`` and ``j.doe@example.com`` are the same.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from . import constants as const
from .classification import PERSONAL_CLASS, alias, field_class, models_in

EMAIL, IBAN, PHONE, NAME = "email", "iban", "phone", "name"

_EMAIL = re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}")
_IBAN = re.compile(r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}\b")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{6,24}[0-9]")
_WORD = re.compile(r"[^\W\d_][\w]*")

# === TERMS === #


def terms_of(kind: str, text: str) -> set[str]:
    """Return the terms by which a person's datum is found; empty if it is none.

    :param kind: ``email``, ``iban``, ``phone`` or ``name``
    """
    if kind == EMAIL:
        return {_email_term(found) for found in _EMAIL.findall(text)}
    if kind == IBAN:
        return {
            term for found in _IBAN.findall(text) for term in filter(None, _iban(found))
        }
    if kind == PHONE:
        return {term for found in _PHONE.findall(text) if (term := _phone_term(found))}
    return set(_name_terms(text, searching=True))


def terms_in(data: Any, type_name: str | None = None) -> set[str]:
    """Return the terms of a content, at most so many as ``constants`` says.

    :param data: as JSON gives it, or a text of another format
    :param type_name: of an event or command, whose contract marks fields
    """
    marked = personal_names(type_name)
    certain: set[str] = set()
    likely: set[str] = set()
    for name, text in _texts(data, ""):
        certain |= terms_of(EMAIL, text) | terms_of(IBAN, text)
        if name in const.PERSON_PHONES:
            certain |= terms_of(PHONE, text)
        elif name in marked and len(likely) < const.PERSON_MAX_TERMS:
            likely.update(_name_terms(text))
    room = max(const.PERSON_MAX_TERMS - len(certain), 0)
    return set(sorted(certain)[: const.PERSON_MAX_TERMS]) | set(sorted(likely)[:room])


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value[: const.PERSON_MAX_CHARS]
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, str(key))


def _email_term(text: str) -> str:
    return f"e:{text.casefold()}"


def _iban(text: str) -> Iterator[str | None]:
    """Yield the term of an IBAN; what follows it in a sentence may look like a part."""
    compact = text.replace(" ", "").upper()
    for end in range(len(compact), 14, -1):
        if _checks(compact[:end]):
            yield f"i:{compact[:end]}"
            return


def _checks(iban: str) -> bool:
    """Whether the check digits fit (ISO 7064, mod 97-10)."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def _phone_term(text: str) -> str | None:
    digits = "".join(filter(str.isdigit, text))
    if len(digits) < const.PERSON_PHONE_MIN_DIGITS:
        return None
    return f"p:{digits[-const.PERSON_PHONE_DIGITS :]}"


def _name_terms(text: str, searching: bool = False) -> Iterator[str]:
    """Yield the terms of a text that names somebody, in whatever order of words."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    words = [word for word in _WORD.findall(plain) if len(word) > 1]
    words = words[: const.PERSON_MAX_WORDS]
    if not words:
        return
    if len(words) <= const.PERSON_NAME_WORDS:
        yield f"n:{' '.join(sorted(words))}"
        if searching:
            return
    for size in range(2, const.PERSON_NAME_WORDS + 1):
        if searching and size < const.PERSON_NAME_WORDS:
            continue
        for start in range(len(words) - size + 1):
            yield f"n:{' '.join(sorted(words[start : start + size]))}"


# === FIELDS === #


@cache
def personal_names(type_name: str | None) -> frozenset[str]:
    """Return the names on the wire of the fields that describe a person."""
    # Here, as the catalogues are made of modules that need this package.
    from .events import EVENT_TYPES

    found = set(const.PERSON_NAMES)
    if type_name in EVENT_TYPES:
        found |= _marked(EVENT_TYPES[type_name].model, set())
    return frozenset(found)


def _marked(model: Any, seen: set) -> set[str]:
    if model in seen:
        return set()
    seen.add(model)
    found = set()
    for name, field in model.model_fields.items():
        if field_class(field) == PERSONAL_CLASS:
            found.add(alias(name, field))
        for part in models_in(field.annotation):
            found |= _marked(part, seen)
    return found


# === TAKING OUT === #


def without_persons(data: Any, type_name: str | None = None) -> Any:
    """Return a content without what describes persons; all else stays as it is.

    Amounts, ids, dates and codes stay, and so do all names of fields.
    """
    marked = personal_names(type_name)

    def cleaned(value, name):
        if isinstance(value, dict):
            return {key: cleaned(item, str(key)) for key, item in value.items()}
        if isinstance(value, list):
            return [cleaned(item, name) for item in value]
        if not isinstance(value, str) or not value:
            return value
        if name in marked or name in const.PERSON_PHONES:
            return const.PERSON_REMOVED
        return _swept(value)

    return cleaned(data, "")


def _swept(text: str) -> str:
    text = _EMAIL.sub(const.PERSON_REMOVED, text)
    return _IBAN.sub(
        lambda found: const.PERSON_REMOVED if any(_iban(found[0])) else found[0], text
    )
