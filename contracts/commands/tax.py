# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a tax engine says a document's taxes should be."""

from typing import Annotated

from pydantic import Field

from .. import constants as const
from ..base import (
    Contract,
    CurrencyCode,
    Identifier,
    Money,
    Quantity,
    Text,
    UtcDateTime,
)
from .command_type import CommandType


class TaxLine(Contract):
    """Tax on one line, or of one kind on the whole document.

    :ivar line: number of the document's line, from 1; absent means the whole.
    :ivar tax: the engine's tax code, is mapped.
    :ivar rate: in percent.
    """

    line: Annotated[int, Field(ge=1)] | None = None
    tax: Identifier | None = None
    rate: Quantity | None = None
    base: Money
    amount: Money
    jurisdiction: Text | None = None


class TaxDetermination(Contract):
    """The taxes of a document by the tax engine; compared, never written.

    :ivar document: number of the document, or ``<object>/<id>``.
    :ivar determination_ref: the engine's id of this calculation.
    :ivar total_tax: all taxes together.
    """

    document: Identifier
    determination_ref: Identifier
    currency: CurrencyCode
    total_tax: Money
    determined_at: UtcDateTime
    lines: Annotated[list[TaxLine], Field(max_length=const.POSTING_MAX_LINES)] = []


TYPES = (
    CommandType(
        name="tax.determination",
        title="Tax determination",
        description="Compares a document's taxes with those of the tax engine.",
        model=TaxDetermination,
        business_key=("document", "determination_ref"),
        time_field="determined_at",
        sample={
            "document": "INV/2026/00042",
            "determination_ref": "tx_4711",
            "currency": "EUR",
            "total_tax": "210.00",
            "determined_at": "2026-02-10T08:15:00Z",
            "lines": [
                {
                    "line": 1,
                    "tax": "VAT21",
                    "rate": "21",
                    "base": "1000.00",
                    "amount": "210.00",
                }
            ],
        },
    ),
)
