# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One kind of command the hub takes."""

from dataclasses import dataclass
from typing import Any

from ..base import Contract


@dataclass(frozen=True, slots=True)
class CommandType:
    """An entry of the catalogue.

    :ivar name: ``payment.captured``; the name which the ORM dispatches on.
    :ivar title: a few words for a list.
    :ivar description: what it does in Odoo, in a sentence.
    :ivar model: contract of the data.
    :ivar business_key: fields which, with the connector, name the thing for ever.
    :ivar optional_key: fields which name it more closely where the sender gives them.
    :ivar time_field: the field which says when it happened; a sender may leave it to
        the envelope's ``time``.
    :ivar sample: data which fits the contract, for documentation and tests.
    :ivar version: of the contract.
    """

    name: str
    title: str
    description: str
    model: type[Contract]
    business_key: tuple[str, ...]
    time_field: str
    sample: dict[str, Any]
    version: int = 1
    optional_key: tuple[str, ...] = ()

    @property
    def wire_type(self) -> str:
        """The CloudEvents type it arrives as, ``payment.captured.v1``."""
        return f"{self.name}.v{self.version}"
