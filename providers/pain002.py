# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""ISO 20022 payment status reports: pain.002 of any version.

A bank answers a payment order at three levels: the whole message, a payment
information block, single transactions. The most special one counts. A status of a
transaction is a command about its end-to-end id. What a block says of the transactions
that it does not list is one command about the block (``OrgnlPmtInfId``, else
``OrgnlMsgId``), as their ids are not in the file. ``PART`` says nothing of those: how
they read is a setting of the bank.

``ACSC`` and ``ACCC`` mean that the bank is done: ``acknowledged``, with
``settlement: settled``; nothing is booked by it, as the statement brings the entry.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from ..contracts import ContractError, parse_command, utc_text, validate
from . import constants as const
from . import iso20022 as iso
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .xml_reader import Element, read_xml

#: What each status means: (execution, settlement). The codes are those of ISO 20022,
#: ExternalPaymentTransactionStatus1Code and ExternalPaymentGroupStatus1Code.
STATUSES: dict[str, tuple[str, str | None]] = {
    "RCVD": ("acknowledged", None),
    "ACTC": ("acknowledged", None),
    "ACFC": ("acknowledged", None),
    "ACCP": ("acknowledged", None),
    "ACSP": ("acknowledged", None),
    "ACWC": ("acknowledged", None),
    "ACWP": ("acknowledged", None),
    "PDNG": ("acknowledged", None),
    "PRES": ("acknowledged", None),
    "ACSC": ("acknowledged", "settled"),
    "ACCC": ("acknowledged", "settled"),
    "PATC": ("pending_approval", None),
    "BLCK": ("held", None),
}
#: Statuses that end a payment: the outcome of ``payment.failed``.
FAILURES = {"RJCT": "rejected", "CANC": "cancelled"}
_PARTIAL = "PART"


class Pain002Options(iso.BankOptions):
    """Settings of one bank's status reports.

    :ivar absent: how transactions read that a partly accepted block does not list.
    """

    absent: Literal["accepted", "unknown", "ignore"] = "unknown"


@dataclass(frozen=True, slots=True)
class _Level:
    """What one level says: of the message, a block, or a transaction."""

    status: str | None
    reason_code: str | None
    reason: str | None

    def under(self, above: "_Level") -> "_Level":
        """Return this level, or the one above where this one has no status."""
        if self.status:
            return self
        return _Level(
            above.status,
            self.reason_code or above.reason_code,
            self.reason or above.reason,
        )


def _level(element: Element | None, name: str) -> _Level:
    if element is None:
        return _Level(None, None, None)
    # Up to version 2 the reason had another name.
    reasons = element.all("StsRsnInf") + element.all("StsRsn")
    codes = [
        found
        for reason in reasons
        for place in ("Rsn", "StsRsn")
        if (found := iso.code(reason.find(place)))
    ]
    texts = [
        text.text
        for reason in reasons
        for place in ("AddtlInf", "AddtlStsRsnInf")
        for text in reason.all(place)
    ]
    status = element.value(name)
    return _Level(
        iso.identifier(status.upper()) if status else None,
        next(iter(codes), None),
        iso.words([*codes[1:], *texts]),
    )


def _count(element: Element | None) -> int | None:
    text = element.value("OrgnlNbOfTxs") if element is not None else None
    if text and text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    return None


class _Report:
    """One file: what it says, as commands."""

    def __init__(self, body: bytes, settings: Pain002Options):
        self.settings = settings
        self.where: ZoneInfo = iso.zone(settings.timezone)
        self.header = Element("GrpHdr", {})
        self.group: Element | None = None
        self.blocks: list[tuple[Element, list[Element]]] = []
        self._waiting: list[Element] = []
        root = read_xml(body, self._ended)
        if self.group is None and not self.blocks and not self._waiting:
            raise ContractError(
                "This is no payment status report (pain.002): it has no "
                f"OrgnlGrpInfAndSts. Its root element is {root.name[:64]}."
            )
        if self._waiting:
            # Version 2: transactions stand beside the group.
            self.blocks.append((Element("OrgnlPmtInfAndSts", {}), self._waiting))
        self.message_id = iso.identifier(self.header.value("MsgId")) or digest_id(body)
        created = iso.moment(self.header.value("CreDtTm"), self.where)
        if created is None:
            raise ContractError("The report does not tell when it was made (CreDtTm).")
        self.created: datetime = created
        self.original = iso.identifier(
            self.group.value("OrgnlMsgId") if self.group is not None else None
        )
        self._seen: Counter = Counter()

    def _ended(self, path: tuple[str, ...], element: Element) -> bool:
        if element.name == "GrpHdr":
            self.header = element
        elif element.name == "OrgnlGrpInfAndSts":
            self.group = element
        elif element.name == "TxInfAndSts":
            self._waiting.append(element)
        elif element.name == "OrgnlPmtInfAndSts":
            self.blocks.append((element, self._waiting))
            self._waiting = []
        else:
            return False
        return True

    # === COMMANDS === #

    def commands(self) -> list[ParsedCommand]:
        top = _level(self.group, "GrpSts")
        found: list[ParsedCommand] = []
        for block, transactions in self.blocks:
            level = _level(block, "PmtInfSts").under(top)
            name = iso.identifier(block.value("OrgnlPmtInfId"))
            if name is None:
                name = self.original
            for number, element in enumerate(transactions, 1):
                found.append(self._transaction(element, number, level, name))
            count = _count(block)
            if count is None and len(self.blocks) == 1:
                count = _count(self.group)
            found += self._rest(level, name, count, len(transactions))
        if not self.blocks:
            found += self._rest(top, self.original, _count(self.group), 0)
        if not found:
            raise ContractError(
                "The report tells no status: neither of the message, a block nor a "
                "transaction."
            )
        return found

    def _transaction(self, element, number, above, block) -> ParsedCommand:
        level = _level(element, "TxSts")
        # A block that is accepted in part says nothing of this one.
        if not level.status and above.status != _PARTIAL:
            level = level.under(above)
        name = next(
            (
                found
                for place in (
                    "OrgnlEndToEndId",
                    "OrgnlInstrId",
                    "OrgnlUETR",
                    "OrgnlTxId",
                    "StsId",
                )
                if (found := iso.identifier(element.value(place)))
            ),
            None,
        )
        if name is None:
            raise ContractError(
                f"Transaction {number} of “{block or self.message_id}” has no id to "
                "know it by (OrgnlEndToEndId)."
            )
        values = {
            "provider_ref": name,
            # Version 2 names the block at each transaction.
            "parent_ref": iso.identifier(element.value("OrgnlPmtInfId")) or block,
            "document_ref": iso.words(
                iso.remittance(element.find("OrgnlTxRef", "RmtInf"))[:1]
            ),
            **self._amount(element),
        }
        document = values["document_ref"]
        if document and len(document) > const.EXTERNAL_ID_MAX_LENGTH:
            values["document_ref"] = None
        metadata = {
            "instruction_id": iso.identifier(element.value("OrgnlInstrId")),
            "bank_reference": iso.identifier(
                element.value("AcctSvcrRef") or element.value("ClrSysRef")
            ),
        }
        return self._command(level, values, metadata)

    def _amount(self, element: Element) -> dict[str, str]:
        for path in (("InstdAmt",), ("EqvtAmt", "Amt")):
            found = element.find("OrgnlTxRef", "Amt", *path)
            code = iso.currency(found)
            if found is not None and code:
                number = iso.amount(found, "A transaction")
                if number > 0:
                    return {"amount": iso.plain(number), "currency": code}
        return {}

    def _rest(self, level, name, count, listed) -> list[ParsedCommand]:
        """Return what a level says of the transactions that are not listed."""
        if count is None:
            # Partly accepted means that there are others, whether listed or not.
            complete = bool(listed) and level.status != _PARTIAL
        else:
            complete = bool(listed) and count <= listed
        if complete or not level.status:
            return []
        if level.status == _PARTIAL:
            if self.settings.absent == "ignore":
                return []
            stands_for = "ACCP" if self.settings.absent == "accepted" else _PARTIAL
        else:
            stands_for = level.status
        if name is None:
            raise ContractError(
                "The report has a status of a whole order, but names no order "
                "(OrgnlMsgId or OrgnlPmtInfId)."
            )
        metadata = {
            "scope": "payment_information" if self.blocks else "message",
            "listed": str(listed),
            "count": None if count is None else str(count),
        }
        values = {
            "provider_ref": name,
            "parent_ref": self.original if self.original != name else None,
        }
        return [self._command(level, values, metadata, stands_for)]

    def _command(self, level, values, metadata, stands_for=None) -> ParsedCommand:
        status = stands_for or level.status
        # Not the time of acceptance (AccptncDtTm), which is the same in every report.
        moment = self.created
        values = {
            **values,
            "raw_status": level.status,
            "reason": level.reason,
            "metadata": {
                "message_id": self.message_id,
                **{key: value for key, value in metadata.items() if value is not None},
            },
        }
        if status in FAILURES:
            kind = "payment.failed"
            values.update(
                outcome=FAILURES[status],
                failed_at=utc_text(moment),
                # The contract wants a code; the status is the one there is.
                reason_code=level.reason_code or status,
            )
        else:
            kind = "payment.status_changed"
            # What is not known is not failed: somebody asks the bank.
            execution, settlement = STATUSES.get(status or "", ("unknown", None))
            values.update(
                execution=execution,
                settlement=settlement,
                changed_at=utc_text(moment),
                reason_code=level.reason_code,
            )
        data = {key: value for key, value in values.items() if value is not None}
        reference = bounded_id(f"{self.message_id}:{values['provider_ref']}")
        self._seen[reference] += 1
        if self._seen[reference] > 1:
            reference = bounded_id(f"{reference}:{self._seen[reference]}")
        return ParsedCommand(
            type=kind,
            external_id=reference,
            occurred_at=moment,
            data=parse_command(kind, data).wire(),
        )


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return ``payment.status_changed`` and ``payment.failed`` of a status report.

    :param options: of :class:`Pain002Options`.
    :raises ContractError: ``D-SCHEMA``. Nothing else is raised, whatever arrives.
    """
    settings = validate(Pain002Options, dict(options or {}), "The format's settings")
    return _Report(body, settings).commands()


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the digest of the bytes: banks use a message id again. Never raises."""
    return digest_id(body)


ADAPTER = Adapter(
    name="pain002",
    title="Payment status reports (ISO 20022 pain.002)",
    parse=parse,
    external_id=external_id,
    options_model=Pain002Options,
    max_bytes=const.FILE_MAX_BYTES,
)
