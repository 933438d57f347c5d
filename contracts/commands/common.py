# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What several commands have in common."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from .. import constants as const
from ..base import Contract, Identifier, Text, single_line

#: Further values of a sender, kept and not interpreted.
Metadata = Annotated[
    dict[
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
    ],
    Field(max_length=const.METADATA_MAX_COUNT),
]


class Party(Contract):
    """Who is on the other side of a payment, as the sender knows them.

    :ivar external_id: the sender's id, resolved by the cross-reference.
    :ivar iban: account that paid or was paid; blanks are allowed.
    """

    external_id: Identifier | None = None
    name: Text | None = None
    email: Text | None = None
    vat: Identifier | None = None
    iban: Identifier | None = None
