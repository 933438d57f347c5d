# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json

import pytest
from finance_hub.contracts import ContractError
from finance_hub.providers import ADAPTERS
from hypothesis import given
from hypothesis import strategies as st

ADAPTER = ADAPTERS["pain002"]


def reason(code="AC04", text="Closed account"):
    return (
        f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn><AddtlInf>{text}</AddtlInf></StsRsnInf>"
    )


def transaction(name="E1", status="ACSP", inner=""):
    stated = f"<TxSts>{status}</TxSts>" if status else ""
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{name}</OrgnlEndToEndId>{stated}{inner}"
        "</TxInfAndSts>"
    )


def block(*transactions, status=None, count=None, name="P1", inner=""):
    number = f"<OrgnlNbOfTxs>{count}</OrgnlNbOfTxs>" if count is not None else ""
    stated = f"<PmtInfSts>{status}</PmtInfSts>" if status else ""
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{name}</OrgnlPmtInfId>{number}{stated}{inner}"
        f"{''.join(transactions)}</OrgnlPmtInfAndSts>"
    )


def report(*blocks, status=None, count=None, inner="", version="10"):
    number = f"<OrgnlNbOfTxs>{count}</OrgnlNbOfTxs>" if count is not None else ""
    stated = f"<GrpSts>{status}</GrpSts>" if status else ""
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}">'
        "<CstmrPmtStsRpt><GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-02-10T08:15:00Z"
        "</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>O1</OrgnlMsgId>"
        f"<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{number}{stated}{inner}"
        f"</OrgnlGrpInfAndSts>{''.join(blocks)}</CstmrPmtStsRpt></Document>"
    ).encode()


def parse(body, **options):
    return ADAPTER.parse({}, body, options)


def said(body, **options):
    """Return {provider_ref: what is said of it}, short."""
    return {
        command.data["provider_ref"]: command.data.get("execution")
        or command.data["outcome"]
        for command in parse(body, **options)
    }


# === LEVELS === #


def test_transaction_wins_over_block_over_group():
    body = report(
        block(
            transaction("E1", "RJCT", reason()),
            transaction("E2", None),
            status="ACSP",
            count=2,
        ),
        block(transaction("E3", None), name="P2", count=1),
        status="PDNG",
    )
    assert said(body) == {"E1": "rejected", "E2": "acknowledged", "E3": "acknowledged"}
    raw = {c.data["provider_ref"]: c.data["raw_status"] for c in parse(body)}
    assert raw == {"E1": "RJCT", "E2": "ACSP", "E3": "PDNG"}


def test_a_rejection_tells_why():
    (command,) = parse(
        report(block(transaction("E1", "RJCT", reason()), count=1, status="RJCT"))
    )
    assert command.type == "payment.failed"
    assert command.data["outcome"] == "rejected"
    assert command.data["reason_code"] == "AC04"
    assert command.data["reason"] == "Closed account"
    assert command.data["parent_ref"] == "P1"
    assert command.data["failed_at"] == "2026-02-10T08:15:00Z"


def test_reason_of_the_block_and_without_any():
    inherited = report(
        block(transaction("E1", None), status="RJCT", inner=reason("NARR"))
    )
    assert parse(inherited)[0].data["reason_code"] == "NARR"
    assert (
        parse(report(block(transaction("E1", "RJCT"))))[0].data["reason_code"] == "RJCT"
    )
    own = "<StsRsnInf><Rsn><Prtry>X7</Prtry></Rsn></StsRsnInf>"
    assert (
        parse(report(block(transaction("E1", "RJCT", own))))[0].data["reason_code"]
        == "X7"
    )


def test_only_the_block_or_the_group_is_told():
    assert said(report(block(status="RJCT", inner=reason()))) == {"P1": "rejected"}
    assert said(report(status="ACTC", count=3)) == {"O1": "acknowledged"}
    (command,) = parse(report(block(status="ACTC", count=3)))
    assert command.data["metadata"]["scope"] == "payment_information"
    assert command.data["metadata"]["count"] == "3"


def test_what_is_not_listed_has_the_status_of_the_block():
    body = report(block(transaction("E1", "RJCT"), status="ACSP", count=3))
    assert said(body) == {"E1": "rejected", "P1": "acknowledged"}
    complete = report(block(transaction("E1", "RJCT"), status="ACSP", count=1))
    assert said(complete) == {"E1": "rejected"}


@pytest.mark.parametrize(
    ("absent", "rest"),
    [
        ("accepted", {"P1": "acknowledged"}),
        ("unknown", {"P1": "unknown"}),
        ("ignore", {}),
    ],
)
@pytest.mark.parametrize("count", [3, None])
def test_partly_accepted(absent, rest, count):
    body = report(
        block(transaction("E1", "RJCT", reason()), status="PART", count=count),
        status="PART",
    )
    assert said(body, absent=absent) == {"E1": "rejected", **rest}


def test_partly_accepted_says_nothing_of_what_is_listed_without_status():
    assert said(report(block(transaction("E1", None), status="PART", count=1))) == {
        "E1": "unknown"
    }


# === STATUSES === #


@pytest.mark.parametrize(
    ("status", "execution", "settlement"),
    [
        *(
            (s, "acknowledged", None)
            for s in ("RCVD", "ACTC", "PDNG", "ACCP", "ACSP", "ACWC")
        ),
        ("ACSC", "acknowledged", "settled"),
        ("ACCC", "acknowledged", "settled"),
        ("PATC", "pending_approval", None),
        ("BLCK", "held", None),
        ("NEWX", "unknown", None),
        ("acsc", "acknowledged", "settled"),
    ],
)
def test_statuses(status, execution, settlement):
    (command,) = parse(report(block(transaction("E1", status))))
    assert command.type == "payment.status_changed"
    assert command.data["execution"] == execution
    assert command.data.get("settlement") == settlement
    assert command.data["raw_status"] == status.upper()


def test_cancelled():
    assert said(report(block(transaction("E1", "CANC")))) == {"E1": "cancelled"}


def test_amount_and_document():
    original = (
        '<OrgnlTxRef><Amt><InstdAmt Ccy="EUR">5.0100</InstdAmt></Amt><RmtInf><Strd>'
        "<CdtrRefInf><Ref>RF18 5390</Ref></CdtrRefInf></Strd></RmtInf></OrgnlTxRef>"
    )
    (command,) = parse(report(block(transaction("E1", "ACSC", original))))
    assert (command.data["amount"], command.data["currency"]) == ("5.01", "EUR")
    assert command.data["document_ref"] == "RF18 5390"


def test_ids():
    body = report(
        block(
            "<TxInfAndSts><OrgnlInstrId>I1</OrgnlInstrId>"
            "<OrgnlEndToEndId>NOTPROVIDED</OrgnlEndToEndId><TxSts>ACSP</TxSts>"
            "</TxInfAndSts>"
        )
    )
    assert said(body) == {"I1": "acknowledged"}
    twice = parse(report(block(transaction("E1"), transaction("E1"))))
    assert len({command.external_id for command in twice}) == 2


def test_version_2_has_transactions_beside_the_group():
    body = report(
        "<TxInfAndSts><OrgnlPmtInfId>P9</OrgnlPmtInfId><OrgnlEndToEndId>E1"
        "</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><StsRsn><Cd>AM04</Cd></StsRsn>"
        "<AddtlStsRsnInf>No money</AddtlStsRsnInf></StsRsnInf></TxInfAndSts>",
        version="02",
    )
    (command,) = parse(body)
    assert command.data["parent_ref"] == "P9"
    assert command.data["reason_code"] == "AM04"
    assert command.data["reason"] == "No money"


# === REFUSALS === #


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Document/>",
        report(),
        report().replace(b"2026-02-10T08:15:00Z", b"yesterday"),
        report(block("<TxInfAndSts><TxSts>ACSP</TxSts></TxInfAndSts>")),
        b"<!DOCTYPE a><Document/>",
        report(block(transaction("E1", "ACSP")))[:-20],
    ],
)
def test_refused(body):
    with pytest.raises(ContractError) as caught:
        parse(body)
    assert caught.value.message


def test_settings_are_checked():
    with pytest.raises(ContractError):
        parse(report(status="ACTC"), absent="maybe")


RICH = report(
    block(
        transaction("E1", "RJCT", reason()), transaction("E2"), status="PART", count=3
    ),
    status="PART",
)


@given(st.data())
def test_mangled(data):
    body = bytearray(RICH)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    try:
        json.dumps([command.data for command in parse(bytes(body))])
    except ContractError as error:
        assert error.describe()
