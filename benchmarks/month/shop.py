"""A month of a shop, as its payment provider and its bank tell it.

Made up from a seed, so that two runs get the very same month: orders, the provider's
notifications, its weekly settlement reports, and the bank's daily statements. Nothing
here knows the hub; it is written against the providers' public descriptions: Adyen's
standard notifications and settlement detail report, ISO 20022 camt.053.
"""

import csv
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from xml.sax.saxutils import escape

from Adyen.util import generate_notification_sig

MERCHANT = "DemoShopECOM"
IBAN = "NL91ABNA0417164300"
CENT = Decimal("0.01")

#: Orders, and how many of them are refunded (every second one in part) or charged
#: back; the first chargeback is won, the other one lost.
ORDERS = 500
REFUNDS = 20
CHARGEBACKS = 2
#: What the provider keeps: a share of the amount and a fixed part of each payment.
FEE_SHARE = Decimal("0.014")
FEE_FIXED = Decimal("0.11")
#: Kept of each settlement batch but the last for the next one.
BALANCE_KEPT = Decimal("250.00")
#: Days from the end of a batch until its payout is on the bank account.
PAYOUT_DAYS = 2


@dataclass
class Order:
    """One order: an invoice in Odoo and a payment at the provider."""

    number: int
    day: date
    amount: Decimal
    #: Number of its invoice, given by Odoo.
    invoice: str = ""

    @property
    def psp_reference(self) -> str:
        return f"PSP{self.number:013d}"

    @property
    def fee(self) -> Decimal:
        return (self.amount * FEE_SHARE + FEE_FIXED).quantize(CENT, ROUND_HALF_UP)

    def moment(self, hours: int = 9, minutes: int = 0) -> datetime:
        return datetime.combine(self.day, time(hours, minutes), UTC)


@dataclass(frozen=True)
class Row:
    """One row of the settlement detail report."""

    kind: str
    order: Order | None
    reference: str
    moment: datetime
    gross: Decimal
    fee: Decimal = Decimal(0)
    note: str = ""

    @property
    def net(self) -> Decimal:
        return self.gross - self.fee


@dataclass
class Batch:
    """One settlement batch, which ends in one payout."""

    number: int
    last_day: date
    rows: list[Row] = field(default_factory=list)
    opening: Decimal = Decimal(0)
    is_last: bool = False

    @property
    def balance(self) -> Decimal:
        return self.opening + sum((row.net for row in self.rows), Decimal(0))

    @property
    def closing(self) -> Decimal:
        return Decimal(0) if self.is_last else min(BALANCE_KEPT, self.balance)

    @property
    def payout(self) -> Decimal:
        return self.balance - self.closing

    @property
    def payout_day(self) -> date:
        return self.last_day + timedelta(days=PAYOUT_DAYS)

    @property
    def bank_reference(self) -> str:
        return f"TX{self.number:08d}XT {MERCHANT} batch {self.number}"


@dataclass(frozen=True)
class Delivery:
    """One HTTP request to the hub.

    :ivar connector: ``provider`` or ``bank``
    """

    connector: str
    content_type: str
    body: bytes


class Month:
    """Everything of one month.

    :param first_day: of the month
    :param currency: ISO 4217 code, with two decimals
    :param hmac_key: with which the provider signs its notifications, hexadecimal
    """

    def __init__(
        self, first_day: date, currency: str, hmac_key: str, *, orders=ORDERS, seed=19
    ):
        self.first_day = first_day
        self.currency = currency
        self.hmac_key = hmac_key
        self._random = random.Random(seed)
        self.orders = [self._order(number) for number in range(1, orders + 1)]
        chosen = self._random.sample(
            self.orders, min(orders // 5, REFUNDS + CHARGEBACKS)
        )
        self.disputed = chosen[:CHARGEBACKS]
        self.refunded = chosen[CHARGEBACKS:]
        self.refunds = {
            order.number: (
                order.amount
                if index % 2
                else (order.amount / 3).quantize(CENT, ROUND_HALF_UP)
            )
            for index, order in enumerate(self.refunded)
        }

    def _order(self, number: int) -> Order:
        day = self.first_day + timedelta(days=self._random.randrange(28))
        return Order(
            number, day, Decimal(self._random.randrange(500, 50_000)).scaleb(-2)
        )

    # === NOTIFICATIONS === #
    def notifications(self) -> Iterator[Delivery]:
        """What the provider tells of each payment, in the order of time."""
        items = []
        for order in self.orders:
            items.append(
                self._item("AUTHORISATION", order, order.psp_reference, order.moment())
            )
            items.append(
                self._item(
                    "CAPTURE",
                    order,
                    f"CAP{order.number:013d}",
                    order.moment(9, 5),
                    original=order.psp_reference,
                )
            )
        for order in self.refunded:
            items.append(
                self._item(
                    "REFUND",
                    order,
                    self.refund_reference(order),
                    order.moment(15),
                    original=order.psp_reference,
                    amount=self.refunds[order.number],
                )
            )
        for index, order in enumerate(self.disputed):
            for minute, event in enumerate(
                ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "CHARGEBACK_REVERSED")[
                    : 3 if index == 0 else 2
                ]
            ):
                items.append(
                    self._item(
                        event,
                        order,
                        self.dispute_reference(order),
                        order.moment(16, minute),
                        original=order.psp_reference,
                    )
                )
        items.sort(key=lambda item: item["eventDate"])
        for item in items:
            yield Delivery(
                "provider",
                "application/json",
                json.dumps(
                    {
                        "live": "false",
                        "notificationItems": [{"NotificationRequestItem": item}],
                    }
                ).encode(),
            )

    def _item(self, event, order, reference, moment, original="", amount=None):
        item = {
            "amount": {
                "currency": self.currency,
                "value": int((amount or order.amount).scaleb(2)),
            },
            "eventCode": event,
            "eventDate": moment.isoformat(),
            "merchantAccountCode": MERCHANT,
            "merchantReference": order.invoice,
            "originalReference": original,
            "paymentMethod": "visa",
            "pspReference": reference,
            "reason": "",
            "success": "true",
        }
        signature = generate_notification_sig(item, self.hmac_key).decode()
        return {**item, "additionalData": {"hmacSignature": signature}}

    @staticmethod
    def refund_reference(order: Order) -> str:
        return f"REF{order.number:013d}"

    @staticmethod
    def dispute_reference(order: Order) -> str:
        return f"DSP{order.number:013d}"

    # === SETTLEMENT === #
    def batches(self) -> list[Batch]:
        """The weekly settlement batches."""
        batches = [
            Batch(100 + week, self.first_day + timedelta(days=7 * week + 6))
            for week in range(4)
        ]
        for row in self._rows():
            week = (row.moment.date() - self.first_day).days // 7
            batches[week].rows.append(row)
        batches[-1].is_last = True
        for before, after in pairwise(batches):
            after.opening = before.closing
        return batches

    def _rows(self) -> Iterator[Row]:
        for order in self.orders:
            yield Row(
                "Settled",
                order,
                f"CAP{order.number:013d}",
                order.moment(20),
                order.amount,
                order.fee,
            )
        for order in self.refunded:
            yield Row(
                "Refunded",
                order,
                self.refund_reference(order),
                order.moment(21),
                -self.refunds[order.number],
            )
        for index, order in enumerate(self.disputed):
            reference = self.dispute_reference(order)
            yield Row("Chargeback", order, reference, order.moment(22), -order.amount)
            if index == 0:
                yield Row(
                    "ChargebackReversed",
                    order,
                    reference,
                    order.moment(23),
                    order.amount,
                )
        for week in range(4):
            day = self.first_day + timedelta(days=7 * week + 6)
            yield Row(
                "Fee",
                None,
                f"Transaction Fees {day:%B %d %Y}",
                datetime.combine(day, time(23, 30), UTC),
                Decimal("-3.50"),
            )

    def reports(self) -> Iterator[Delivery]:
        """The settlement detail report of each batch, as CSV."""
        for batch in self.batches():
            yield Delivery("provider", "text/csv", _report(batch, self.currency))

    # === BANK === #
    def statements(self) -> Iterator[Delivery]:
        """The bank's statement of each day with a payout, as camt.053."""
        balance = Decimal("1000.00")
        for number, batch in enumerate(self.batches(), start=1):
            entries = [(batch.payout, batch.bank_reference, "Adyen N.V.")]
            if number % 2:
                entries.append((Decimal("-12.50"), "Account fee", ""))
            opening = balance
            balance += sum(amount for amount, *_rest in entries)
            yield Delivery(
                "bank",
                "application/xml",
                _camt(
                    number, batch.payout_day, self.currency, opening, balance, entries
                ),
            )

    # === WHAT HAS TO COME OF IT === #
    def fees(self) -> Decimal:
        """All that the provider keeps."""
        return sum(
            (
                row.fee - (row.gross if row.kind == "Fee" else 0)
                for batch in self.batches()
                for row in batch.rows
            ),
            Decimal(0),
        )

    def payouts(self) -> Decimal:
        return sum((batch.payout for batch in self.batches()), Decimal(0))


# === FORMATS === #
_COLUMNS = (
    "Company Account",
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Payment Method",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Exchange Rate",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Commission (NC)",
    "Markup (NC)",
    "Scheme Fees (NC)",
    "Interchange (NC)",
    "Payment Method Variant",
    "Modification Merchant Reference",
    "Batch Number",
)


def _report(batch: Batch, currency: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    common = {
        "Company Account": "DemoShop",
        "Merchant Account": MERCHANT,
        "TimeZone": "UTC",
        "Net Currency": currency,
        "Batch Number": batch.number,
    }

    def amounts(kind: str, amount: Decimal) -> dict[str, str]:
        side = "Credit" if amount >= 0 else "Debit"
        return {f"{kind} {side} ({kind[0]}C)": str(abs(amount))}

    def transfer(kind: str, amount: Decimal, day: date, note: str) -> None:
        writer.writerow(
            {
                **common,
                "Creation Date": f"{day} 23:59:00",
                "Type": kind,
                "Modification Reference": note,
                "Modification Merchant Reference": note,
                **amounts("Net", amount),
            }
        )

    if batch.opening:
        note = f"Balancetransfer from batch {batch.number - 1}"
        first_day = batch.last_day - timedelta(days=6)
        transfer("Balancetransfer", batch.opening, first_day, note)
    for row in sorted(batch.rows, key=lambda row: row.moment):
        line = {
            **common,
            "Creation Date": f"{row.moment:%Y-%m-%d %H:%M:%S}",
            "Type": row.kind,
            "Modification Reference": row.reference,
            **amounts("Net", row.net),
        }
        if row.order:
            line |= {
                "Psp Reference": row.order.psp_reference,
                "Merchant Reference": row.order.invoice,
                "Payment Method": "visa",
                "Gross Currency": currency,
                "Exchange Rate": "1",
                **amounts("Gross", row.gross),
            }
            if row.fee:
                line["Commission (NC)"] = str(row.fee)
        writer.writerow(line)
    if batch.closing:
        note = f"Balancetransfer to batch {batch.number + 1}"
        transfer("Balancetransfer", -batch.closing, batch.last_day, note)
    transfer(
        "MerchantPayout",
        -batch.payout,
        batch.last_day,
        batch.bank_reference,
    )
    return text.getvalue().encode()


def _camt(number, day, currency, opening, closing, entries) -> bytes:
    def balance(code: str, amount: Decimal) -> str:
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
            f'<Amt Ccy="{currency}">{abs(amount)}</Amt>'
            f"<CdtDbtInd>{'CRDT' if amount >= 0 else 'DBIT'}</CdtDbtInd>"
            f"<Dt><Dt>{day}</Dt></Dt></Bal>"
        )

    def entry(index: int, amount: Decimal, text: str, party: str) -> str:
        credit = amount >= 0
        role = "Dbtr" if credit else "Cdtr"
        parties = (
            f"<RltdPties><{role}><Nm>{escape(party)}</Nm></{role}></RltdPties>"
            if party
            else ""
        )
        return (
            f"<Ntry><NtryRef>{number:05d}{index:04d}</NtryRef>"
            f'<Amt Ccy="{currency}">{abs(amount)}</Amt>'
            f"<CdtDbtInd>{'CRDT' if credit else 'DBIT'}</CdtDbtInd><Sts>BOOK</Sts>"
            f"<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>"
            "<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>"
            "<NtryDtls><TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
            f"{parties}<RmtInf><Ustrd>{escape(text)}</Ustrd></RmtInf>"
            "</TxDtls></NtryDtls></Ntry>"
        )

    body = "".join(
        entry(index, amount, text, party)
        for index, (amount, text, party) in enumerate(entries, start=1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">'
        f"<BkToCstmrStmt><GrpHdr><MsgId>MSG{number:05d}</MsgId>"
        f"<CreDtTm>{day}T22:00:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{day:%Y}-{number:05d}</Id>"
        f"<ElctrncSeqNb>{number}</ElctrncSeqNb>"
        f"<CreDtTm>{day}T22:00:00</CreDtTm>"
        f"<FrToDt><FrDtTm>{day}T00:00:00</FrDtTm><ToDtTm>{day}T23:59:59</ToDtTm>"
        f"</FrToDt><Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>{currency}</Ccy></Acct>"
        f"{balance('OPBD', opening)}{balance('CLBD', closing)}{body}"
        "</Stmt></BkToCstmrStmt></Document>"
    ).encode()
