# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The catalogue of inbound commands. A new object is one file and one line here."""

import re
from datetime import datetime
from typing import Any

from .. import constants as const
from ..base import Contract, ContractError, utc_text, validate
from . import (
    bank_statement,
    counterparty,
    credit,
    decision,
    payment,
    payout,
    posting,
    tax,
)
from .command_type import CommandType

_OBJECTS = (
    payment,
    payout,
    bank_statement,
    posting,
    counterparty,
    credit,
    decision,
    tax,
)

#: Every command by its name, ``payment.captured``.
COMMAND_TYPES: dict[str, CommandType] = {
    entry.name: entry for module in _OBJECTS for entry in module.TYPES
}

_BY_WIRE_TYPE = {entry.wire_type: entry for entry in COMMAND_TYPES.values()}
_BY_MODEL = {entry.model: entry for entry in COMMAND_TYPES.values()}
_VERSION = re.compile(r"\.v[0-9]+$")


def command_type(name: str) -> CommandType:
    """Return a command by its name or by its wire type.

    :param name: ``payment.captured`` or ``payment.captured.v1``.
    :raises ContractError: ``D-VERSION``, naming what is known.
    """
    entry = COMMAND_TYPES.get(name) or _BY_WIRE_TYPE.get(name)
    if entry is not None:
        return entry
    known = COMMAND_TYPES.get(_VERSION.sub("", name))
    if known is not None:
        raise ContractError(
            f"The command {known.name} is known in version {known.version} only; send "
            f"{known.wire_type}.",
            code="D-VERSION",
        )
    raise ContractError(
        f"There is no command {name[:128]!r}. The hub takes: "
        f"{', '.join(sorted(_BY_WIRE_TYPE))}.",
        code="D-VERSION",
    )


def parse_command(
    name: str, data: dict[str, Any], at: tuple[str | int, ...] = ()
) -> Contract:
    """Return a command as its model; ``.wire()`` gives the canonical dict.

    :param name: ``payment.captured`` or ``payment.captured.v1``.
    :param data: JSON-able values, amounts as decimal strings.
    :param at: where ``data`` stands in what was sent, for the pointers.
    :raises ContractError: ``D-VERSION`` for an unknown name, ``D-SCHEMA`` with
        pointers for data which does not fit.
    """
    entry = command_type(name)
    return validate(entry.model, data, f"The command {entry.name}", at)


def business_key(command: Contract) -> str:
    """Return what, with the connector, names the thing a command is about.

    Two messages with one key are about one thing, whatever their ids:
    ``payment.captured:pay_3f9a``.
    """
    entry = _BY_MODEL[type(command)]
    parts = [_key_part(getattr(command, field)) for field in entry.business_key]
    closer = [getattr(command, field) for field in entry.optional_key]
    parts += [_key_part(value) for value in closer if value is not None]
    return ":".join((entry.name, *parts))


def _key_part(value: Any) -> str:
    if value is None:
        return ""
    return utc_text(value) if isinstance(value, datetime) else str(value)


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a command's data.

    :raises ContractError: ``D-VERSION`` for an unknown name.
    """
    entry = command_type(name)
    return {
        **entry.model.model_json_schema(mode="validation"),
        "$schema": const.JSON_SCHEMA_DIALECT,
        "title": entry.title,
        "description": entry.description,
        "examples": [entry.sample],
    }
