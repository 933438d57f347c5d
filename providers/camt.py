# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""ISO 20022 account statements: camt.053, camt.054 and camt.052 of any version.

One command for each statement (``Stmt``), notification (``Ntfctn``) or report (``Rpt``)
of a file, so that a file of several accounts is never booked to one. The message
definitions are those of ISO 20022, versions 2 to 13; elements are found by local name,
so that a later version reads as far as it says the same.

Only what is booked becomes an entry. What is pending or for information is counted in
a command of its own that does nothing, where people can see it.

Signs: ``CdtDbtInd`` tells the direction on the account, also where ``RvslInd`` is
true; that one tells that the entry takes back an earlier one of the other direction.
Of a return, some banks name the parties as in the original transaction and some as
they are now, so whoever holds another account than ours is the counterparty.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ..contracts import ContractError, validate
from . import constants as const
from . import iso20022 as iso
from .base import Adapter, ParsedCommand, digest_id
from .camt_detail import Detail, read_detail
from .camt_entry import read_entry
from .camt_statement import PARTS, Collected, Part
from .xml_reader import Element, read_xml

_MESSAGES = ("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn", "BkToCstmrAcctRpt")
_FORMAT = re.compile(r"camt\.05[234]\.[0-9]{3}\.[0-9]{2}")
_BOOKED = "BOOK"


class _File:
    """Collects the statements of a file while it streams by.

    :ivar statements: (name of the element, its head, what was collected)
    """

    def __init__(self) -> None:
        self.header = Element("GrpHdr", {})
        self.statements: list[tuple[str, Element, Collected]] = []
        self._open = Collected()
        self._details: list[Detail] = []

    def ended(self, path: tuple[str, ...], element: Element) -> bool:
        if element.name == "TxDtls" and "Ntry" in path:
            self._details.append(read_detail(element))
            return True
        if element.name == "Ntry" and len(path) > 1 and path[-2] in PARTS:
            self._add(element)
            return True
        if element.name == "GrpHdr" and len(path) > 1 and path[-2] in _MESSAGES:
            self.header = element
            return True
        if element.name in PARTS and len(path) > 1 and path[-2] in _MESSAGES:
            self.statements.append((element.name, element, self._open))
            self._open = Collected()
            return True
        return False

    def _add(self, element: Element) -> None:
        details, self._details = self._details, []
        self._open.count += 1
        status = element.find("Sts")
        # What is on a statement is booked, unless it says otherwise.
        state = (iso.code(status) or _BOOKED).upper()
        if state != _BOOKED:
            self._open.skipped[state] += 1
            return
        counts = [
            int(text)
            for text in (b.value("NbOfTxs") for b in element.all("NtryDtls", "Btch"))
            if text and text.isascii() and text.isdigit() and len(text) < 10
        ]
        self._open.entries.append(
            read_entry(element, self._open.count, details, max(counts, default=0))
        )


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return one ``bank_statement.content`` for each statement of a file.

    Behind it, a command that is ignored counts what is not booked, and the balances of
    a report become ``balance.reported``.

    :param body: XML in any encoding that it names.
    :param options: of :class:`iso20022.BankOptions`.
    :raises ContractError: ``D-SCHEMA``. Nothing else is raised, whatever arrives.
    """
    settings = validate(iso.BankOptions, dict(options or {}), "The format's settings")
    file = _File()
    root = read_xml(body, file.ended)
    if not file.statements:
        raise ContractError(
            "This is no bank statement of ISO 20022: there is no Stmt, Ntfctn or Rpt "
            f"in it. Its root element is {root.name[:64]}."
        )
    match = _FORMAT.search(body[:4096].decode("latin-1"))
    about = {
        "sha256": hashlib.sha256(body).hexdigest(),
        "format": match and match.group(),
    }
    where = iso.zone(settings.timezone)
    return [
        command
        for position in range(len(file.statements))
        for command in Part(file, position, where, about).commands()
    ]


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the digest of the bytes: banks use a message id again. Never raises."""
    return digest_id(body)


ADAPTER = Adapter(
    name="camt",
    title="Bank statements (ISO 20022 camt.052, camt.053, camt.054)",
    parse=parse,
    external_id=external_id,
    options_model=iso.BankOptions,
    max_bytes=const.FILE_MAX_BYTES,
)
