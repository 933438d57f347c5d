# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One published event type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..base import Contract, validate
from ..classification import CLASSES, INTERNAL, highest, mask_model, model_classes
from ..envelope import schema_uri


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
    :ivar dataclass: the highest class of its fields: ``internal``, ``confidential``
        or ``personal``; a declared one only raises it, to ``restricted`` for example.
    :ivar projection: of a version that is not the newest: makes its data out of the
        data of the next version, both as they go on the wire.
    """

    object: str
    verb: str
    title: str
    description: str
    model: type[Contract]
    sample: dict[str, Any]
    owner: str
    version: int = 1
    dataclass: str = INTERNAL
    projection: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def __post_init__(self):
        if self.dataclass not in CLASSES:
            raise ValueError(
                f"{self.name}: {self.dataclass!r} is no class; there are: "
                f"{', '.join(CLASSES)}."
            )
        object.__setattr__(
            self, "dataclass", highest((self.dataclass, *model_classes(self.model)))
        )

    @property
    def name(self) -> str:
        """The full name, ``finance.<object>.<verb>.v<N>``."""
        return f"finance.{self.object}.{self.verb}.v{self.version}"

    @property
    def base_name(self) -> str:
        """The name without its version, ``finance.<object>.<verb>``."""
        return f"finance.{self.object}.{self.verb}"

    @property
    def deprecated(self) -> bool:
        """Whether there is a newer version, which new subscribers should take."""
        return self.projection is not None

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

    def validate_json(self, data: Any) -> str:
        """Return what :meth:`validate` does as JSON text, without a detour."""
        found = validate(self.model, data, f"The data of {self.name}")
        return found.model_dump_json(by_alias=True, exclude_none=True)

    def mask(
        self, data: dict[str, Any], personal: bool = False, confidential: bool = False
    ) -> dict[str, Any]:
        """Return data without its personal or confidential values.

        Optional fields are left out; of required ones the value is replaced by one
        that is still valid, a text by ``***``. With both off it is ``data`` itself.

        :param data: as :meth:`validate` returns it; it is not changed.
        """
        return mask_model(self.model, data, personal, confidential)
