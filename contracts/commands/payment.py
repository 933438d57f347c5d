# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Commands about payments."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from .. import constants as const
from ..base import (
    Contract,
    CurrencyCode,
    Identifier,
    LongText,
    PositiveMoney,
    Text,
    UtcDateTime,
    single_line,
)
from .command_type import CommandType

_Metadata = dict[
    Annotated[
        str,
        StringConstraints(min_length=1, max_length=const.METADATA_KEY_MAX_LENGTH),
        AfterValidator(single_line),
    ],
    Annotated[
        str,
        StringConstraints(max_length=const.METADATA_VALUE_MAX_LENGTH),
        AfterValidator(single_line),
    ],
]


class PaymentCaptured(Contract):
    """Money was taken from a payer and is on its way to us.

    :ivar provider_ref: the provider's id of the capture; with the connector it names
        the payment, so that it is booked once.
    :ivar amount: gross, greater than zero.
    :ivar captured_at: when it was captured, not when it was reported.
    :ivar parent_ref: the provider's id of what was captured: order, authorisation.
    :ivar document_ref: number or payment reference of the invoice that is paid.
    :ivar method: how it was paid: ``card``, ``sepa_debit`` …
    :ivar metadata: further values, kept and not interpreted.
    """

    provider_ref: Identifier
    amount: PositiveMoney
    currency: CurrencyCode
    captured_at: UtcDateTime
    parent_ref: Identifier | None = None
    document_ref: Identifier | None = None
    payer_name: Text | None = None
    method: Text | None = None
    description: LongText | None = None
    metadata: Annotated[_Metadata, Field(max_length=const.METADATA_MAX_COUNT)] = {}

    @model_validator(mode="after")
    def _check_references(self):
        if self.parent_ref is None and self.document_ref is None:
            raise ValueError(
                "Send parent_ref or document_ref, so that the payment can be matched."
            )
        return self


TYPES = (
    CommandType(
        name="payment.captured",
        title="Payment captured",
        description="Registers a payment and matches it to its invoice.",
        model=PaymentCaptured,
        business_key=("provider_ref",),
        time_field="captured_at",
        sample={
            "provider_ref": "pay_3f9a",
            "amount": "1210.00",
            "currency": "EUR",
            "captured_at": "2026-02-10T08:15:00Z",
            "document_ref": "INV/2026/00042",
            "payer_name": "Azure Interior",
            "method": "card",
        },
    ),
)
