# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One published event type."""

from dataclasses import dataclass
from typing import Any

from ..base import Contract, validate
from ..envelope import schema_uri

INTERNAL = "internal"
CONFIDENTIAL = "confidential"
RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class EventType:
    """An entry of the catalogue.

    :ivar object: what it is about: ``invoice``.
    :ivar verb: what happened to it: ``posted``.
    :ivar version: of the contract; a published version never changes.
    :ivar title: a few words for a list.
    :ivar description: when it is sent, in a sentence.
    :ivar model: contract of the data.
    :ivar sample: data which fits the contract, for documentation and tests.
    :ivar owner: the team which answers for the meaning.
    :ivar dataclass: ``internal``, ``confidential`` (figures, business partners) or
        ``restricted``.
    """

    object: str
    verb: str
    title: str
    description: str
    model: type[Contract]
    sample: dict[str, Any]
    owner: str
    version: int = 1
    dataclass: str = CONFIDENTIAL

    @property
    def name(self) -> str:
        """The full name, ``finance.<object>.<verb>.v<N>``."""
        return f"finance.{self.object}.{self.verb}.v{self.version}"

    @property
    def dataschema(self) -> str:
        """Where its JSON Schema is published, relative to the hub's address."""
        return schema_uri(self.name)

    def validate(self, data: Any) -> dict[str, Any]:
        """Return data as it goes on the wire, checked by the contract.

        Dates and times may be Python's own; absent values are left out.

        :raises ContractError: ``D-SCHEMA``, with a pointer for every fault.
        """
        return validate(self.model, data, f"The data of {self.name}").wire()
