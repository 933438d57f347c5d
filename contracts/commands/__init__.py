# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Inbound commands: one file per object, brought together by the catalogue."""

from .catalogue import (
    COMMAND_TYPES,
    business_key,
    command_type,
    json_schema,
    parse_command,
)
from .command_type import CommandType
from .payment import PaymentCaptured
from .payout import PayoutLine, PayoutReleased

__all__ = [
    "COMMAND_TYPES",
    "CommandType",
    "PaymentCaptured",
    "PayoutLine",
    "PayoutReleased",
    "business_key",
    "command_type",
    "json_schema",
    "parse_command",
]
