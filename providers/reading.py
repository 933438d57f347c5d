# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Reading a provider's JSON so that every fault names its place in the body.

An adapter walks through the body with :class:`Found`, and puts what it finds into a
:class:`Draft`. Whatever does not fit, be it the body's shape, a conversion or the
contract of the command, becomes a ``ContractError`` whose pointers lead to where the
value stood.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..contracts import (
    ContractError,
    UtcDateTime,
    clip,
    command_type,
    parse_command,
    parse_json,
    pointer,
    utc_text,
)
from . import constants as const
from .base import ParsedCommand, bounded_id

Place = tuple[str | int, ...]

_TIME = TypeAdapter(UtcDateTime)


def fault(at: Place, message: str, what: str = "The message") -> ContractError:
    """Return the error for one fault at a place of the body."""
    return ContractError(
        f"{what} is not as its provider documents it: {message}",
        [{"pointer": pointer(at), "message": message}],
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the body and where it stands.

    :ivar at: names and positions which lead there from the whole body.
    """

    value: Any
    at: Place = ()

    def fail(self, message: str) -> ContractError:
        """Return the error that says what is wrong with this value."""
        return fault(self.at, message)

    def get(self, *names: str) -> "Found | None":
        """Return what stands under a path of names; None when absent or ``null``.

        :raises ContractError: when a step leads into what is no object.
        """
        found = self
        for name in names:
            found._expect(dict, "An object is expected.")
            value = found.value.get(name)
            if value is None:
                return None
            found = Found(value, (*found.at, name))
        return found

    def need(self, *names: str) -> "Found":
        """Return what stands under a path of names.

        :raises ContractError: when it is not there.
        """
        found = self.get(*names)
        if found is None:
            raise fault((*self.at, *names), "This field is required.")
        return found

    def each(self) -> list["Found"]:
        """Return the elements of a list.

        :raises ContractError: when it is no list.
        """
        self._expect(list, "A list is expected.")
        return [
            Found(value, (*self.at, index)) for index, value in enumerate(self.value)
        ]

    def then(self, convert: Callable[..., Any], *arguments: Any) -> "Found":
        """Return the value converted, at the same place.

        :param convert: ``(value, *arguments)``; raises ``ValueError`` with a sentence
            when it can't.
        """
        try:
            return Found(convert(self.value, *arguments), self.at)
        except ContractError:
            raise
        except ValueError as error:
            raise self.fail(str(error)) from None

    def object(self) -> "Found":
        """Return this, which has to be an object.

        :raises ContractError: when it is none.
        """
        self._expect(dict, "An object is expected.")
        return self

    def text(self) -> str:
        """Return the value, which has to be a text that is not empty."""
        self._expect(str, "A text is expected.")
        if not self.value.strip():
            raise self.fail("A text that is not empty is expected.")
        return self.value.strip()

    def _expect(self, kind: type, message: str):
        if not isinstance(self.value, kind):
            raise self.fail(message)


def body_of(body: bytes, what: str) -> Found:
    """Return the JSON object of a body.

    :raises ContractError: when it is none.
    """
    return Found(parse_json(body, what)).object()


# === CONVERSIONS === #


def unix_seconds(value: Any) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC.

    :raises ValueError: when it is no such number.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("Whole seconds since 1970 are expected.")
    return utc_text(moment(value))


def moment(seconds: float) -> datetime:
    """Return seconds since 1970 as an aware time.

    :raises ValueError: when there is no such time.
    """
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        raise ValueError("There is no such time.") from None


def time_of(value: Any) -> datetime:
    """Return an RFC 3339 text with its zone as a time in UTC.

    :raises ValueError: when it is none.
    """
    try:
        return _TIME.validate_python(value)
    except ValidationError as error:
        message = error.errors(include_url=False, include_context=False)[0]["msg"]
        raise ValueError(message.removeprefix("Value error, ")) from None


def plain_decimal(value: Any) -> str:
    """Return a decimal text as it is: digits with at most one point.

    :raises ValueError: when it is anything else, however a program might read it.
    """
    if isinstance(value, str) and len(value) <= const.AMOUNT_MAX_LENGTH:
        digits = value.removeprefix("-").replace(".", "", 1)
        if digits.isascii() and digits.isdigit():
            return value
    raise ValueError("A decimal number as text is expected, such as 12.34.")


def unix_day(value: Any) -> str:
    """Return the day, in UTC, of seconds since 1970."""
    return unix_seconds(value)[:10]


def words(value: Any) -> str | None:
    """Return a free text made fit for a line of a contract; None when there is none.

    What nobody compares or computes with must not keep money from being booked, so it
    is cut and cleaned rather than refused.
    """
    if not isinstance(value, str):
        return None
    return clip(value, const.WORDS_MAX_LENGTH).strip() or None


def label(found: Found | None) -> Found | None:
    """Return a free text as :func:`words` does; None when nothing is left of it."""
    if found is None:
        return None
    text = words(found.value)
    return None if text is None else Found(text, found.at)


def first_reference(places: Iterable[Found | None]) -> Found | None:
    """Return the first that can be the number of a document: a text or whole number.

    A shop may write anything into its metadata; what can't be a reference is passed
    over.
    """
    for found in places:
        if found is None:
            continue
        value = found.value
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            continue
        value = value.strip()
        if value and len(value) <= const.REFERENCE_MAX_LENGTH and value.isprintable():
            return Found(value, found.at)
    return None


# === BUILDING === #


@dataclass(slots=True)
class Draft:
    """A command in the making, with the place of everything it is made of.

    :ivar name: of the command, ``payment.captured``.
    :ivar source: what it is made out of; faults that belong to no field point there.
    """

    name: str
    source: Found
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def put(self, name: str, value: Any) -> "Draft":
        """Set a field of the command, unless the value is None.

        :param value: a :class:`Found`, or a value that stands nowhere in the body.
        """
        if isinstance(value, Found):
            self.places[name] = value.at
            value = value.value
        if value is not None:
            self.data[name] = value
        return self

    def put_words(self, name: str, found: Found | None) -> "Draft":
        """Set a field to a free text, if there is one."""
        return self.put(name, label(found))

    def put_party(self, place: str, /, **parts: Found | None) -> "Draft":
        """Set a field to who is on the other side, as far as that is said."""
        found = {key: label(part) for key, part in parts.items()}
        party = {key: part.value for key, part in found.items() if part is not None}
        for key, part in found.items():
            if part is not None:
                self.places[f"{place}/{key}"] = part.at
        return self.put(place, party or None)

    def put_ids(self, **ids: Found | str | None) -> "Draft":
        """Keep the provider's further ids as metadata, as far as they are there."""
        for name, found in ids.items():
            text = words(found.value if isinstance(found, Found) else found)
            if text is not None:
                text = clip(text, const.METADATA_MAX_LENGTH)
                self.data.setdefault("metadata", {})[name] = text
        return self

    def command(self, external_id: str) -> ParsedCommand:
        """Return the command, checked by its contract.

        :param external_id: the provider's id of this instruction.
        :raises ContractError: its pointers lead into the body.
        """
        entry = command_type(self.name)
        try:
            content = parse_command(entry.name, self.data)
        except ContractError as error:
            raise self._placed(error) from None
        return ParsedCommand(
            type=entry.name,
            external_id=bounded_id(external_id),
            occurred_at=getattr(content, entry.time_field),
            data=content.wire(),
        )

    def _placed(self, error: ContractError) -> ContractError:
        """Return the contract's error with pointers into the body."""
        errors = []
        for each in error.errors:
            path = each["pointer"].lstrip("/")
            message = f"{path}: {each['message']}" if path else each["message"]
            errors.append({"pointer": pointer(self._place(path)), "message": message})
        return ContractError(error.message, errors, error.code)

    def _place(self, path: str) -> Place:
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition("/")[0]
        return self.source.at


def ignored(
    provider: str,
    event: str,
    external_id: str,
    occurred_at: Found | None,
    why: str,
    facts: Mapping[str, Any],
) -> ParsedCommand:
    """Return a provider's event which the hub has no use for, to be kept visibly.

    :param event: the provider's own name of it.
    :param occurred_at: where the body says when: RFC 3339 with zone; None where
        nothing does.
    :param why: a sentence for a person.
    :param facts: what to show of it: texts or :class:`Found`; others are left out.
    :raises ContractError: when there is no such time.
    """
    found = {"event": clip(event, const.WORDS_MAX_LENGTH)}
    for name, fact in facts.items():
        text = words(fact.value if isinstance(fact, Found) else fact)
        if text is not None:
            found.setdefault(clip(name, const.TYPE_MAX_LENGTH), text)
    return ParsedCommand(
        type=clip(f"{provider}:{event}", const.TYPE_MAX_LENGTH),
        external_id=bounded_id(external_id),
        occurred_at=occurred_at.then(time_of).value if occurred_at else None,
        data=found,
        ignored=why,
    )
