# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import csv
import io
import json
import random
from decimal import Decimal

import pytest
from finance_hub.contracts import ContractError
from finance_hub.providers import ADAPTERS
from hypothesis import given
from hypothesis import strategies as st

ADAPTER = ADAPTERS["adyen_settlement"]
COLUMNS = (
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
    "Modification Merchant Reference",
    "Batch Number",
)


def row(kind, debit="", credit="", **values):
    return {
        "Merchant Account": "Shop",
        "Creation Date": "2026-02-10 08:15:00",
        "TimeZone": "CET",
        "Type": kind,
        "Net Currency": "EUR",
        "Net Debit (NC)": debit,
        "Net Credit (NC)": credit,
        "Batch Number": "7",
        **values,
    }


def payment(reference="PSP1", gross="100.00", fee="2.50", **values):
    net = Decimal(gross) - Decimal(fee)
    return row(
        "Settled",
        credit=str(net),
        **{
            "Psp Reference": reference,
            "Merchant Reference": f"INV-{reference}",
            "Gross Currency": "EUR",
            "Gross Credit (GC)": gross,
            "Commission (NC)": "0.10",
            "Markup (NC)": str(Decimal(fee) - Decimal("0.35")),
            "Scheme Fees (NC)": "0.05",
            "Interchange (NC)": "0.20",
            **values,
        },
    )


def report(*rows, columns=COLUMNS, delimiter=",", encoding="utf-8"):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def parse(body):
    return ADAPTER.parse({}, body, {})


BATCH = (
    row(
        "Balancetransfer",
        credit="10.00",
        **{"Modification Merchant Reference": "x from batch 6"},
    ),
    payment(),
    row(
        "Refunded",
        debit="20.40",
        **{
            "Psp Reference": "PSP1",
            "Modification Reference": "REF1",
            "Gross Debit (GC)": "20.00",
            "Commission (NC)": "0.40",
        },
    ),
    row(
        "Chargeback",
        debit="50.00",
        **{"Psp Reference": "PSP0", "Modification Reference": "CB1"},
    ),
    row("ChargebackReversed", credit="50.00", **{"Modification Reference": "CB1"}),
    row("RefundedReversed", credit="20.00", **{"Modification Reference": "REF0"}),
    row("Fee", debit="0.09", **{"Modification Reference": "Transaction Fees"}),
    row("MiscCosts", debit="1.00"),
    row("ReserveAdjustment", debit="5.00"),
    row("InvoiceDeduction", debit="3.00"),
    row("ManualCorrected", credit="1.00", **{"Modification Reference": "Correction"}),
    row("MerchantPayout", debit="89.01", **{"Modification Reference": "TX77 batch 7"}),
    row(
        "Balancetransfer",
        debit="10.00",
        **{"Modification Merchant Reference": "x to batch 8"},
    ),
)


def test_batch():
    (command,) = parse(report(*BATCH))
    data = command.data
    assert command.type == "payout.released"
    assert data["payout_ref"] == "Shop/7/EUR"
    assert (data["net"], data["currency"]) == ("89.01", "EUR")
    assert (data["opening"], data["closing"]) == ("10.00", "10.00")
    assert data["bank_reference"] == "TX77 batch 7"
    assert [line["kind"] for line in data["lines"]] == [
        "payment",
        "refund",
        "chargeback",
        "chargeback_reversal",
        "refund_reversal",
        "fee",
        "fee",
        "reserve",
        "fee",
        "adjustment",
    ]
    total = sum(Decimal(line["net"]) for line in data["lines"])
    assert Decimal("10.00") + total - Decimal("10.00") == Decimal(data["net"])


def test_lines():
    (command,) = parse(report(*BATCH))
    first, refund, _chargeback, *_others, fee, _misc, _reserve, _invoice, last = (
        command.data["lines"]
    )
    assert (first["gross"], first["fee"], first["net"]) == ("100.00", "2.50", "97.50")
    assert first["provider_ref"] == "PSP1"
    assert first["document_ref"] == "INV-PSP1"
    assert first["occurred_at"] == "2026-02-10T07:15:00Z"
    assert (refund["gross"], refund["fee"], refund["net"]) == (
        "-20.00",
        "0.40",
        "-20.40",
    )
    assert (refund["provider_ref"], refund["parent_ref"]) == ("REF1", "PSP1")
    assert (fee["gross"], fee["fee"], fee["net"]) == ("0.00", "0.09", "-0.09")
    assert "provider_ref" not in fee
    assert last["description"] == "ManualCorrected Correction"


def test_columns_in_any_order_and_any_number():
    expected = parse(report(*BATCH))[0].data
    columns = [*COLUMNS, "Reserved4", "Something New"]
    random.Random(7).shuffle(columns)
    assert parse(report(*BATCH, columns=columns))[0].data == expected
    renamed = [name.upper().replace(" ", "_") for name in COLUMNS]
    body = report(*BATCH).decode()
    head, _, rest = body.partition("\r\n")
    assert parse(f"{','.join(renamed)}\r\n{rest}".encode())[0].data == expected
    assert head
    assert parse(report(*BATCH, delimiter=";"))[0].data == expected
    assert parse(report(*BATCH, encoding="utf-8-sig"))[0].data == expected


def test_one_payout_for_each_batch_and_currency():
    commands = parse(
        report(
            payment(),
            payment("PSP2", **{"Net Currency": "USD"}),
            payment("PSP3", **{"Batch Number": "8"}),
        )
    )
    names = [command.data["payout_ref"] for command in commands]
    assert names == ["Shop/7/EUR", "Shop/7/USD", "Shop/8/EUR"]


def test_paid_in_another_currency():
    (command,) = parse(
        report(
            payment(
                **{
                    "Gross Currency": "GBP",
                    "Gross Credit (GC)": "80.00",
                    "Exchange Rate": "1.25",
                }
            )
        )
    )
    (line,) = command.data["lines"]
    assert (line["gross"], line["net"]) == ("100.00", "97.50")
    assert "80.00 GBP @ 1.25" in line["description"]


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("CEST", "06:15"),
        ("PDT", "15:15"),
        ("Europe/Amsterdam", "07:15"),
        ("", "08:15"),
        ("XYZ", "08:15"),
    ],
)
def test_zones(zone, moment):
    (command,) = parse(report(payment(TimeZone=zone)))
    assert command.data["released_at"] == f"2026-02-10T{moment}:00Z"


def test_nothing_paid_out():
    """What has no payout has a net of zero; whether that is right is a control."""
    (command,) = parse(report(row("Fee", debit="0.09")))
    assert command.data["net"] == "0"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "no column Type"),
        (report(), "no rows"),
        (report(payment(**{"Net Credit (NC)": "1,5"})), "Line 2"),
        (report(payment(), payment(**{"Batch Number": ""})), "Line 3"),
        (report(payment(**{"Creation Date": "10/02/2026"})), "Creation Date"),
        (report(payment()) + b"," * 30 + b"x\n", "cells"),
        (report(payment()).replace(b"Shop", b"\xff"), "utf-8"),
        (report(payment()).replace(b"Shop", b"\x00"), "NUL"),
        (report(payment()) + b'"never closed', "no CSV"),
    ],
)
def test_refused(body, words):
    with pytest.raises(ContractError) as caught:
        parse(body)
    assert words in caught.value.describe()


@given(st.data())
def test_mangled(data):
    body = bytearray(report(*BATCH))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    try:
        json.dumps([command.data for command in parse(bytes(body))])
    except ContractError as error:
        assert error.describe()


@given(st.binary(max_size=300))
def test_arbitrary_bytes(body):
    with pytest.raises(ContractError):
        parse(body)
