# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Any system's JSON, understood by a mapping that an administrator writes.

A mapping says for which events it is, which command it makes, and for each field of the
command where its value stands (a path, see ``json_path``) or what it always is, and how
it is converted. A message is one item or holds a list of them. Every mapping that fits
an item makes a command of it; an item that none fits is kept and ignored visibly.

There are no expressions and no regular expressions: what a mapping costs does not
depend on who sends the message.
"""

from collections.abc import Mapping as AnyMapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from ..contracts import (
    COMMAND_TYPES,
    Contract,
    Identifier,
    Text,
    dump_json,
    model_fields,
    parse_json,
    utc_text,
    validate,
)
from . import constants as const
from .base import Adapter, ParsedCommand, bounded_id, digest_id, lower_headers
from .json_path import Path, compile_path
from .minor_units import from_minor_units
from .reading import Draft, Found, ignored, moment, plain_decimal

NAME = "generic_json"

#: Headers in which a sender may name its message.
ID_HEADERS = ("webhook-id", "svix-id", "idempotency-key")

NO_MAPPING = "No mapping of the connector is for this event."

# === SETTINGS === #


def _check_path(text: str) -> str:
    compile_path(text)
    return text


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"There is no time zone {name[:64]!r}; write it as Europe/Brussels."
        ) from None
    return name


PathText = Annotated[Identifier, AfterValidator(_check_path)]
Conversion = Literal[
    "as_is",
    "text",
    "decimal",
    "decimal_comma",
    "minor_units",
    "integer",
    "boolean",
    "upper",
    "lower",
    "time",
    "unix_seconds",
    "unix_milliseconds",
    "date",
]


class Rule(Contract):
    """How one field of a command is filled.

    :ivar field: of the command: ``amount``, ``payer.iban``, ``metadata.order``;
        ``lines`` is a list, whose path leads to its elements and whose fields are
        ``lines.gross`` and so on, with ``@`` for the element.
    :ivar path: where the value stands.
    :ivar constant: what it always is, instead of a path.
    :ivar convert: how it is read.
    :ivar sign: whether an amount keeps its sign, has it turned, or loses it.
    :ivar values: translation of the sender's words; what is not in it is refused,
        unless there is a default.
    :ivar default: what it is where the path leads to nothing, or the translation
        does not know the word; it is not converted.
    """

    field: Identifier
    path: PathText | None = None
    constant: str | int | bool | None = None
    convert: Conversion = "as_is"
    sign: Literal["keep", "flip", "positive"] = "keep"
    values: Annotated[dict[str, str], Field(max_length=const.VALUES_MAX_COUNT)] = {}
    default: str | int | bool | None = None

    @model_validator(mode="after")
    def _check_source(self):
        if (self.path is None) == (self.constant is None):
            raise ValueError("Either a path or a constant is needed, not both.")
        return self


class Condition(Contract):
    """What an item has to say for a mapping to be for it.

    :ivar path: where the value stands.
    :ivar values: any of which it has to be; numbers as they are written, ``true`` and
        ``false``.
    """

    path: PathText
    values: Annotated[list[str], Field(min_length=1, max_length=const.EVENTS_MAX_COUNT)]


class Mapping(Contract):
    """One kind of event and the command that is made of it.

    :ivar name: for people.
    :ivar events: the sender's event types this is for; empty means all.
    :ivar conditions: all of which have to hold, too.
    :ivar command: name of the command, ``payment.captured``.
    :ivar fields: how its fields are filled.
    """

    name: Text
    events: Annotated[list[str], Field(max_length=const.EVENTS_MAX_COUNT)] = []
    conditions: Annotated[
        list[Condition], Field(max_length=const.CONDITIONS_MAX_COUNT)
    ] = []
    command: Identifier
    fields: Annotated[
        list[Rule], Field(min_length=1, max_length=const.FIELDS_MAX_COUNT)
    ]

    @model_validator(mode="after")
    def _check_fields(self):
        entry = COMMAND_TYPES.get(self.command)
        if entry is None:
            raise ValueError(
                f"There is no command {self.command[:64]!r}; there are: "
                f"{', '.join(sorted(COMMAND_TYPES))}."
            )
        known = {each.path: each for each in model_fields(entry.model)}
        names = [rule.field for rule in self.fields]
        for rule in self.fields:
            name = rule.field
            _check_field(self.command, known, name)
            if name in known and known[name].many and rule.path is None:
                raise ValueError(f"{name} is a list and needs a path, not a constant.")
            if names.count(name) > 1:
                raise ValueError(f"The field {name} is filled twice.")
            _check_list(known, names, name)
        for path, each in known.items():
            if each.required and "." not in path and not _is_filled(path, names):
                raise ValueError(f"The command needs the field {path}.")
        return self


def _check_field(command: str, known: dict, name: str):
    found = known.get(name)
    if found is None:
        parent, _dot, key = name.partition(".")
        if key and parent in known and known[parent].kind == "mapping":
            return
        raise ValueError(
            f"{command} has no field {name[:64]!r}; it has: {', '.join(known)}."
        )
    if found.kind == "mapping" or (found.kind == "object" and not found.many):
        raise ValueError(f"Fill the parts of {name} one by one: {name}.… ")


def _check_list(known: dict, names: list[str], name: str):
    """Refuse parts of a list whose elements nobody says the place of."""
    parent = name.rpartition(".")[0]
    while parent:
        each = known.get(parent)
        if each is not None and each.many and parent not in names:
            raise ValueError(
                f"Say by a field {parent} where the elements stand that {name} is of."
            )
        parent = parent.rpartition(".")[0]


def _is_filled(path: str, names: list[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for name in names)


class GenericJsonOptions(Contract):
    """Settings of a system whose JSON is mapped.

    :ivar event_path: where an item names its event type.
    :ivar items_path: where the list of items stands, if a message holds several:
        ``$.events[*]``. Without it the whole message is the item.
    :ivar id_path: where an item has its id.
    :ivar zone: time zone of times which name none.
    :ivar mappings: which events make which commands.
    """

    event_path: PathText | None = None
    items_path: PathText | None = None
    id_path: PathText | None = None
    zone: Annotated[Identifier, AfterValidator(_check_zone)] = "UTC"
    mappings: Annotated[list[Mapping], Field(max_length=const.MAPPINGS_MAX_COUNT)] = []

    @model_validator(mode="after")
    def _check_events(self):
        if self.event_path is None and any(each.events for each in self.mappings):
            raise ValueError(
                "Say by event_path where the event type stands that mappings are for."
            )
        return self


@lru_cache(maxsize=const.OPTIONS_CACHE_SIZE)
def _compiled(text: bytes) -> GenericJsonOptions:
    return validate(GenericJsonOptions, parse_json(text), "The format's settings")


# === CONVERSIONS === #


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _decimal(value)
    if not isinstance(value, str):
        raise ValueError("A text or number is expected.")
    return value


def _decimal(value: Any) -> str:
    """Return a decimal text out of a text or number."""
    if isinstance(value, float):
        text = repr(value)
        digits = text.replace(".", "").replace("-", "").lstrip("0")
        if "e" in text or len(digits) > const.FLOAT_DIGITS:
            raise ValueError(
                "This number is not exact. Have it sent as a text in quotes."
            )
        return text
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return plain_decimal(value.strip() if isinstance(value, str) else value)


def _decimal_comma(value: Any) -> str:
    """Return ``1.234,56`` and ``1 234,56`` as ``1234.56``."""
    if not isinstance(value, str):
        return _decimal(value)
    for separator in (".", " ", "\u00a0", "\u202f", "'"):
        value = value.replace(separator, "")
    return plain_decimal(value.replace(",", ".", 1))


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = plain_decimal(value)
    if "." in text:
        raise ValueError("A whole number is expected.")
    return int(text)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise ValueError("true or false is expected.")
    return found


def _unix(value: Any, factor: int) -> str:
    seconds = _decimal(value)
    if len(seconds) > const.AMOUNT_MAX_LENGTH:
        raise ValueError("There is no such time.")
    return utc_text(moment(float(seconds) / factor))


def _when(value: Any, zone: str) -> str:
    """Return a time in ISO 8601; without a zone it is one of the clock of ``zone``."""
    if not isinstance(value, str):
        raise ValueError("A time as text is expected, such as 2026-01-31T09:30:00Z.")
    text = value.strip()
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=ZoneInfo(zone))
        return utc_text(found.astimezone(timezone.utc))
    except (ValueError, OverflowError):
        raise ValueError(
            "A time is expected, such as 2026-01-31T09:30:00Z or 2026-01-31 09:30:00."
        ) from None


def _date(value: Any) -> str:
    """Return the day of a date or time in ISO 8601, as it stands there."""
    if not isinstance(value, str):
        raise ValueError("A date as text is expected, such as 2026-01-31.")
    day, rest = value.strip()[:10], value.strip()[10:]
    if rest and rest[0] not in "T t":
        raise ValueError("A date is expected, such as 2026-01-31.")
    return day


def _signed(text: Any, sign: str) -> Any:
    if sign == "keep":
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        return abs(text) if sign == "positive" else -text
    if not isinstance(text, str):
        raise ValueError("An amount is expected.")
    if sign == "positive":
        return text.removeprefix("-")
    return text.removeprefix("-") if text.startswith("-") else f"-{text}"


def _convert(rule: Rule, value: Any, zone: str, currency: Any) -> Any:
    if rule.values:
        word = _text(value)
        if word not in rule.values:
            if rule.default is not None:
                return rule.default
            raise ValueError(f"The translation does not know {word[:64]!r}.")
        return rule.values[word]
    if rule.convert == "minor_units":
        if not isinstance(currency, str):
            raise ValueError("The amount needs the field currency to be read.")
        return _signed(from_minor_units(value, currency), rule.sign)
    return _signed(_CONVERSIONS[rule.convert](value, zone), rule.sign)


_CONVERSIONS = {
    "as_is": lambda value, zone: value,
    "text": lambda value, zone: _text(value),
    "decimal": lambda value, zone: _decimal(value),
    "decimal_comma": lambda value, zone: _decimal_comma(value),
    "integer": lambda value, zone: _integer(value),
    "boolean": lambda value, zone: _boolean(value),
    "upper": lambda value, zone: _text(value).upper(),
    "lower": lambda value, zone: _text(value).lower(),
    "time": _when,
    "unix_seconds": lambda value, zone: _unix(value, 1),
    "unix_milliseconds": lambda value, zone: _unix(value, 1000),
    "date": lambda value, zone: _date(value),
}

# === FILLING === #


class _Filler:
    """Fills the data of one command out of one item."""

    def __init__(self, mapping: Mapping, whole: Found, zone: str, draft: Draft):
        self.rules = {rule.field: rule for rule in mapping.fields}
        entry = COMMAND_TYPES[mapping.command]
        self.lists = {
            each.path
            for each in model_fields(entry.model)
            if each.many and each.kind == "object"
        }
        self.many = {each.path for each in model_fields(entry.model) if each.many}
        self.whole = whole
        self.zone = zone
        self.places = draft.places

    def fill(self, prefix: str, item: Found, at: str, currency: Any = None) -> dict:
        """Return the values of the fields below ``prefix``.

        :param item: what ``@`` stands for.
        :param at: place in the command's data, for the faults.
        """
        names = self._names(prefix)
        data: dict[str, Any] = {}
        if "currency" in names:
            self._put(data, prefix, "currency", item, at, currency)
            currency = data.get("currency", currency)
        for name in names:
            if name != "currency":
                self._put(data, prefix, name, item, at, currency)
        return data

    def _names(self, prefix: str) -> list[str]:
        below = (
            field[len(prefix) :].partition(".")[0]
            for field in self.rules
            if field.startswith(prefix)
        )
        return list(dict.fromkeys(below))

    def _put(
        self, data: dict, prefix: str, name: str, item: Found, at: str, currency: Any
    ):
        path, place = f"{prefix}{name}", f"{at}{name}"
        rule = self.rules.get(path)
        if path in self.lists and rule is not None:
            data[name] = self._elements(rule, path, item, place, currency)
        elif rule is None:
            part = self.fill(f"{path}.", item, f"{place}/", currency)
            if part:
                data[name] = part
        else:
            value = self._value(rule, path, item, place, currency)
            if value is not None:
                data[name] = value

    def _elements(
        self, rule: Rule, path: str, item: Found, place: str, currency: Any
    ) -> list[dict]:
        elements = compile_path(rule.path).find(self.whole, item)
        filled = []
        for index, element in enumerate(elements):
            inside = f"{place}/{index}"
            self.places[inside] = element.at
            filled.append(self.fill(f"{path}.", element, f"{inside}/", currency))
        return filled

    def _value(
        self, rule: Rule, path: str, item: Found, place: str, currency: Any
    ) -> Any:
        if rule.constant is not None:
            return item.then(
                lambda _item: _convert(rule, rule.constant, self.zone, currency)
            ).value
        compiled = compile_path(rule.path)
        if path in self.many:
            values = [
                found.then(lambda value: _convert(rule, value, self.zone, currency))
                for found in compiled.find(self.whole, item)
                if found.value is not None
            ]
            for index, value in enumerate(values):
                self.places[f"{place}/{index}"] = value.at
            return [value.value for value in values]
        found = compiled.first(self.whole, item)
        if found is None:
            return rule.default
        self.places[place] = found.at
        return found.then(
            lambda value: _convert(rule, value, self.zone, currency)
        ).value


# === DISPATCH === #


def _fits(mapping: Mapping, event: str | None, whole: Found, item: Found) -> bool:
    if mapping.events and event not in mapping.events:
        return False
    for condition in mapping.conditions:
        found = compile_path(condition.path).find(whole, item)
        if not any(_word(each.value) in condition.values for each in found):
            return False
    return True


def _word(value: Any) -> str | None:
    """Return a value as a condition writes it; None for what is no plain value."""
    try:
        return _text(value)
    except ValueError:
        return None


def _items(options: GenericJsonOptions, whole: Found) -> list[Found]:
    if options.items_path is None:
        return [whole]
    path: Path = compile_path(options.items_path)
    found = path.find(whole, whole)
    if not path.many:
        # A path that leads to the list itself means its elements.
        found = [
            inner
            for each in found
            for inner in (each.each() if isinstance(each.value, list) else [each])
        ]
    if len(found) > const.ITEMS_MAX_COUNT:
        raise whole.fail(f"At most {const.ITEMS_MAX_COUNT} items are taken at once.")
    return found


def parse(
    headers: AnyMapping, body: bytes, options: AnyMapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return the commands that the mappings make of a message.

    A message is taken as a whole or not at all.

    :param options: wire form of :class:`GenericJsonOptions`.
    :raises ContractError: ``D-SCHEMA``; its pointers lead into the body.
    """
    chosen = _compiled(dump_json(dict(options or {})))
    whole = Found(parse_json(body, "The message"))
    commands = []
    for item in _items(chosen, whole):
        commands += _commands(chosen, whole, item)
    return commands


def _commands(
    options: GenericJsonOptions, whole: Found, item: Found
) -> list[ParsedCommand]:
    event = _plain(options.event_path, whole, item)
    number = _plain(options.id_path, whole, item) or digest_id(dump_json(item.value))
    fitting = [each for each in options.mappings if _fits(each, event, whole, item)]
    if not fitting:
        name = event or "message"
        facts = {"id": number}
        return [ignored(NAME, name, number, None, NO_MAPPING, facts)]
    commands = []
    for position, mapping in enumerate(fitting):
        draft = Draft(mapping.command, item)
        draft.data = _Filler(mapping, whole, options.zone, draft).fill("", item, "")
        commands.append(draft.command(f"{number}/{position}" if position else number))
    return commands


def _plain(path: str | None, whole: Found, item: Found) -> str | None:
    found = compile_path(path).first(whole, item) if path else None
    return _word(found.value) if found is not None else None


def external_id(headers: AnyMapping, body: bytes) -> str:
    """Return the id in the headers, else the digest of the body. Never raises.

    What a body calls its id may be that of the payment, the same in many messages, so
    it is not used for telling them apart.
    """
    named = lower_headers(headers)
    for name in ID_HEADERS:
        if named.get(name):
            return bounded_id(named[name])
    return digest_id(body)


ADAPTER = Adapter(
    name=NAME,
    title="JSON (own mapping)",
    parse=parse,
    external_id=external_id,
    options_model=GenericJsonOptions,
)
