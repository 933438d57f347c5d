# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
import time
import tracemalloc
from decimal import Decimal

import pytest
from finance_hub.contracts import ContractError
from finance_hub.providers import ADAPTERS
from hypothesis import given
from hypothesis import strategies as st

ADAPTER = ADAPTERS["camt"]
IBAN = "NL77ABNA0574908765"
THEIRS = "BE21319980275903"
ROOTS = {
    "Stmt": ("BkToCstmrStmt", "camt.053.001"),
    "Ntfctn": ("BkToCstmrDbtCdtNtfctn", "camt.054.001"),
    "Rpt": ("BkToCstmrAcctRpt", "camt.052.001"),
}


def bal(kind, amount, direction="CRDT", day="2026-01-31", currency="EUR"):
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def entry(
    amount="12.50",
    direction="CRDT",
    inner="",
    status="<Sts>BOOK</Sts>",
    currency="EUR",
    dates="<BookgDt><Dt>2026-01-31</Dt></BookgDt><ValDt><Dt>2026-02-01</Dt></ValDt>",
    before="",
):
    return (
        f'<Ntry>{before}<Amt Ccy="{currency}">{amount}</Amt>'
        f"<CdtDbtInd>{direction}</CdtDbtInd>{status}{dates}{inner}</Ntry>"
    )


def details(*transactions, batch=""):
    inner = "".join(f"<TxDtls>{one}</TxDtls>" for one in transactions)
    return f"<NtryDtls>{batch}{inner}</NtryDtls>"


def party(role, name, account=None, nested=False):
    named = f"<Nm>{name}</Nm>"
    found = f"<{role}>{f'<Pty>{named}</Pty>' if nested else named}</{role}>"
    if account:
        found += f"<{role}Acct><Id><IBAN>{account}</IBAN></Id></{role}Acct>"
    return found


def part(*content, name="S1", account=IBAN, currency="EUR", head="", kind="Stmt"):
    stated = f"<Ccy>{currency}</Ccy>" if currency else ""
    return (
        f"<{kind}><Id>{name}</Id><CreDtTm>2026-02-01T05:00:00Z</CreDtTm>{head}"
        f"<Acct><Id><IBAN>{account}</IBAN></Id>{stated}</Acct>{''.join(content)}</{kind}>"
    )


def document(*parts, version="08", kind="Stmt"):
    root, message = ROOTS[kind]
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{message}.{version}"><{root}>'
        "<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-02-01T05:00:00Z</CreDtTm></GrpHdr>"
        f"{''.join(parts)}</{root}></Document>"
    ).encode()


def parse(body, **options):
    return ADAPTER.parse({}, body, options)


def one(*content, **values):
    """Return the data of the only statement."""
    (command,) = parse(document(part(*content, **values)))
    return command.data


def only(*arguments, **values):
    """Return the only entry of a statement that has this one."""
    return one(entry(*arguments, **values))["entries"][0]


def refused(body, words="", **options):
    with pytest.raises(ContractError) as caught:
        parse(body, **options)
    assert caught.value.code == "D-SCHEMA"
    assert words in caught.value.describe()
    return caught.value


# === STATEMENTS === #


@pytest.mark.parametrize("version", ["02", "04", "06", "08", "10", "12", "99"])
def test_any_version(version):
    (command,) = parse(document(part(entry()), version=version))
    assert command.type == "bank_statement.content"
    assert command.data["format"] == f"camt.053.001.{version}"
    assert command.data["entries"][0]["amount"] == "12.50"


def test_prefixes_and_no_namespace():
    body = document(part(entry())).decode()
    bare = body.replace(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', "")
    (command,) = parse(bare.encode())
    assert command.data["format"] == "camt.053"
    prefixed = bare
    for name in ("Document", "BkToCstmrStmt", "Stmt", "Ntry", "Amt", "GrpHdr"):
        prefixed = prefixed.replace(f"<{name}", f"<n:{name}")
        prefixed = prefixed.replace(f"</{name}", f"</n:{name}")
    prefixed = prefixed.replace("<n:Document", '<n:Document xmlns:n="urn:x"', 1)
    assert parse(prefixed.encode())[0].data["entries"] == command.data["entries"]


def test_inside_an_envelope():
    body = document(part(entry())).decode()
    wrapped = f"<BizMsgEnvlp><AppHdr><MsgId>X</MsgId></AppHdr>{body}</BizMsgEnvlp>"
    (command,) = parse(wrapped.encode())
    assert command.external_id == "M1:S1:0"


def test_one_command_for_each_account():
    commands = parse(
        document(part(entry("1"), name="A"), part(entry("2"), name="B", account=THEIRS))
    )
    assert [command.data["account"] for command in commands] == [IBAN, THEIRS]
    assert [command.data["entries"][0]["amount"] for command in commands] == ["1", "2"]
    assert len({command.external_id for command in commands}) == 2


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Stmt", "statement"), ("Ntfctn", "notification"), ("Rpt", "report")],
)
def test_kinds(kind, name):
    (command,) = parse(document(part(entry(), kind=kind), kind=kind))
    assert command.data["kind"] == name


def test_period_numbers_and_servicer():
    data = one(
        head="<ElctrncSeqNb>0031</ElctrncSeqNb><FrToDt><FrDtTm>2026-01-30T00:00:00</FrDtTm>"
        "<ToDtTm>2026-01-31T23:59:59+01:00</ToDtTm></FrToDt>"
    )
    assert (data["from_date"], data["to_date"]) == ("2026-01-30", "2026-01-31")
    assert data["sequence"] == 31
    assert data["entries"] == []
    legal = one(head="<LglSeqNb>7</LglSeqNb>")
    assert legal["sequence"] == 7
    assert "sequence" not in one(head="<ElctrncSeqNb>A7</ElctrncSeqNb>")


def test_period_out_of_balances():
    before = one(bal("PRCD", "1.00", day="2026-01-30"), bal("CLBD", "1.00"))
    assert (before["from_date"], before["to_date"]) == ("2026-01-31", "2026-01-31")
    same = one(bal("OPBD", "1.00", day="2026-01-31"), bal("CLBD", "1.00"))
    assert same["from_date"] == "2026-01-31"
    assert one(entry())["from_date"] == "2026-01-31"


def test_balances():
    data = one(bal("OPBD", "10.00", "DBIT"), bal("CLBD", "2.50"), bal("CLAV", "9.00"))
    assert (data["opening"], data["closing"]) == ("-10.00", "2.50")
    assert one(bal("PRCD", "3"))["opening"] == "3"
    assert "opening" not in one(bal("CLBD", "3"))


def test_pages_have_interim_balances_at_their_seam():
    first = one(bal("OPBD", "1.00"), bal("ITBD", "2.00"))
    last = one(bal("ITBD", "2.00"), bal("CLBD", "3.00"))
    middle = one(bal("ITBD", "2.00"), bal("ITBD", "2.50"))
    assert (first["opening"], first["closing"]) == ("1.00", "2.00")
    assert (last["opening"], last["closing"]) == ("2.00", "3.00")
    assert (middle["opening"], middle["closing"]) == ("2.00", "2.50")
    assert "closing" not in one(bal("ITBD", "2.00"))


def test_days_of_one_statement():
    data = one(
        bal("OPBD", "1.00", day="2026-01-30"),
        bal("CLBD", "2.00", day="2026-01-30"),
        bal("OPBD", "2.00", day="2026-01-31"),
        bal("CLBD", "3.00", day="2026-01-31"),
    )
    assert (data["opening"], data["closing"]) == ("1.00", "3.00")


def test_balance_of_another_currency_is_none_of_the_account():
    data = one(bal("OPBD", "1.00"), bal("CLBD", "3.00", currency="SEK"), currency=None)
    assert data["account_currency"] == "EUR"
    assert "closing" not in data


def test_other_numbers_than_iban():
    body = document(part(entry())).decode()
    body = body.replace(f"<IBAN>{IBAN}</IBAN>", "<Othr><Id>123-456 789</Id></Othr>", 1)
    assert parse(body.encode())[0].data["account"] == "123-456 789"


def test_times_without_a_zone_are_the_banks():
    body = document(part(entry())).decode().replace("05:00:00Z", "05:00:00.123")
    (utc,) = parse(body.encode())
    (local,) = parse(body.encode(), timezone="Europe/Amsterdam")
    assert utc.data["created_at"] == "2026-02-01T05:00:00.123000Z"
    assert local.data["created_at"] == "2026-02-01T04:00:00.123000Z"
    refused(body.encode(), "time zone", timezone="Mars/Olympus")


# === ENTRIES === #


def test_signs():
    assert only("5", "CRDT")["amount"] == "5"
    assert only("5", "DBIT")["amount"] == "-5"
    back = only("5", "CRDT", "<RvslInd>true</RvslInd>")
    assert (back["amount"], back["reversal"]) == ("5", True)
    assert only("5", "CRDT", "<RvslInd>false</RvslInd>")["reversal"] is False


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("007.5", "7.50"),
        ("1.000000000", "1.00"),
        (".5", "0.50"),
        ("5.", "5"),
        ("0", "0"),
    ],
)
def test_amounts(text, amount):
    assert only(text)["amount"] == amount


@pytest.mark.parametrize("text", ["1,5", "1e3", "NaN", "", "x", "1" * 50, "0.1234567"])
def test_amounts_that_are_none(text):
    refused(document(part(entry(text))))


@pytest.mark.parametrize(
    "status", ["<Sts>BOOK</Sts>", "<Sts><Cd>BOOK</Cd></Sts>", "<Sts>book</Sts>", ""]
)
def test_booked(status):
    assert only(status=status)["amount"] == "12.50"


def test_what_is_not_booked_is_kept_visibly():
    commands = parse(
        document(
            part(
                entry(),
                entry(status="<Sts>PDNG</Sts>"),
                entry(status="<Sts><Cd>PDNG</Cd></Sts>"),
                entry(status="<Sts><Cd>INFO</Cd></Sts>", inner=details("")),
                entry("1.00"),
            )
        )
    )
    booked, kept = commands
    assert [e["amount"] for e in booked.data["entries"]] == ["12.50", "1.00"]
    assert kept.type == "camt.053:not_booked"
    assert kept.data["counts"] == {"INFO": 1, "PDNG": 2}
    assert "2 PDNG" in kept.ignored


def test_dates():
    assert only()["booking_date"] == "2026-01-31"
    assert only()["value_date"] == "2026-02-01"
    exact = only(dates="<BookgDt><DtTm>2026-01-31T23:30:00-05:00</DtTm></BookgDt>")
    assert (exact["booking_date"], exact["value_date"]) == ("2026-01-31", "2026-01-31")
    valued = only(dates="<ValDt><Dt>2026-01-15</Dt></ValDt>")
    assert valued["booking_date"] == "2026-01-15"
    data = one(bal("CLBD", "1"), entry(dates=""))
    assert data["entries"][0]["booking_date"] == "2026-01-31"


def test_one_transaction():
    found = only(
        inner="<AcctSvcrRef>R1</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly>"
        "<Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
        + details(
            "<Refs><EndToEndId>E1</EndToEndId><TxId>T1</TxId></Refs><RltdPties>"
            + party("Dbtr", "Payer", THEIRS, nested=True)
            + party("Cdtr", "Us", IBAN, nested=True)
            + "</RltdPties><RmtInf><Ustrd>Invoice</Ustrd><Ustrd>42</Ustrd></RmtInf>"
        )
    )
    assert found == {
        "entry_ref": "R1",
        "amount": "12.50",
        "booking_date": "2026-01-31",
        "value_date": "2026-02-01",
        "end_to_end_id": "E1",
        "transaction_ref": "T1",
        "counterparty_name": "Payer",
        "counterparty_account": THEIRS,
        "remittance": "Invoice 42",
        "bank_code": "PMNT-RCDT-ESCT",
        "reversal": False,
        "parts": [],
    }


def related(direction, inner, **values):
    return only(direction=direction, inner=details(inner), **values)


def test_counterparty_by_direction():
    parties = (
        "<RltdPties>"
        + party("Dbtr", "Payer", THEIRS)
        + party("Cdtr", "Payee", "DE75512108001245126199")
        + "</RltdPties>"
    )
    assert related("CRDT", parties)["counterparty_name"] == "Payer"
    assert related("DBIT", parties)["counterparty_name"] == "Payee"


def test_we_are_never_our_own_counterparty():
    """Returns: some banks keep the roles of the original transaction."""
    original = (
        "<RltdPties>"
        + party("Dbtr", "Us", "NL77 ABNA 0574 9087 65")
        + party("Cdtr", "Supplier", THEIRS)
        + "</RltdPties><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
    )
    found = related("CRDT", original)
    assert found["counterparty_name"] == "Supplier"
    assert found["return_reason"] == "AC04"
    flipped = (
        "<RltdPties>"
        + party("Dbtr", "Supplier", THEIRS)
        + party("Cdtr", "Us", IBAN)
        + "</RltdPties><RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
    )
    assert related("CRDT", flipped)["counterparty_name"] == "Supplier"


def test_other_sources_of_a_name():
    ultimate = "<RltdPties><UltmtDbtr><Nm>Behind</Nm></UltmtDbtr></RltdPties>"
    assert related("CRDT", ultimate)["counterparty_name"] == "Behind"
    agent = (
        "<RltdPties><Dbtr><Agt><FinInstnId><Nm>A Bank</Nm></FinInstnId></Agt></Dbtr>"
        "<DbtrAcct><Id><Othr><Id>5490-1</Id></Othr></Id></DbtrAcct></RltdPties>"
    )
    found = related("CRDT", agent)
    assert found["counterparty_name"] == "A Bank"
    assert found["counterparty_account"] == "5490-1"


def test_structured_references_come_first():
    found = related(
        "CRDT",
        "<RmtInf><Ustrd>free words</Ustrd><Strd><RfrdDocInf><Nb>INV-7</Nb></RfrdDocInf>"
        "<CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>"
        "<Ref>RF18 5390 0754 7034</Ref></CdtrRefInf></Strd></RmtInf>",
    )
    assert found["remittance"] == "RF18 5390 0754 7034 INV-7 free words"


@pytest.mark.parametrize("text", ["NOTPROVIDED", "not provided", "NONREF", " ", "N/A"])
def test_nothing_said(text):
    found = related("CRDT", f"<Refs><EndToEndId>{text}</EndToEndId></Refs>")
    assert "end_to_end_id" not in found


def test_additional_information_where_there_is_no_other():
    assert (
        only(inner="<AddtlNtryInf>Bank fee</AddtlNtryInf>")["remittance"] == "Bank fee"
    )
    assert related("CRDT", "<AddtlTxInf>Words</AddtlTxInf>")["remittance"] == "Words"


def test_bank_codes():
    assert "bank_code" not in only()
    own = only(inner="<BkTxCd><Prtry><Cd>N654</Cd></Prtry></BkTxCd>")
    assert own["bank_code"] == "N654"
    inside = related("CRDT", "<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd>")
    assert inside["bank_code"] == "NTRF"


def test_paid_in_another_currency():
    found = related(
        "DBIT",
        '<AmtDtls><InstdAmt><Amt Ccy="USD">15.00</Amt><CcyXchg><SrcCcy>USD</SrcCcy>'
        "<XchgRate>1.2</XchgRate></CcyXchg></InstdAmt><TxAmt>"
        '<Amt Ccy="EUR">12.50</Amt></TxAmt></AmtDtls>',
    )
    assert found["amount"] == "-12.50"
    assert found["original_amount"] == "-15.00"
    assert found["original_currency"] == "USD"
    assert found["exchange_rate"] == "1.20"


def test_entry_in_another_currency_than_the_account():
    counter = '<AmtDtls><CntrValAmt><Amt Ccy="EUR">11.00</Amt></CntrValAmt></AmtDtls>'
    assert only("12.50", inner=counter, currency="USD")["amount"] == "11.00"
    refused(document(part(entry(currency="USD"))), "currency of the account")


# === COLLECTIVE ENTRIES === #


def of(amount, name, extra=""):
    return (
        f'<Refs><EndToEndId>{name}</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt>'
        f"<CdtDbtInd>CRDT</CdtDbtInd>{extra}<RmtInf><Ustrd>Inv {name}</Ustrd></RmtInf>"
    )


def test_parts():
    found = only("30.00", inner=details(of("10", "A"), of("20", "B")))
    assert [part_["amount"] for part_ in found["parts"]] == ["10", "20"]
    assert [part_["end_to_end_id"] for part_ in found["parts"]] == ["A", "B"]
    assert [part_["remittance"] for part_ in found["parts"]] == ["Inv A", "Inv B"]
    assert "end_to_end_id" not in found


def test_parts_of_several_groups():
    inner = details(of("10", "A")) + details(of("20", "B"))
    assert len(only("30.00", inner=inner)["parts"]) == 2


def test_parts_of_the_old_form():
    old = '<AmtDtls><TxAmt><Amt Ccy="EUR">15.00</Amt></TxAmt></AmtDtls>'
    found = only("30.00", "DBIT", details(old, old))
    assert [part_["amount"] for part_ in found["parts"]] == ["-15.00", "-15.00"]


def test_parts_that_do_not_make_up_the_entry():
    found = only("30.00", inner=details(of("10", "A"), of("5", "B")))
    assert found["parts"] == []
    assert found["remittance"] == "Inv A Inv B", "what is known is kept"


def test_charges_are_a_part():
    charges = '<Chrgs><Rcrd><Amt Ccy="EUR">0.50</Amt></Rcrd></Chrgs>'
    found = only("29.50", inner=charges + details(of("10", "A"), of("20", "B")))
    assert sum(Decimal(p["amount"]) for p in found["parts"]) == Decimal("29.50")
    assert found["parts"][-1] == {"amount": "-0.50", "remittance": "Charges"}


def test_one_transaction_out_of_many_is_not_the_entry():
    batch = "<Btch><NbOfTxs>2</NbOfTxs></Btch>"
    found = only("30.00", inner=details(of("10", "A"), batch=batch))
    assert "end_to_end_id" not in found and found["parts"] == []


# === REPORTS AND NOTIFICATIONS === #


def test_balances_of_a_report():
    body = document(
        part(bal("ITBD", "50.00"), bal("ITAV", "90.00"), entry(), kind="Rpt"),
        kind="Rpt",
    )
    content, booked, available = parse(body)
    assert content.data["kind"] == "report"
    assert booked.type == available.type == "balance.reported"
    assert (booked.data["kind"], booked.data["amount"]) == ("booked", "50.00")
    assert (available.data["kind"], available.data["amount"]) == ("available", "90.00")


# === WHAT IS NO STATEMENT === #


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{}",
        b"PK\x03\x04zip",
        b"<Document/>",
        b"<Document><BkToCstmrStmt/></Document>",
        b"<html><body>502</body></html>",
        document(part(entry()))[:-30],
        b'<?xml version="1.0" encoding="ebcdic-of-nowhere"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b'<?xml version="1.0" encoding="utf-8"?><a>\xff</a>',
    ],
)
def test_other_files(body):
    assert refused(body).message


def test_what_is_missing_is_named():
    refused(document(part(entry()).replace(IBAN, "")), "account")
    refused(
        document(
            part(entry(direction="")),
        ),
        "Entry 1",
    )
    refused(document(part(entry(), entry(""))), "Entry 2")
    refused(document(part(currency=None)), "currency")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings(encoding):
    text = document(part(entry(inner="<AddtlNtryInf>Café</AddtlNtryInf>"))).decode()
    body = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
    assert parse(body)[0].data["entries"][0]["remittance"] == "Café"


# === ATTACKS === #

BOMB = (
    '<!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    + "]>"
)


@pytest.mark.parametrize(
    "head",
    [
        BOMB,
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x">%x;]>',
        "<!DOCTYPE a>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_document_type(head, encoding):
    text = document(part(entry(inner="<AddtlNtryInf>&k;</AddtlNtryInf>"))).decode()
    refused((head + text).encode(encoding), "DOCTYPE")


def test_limits():
    deep = "<a>" * 5000 + "</a>" * 5000
    refused(deep.encode(), "deeper")
    attributes = " ".join(f'a{number}="x"' for number in range(100))
    refused(f"<a {attributes}/>".encode(), "attributes")
    refused(f"<a>{'x' * 70_000}</a>".encode(), "longer")
    refused(b"<a>" + b"<b/>" * 600_000 + b"</a>", "elements")
    refused(b"<a>" + b" " * (33 * 1024 * 1024), "MiB")


def test_huge_attribute_is_read_and_forgotten():
    body = document(part(entry())).replace(
        b"<Ntry>", b'<Ntry x="' + b"y" * 10**6 + b'">'
    )
    assert parse(body)[0].data["entries"]


def many(count):
    return document(
        part(
            *(
                entry(
                    f"{number + 1}.00",
                    inner=f"<AcctSvcrRef>R{number}</AcctSvcrRef>"
                    + details(of(f"{number + 1}.00", f"E{number}")),
                )
                for number in range(count)
            )
        )
    )


def test_memory_is_that_of_the_result():
    """There is no tree: an element is forgotten once it is read."""
    peaks = {}
    for count in (300, 3000):
        body = many(count)
        tracemalloc.start()
        commands = parse(body)
        _kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(commands[0].data["entries"]) == count
        peaks[count] = peak / count
    assert peaks[3000] < 1.1 * peaks[300]


def test_what_is_of_no_use_is_not_kept():
    """Of a collective entry only what becomes of it, however much there is."""
    useless = "<Purp>" + "<x>y</x>" * 200 + "</Purp>"
    body = document(part(entry("1", inner=details(*[of("1", "A", useless)] * 500))))
    tracemalloc.start()
    parse(body)
    _kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All of its 100,000 elements would be 20 MB.
    assert peak < 6_000_000


def test_time_is_linear():
    """Measured in processor time; the benchmark has the exact figure."""
    took = {}
    for count in (500, 5000):
        body = many(count)
        best = min(_processor_time(body) for _run in range(3))
        took[count] = best / count
    assert took[5000] < 2 * took[500]


def _processor_time(body):
    started = time.process_time()
    parse(body)
    return time.process_time() - started


# === PROPERTIES === #


def test_ids():
    body = document(part(entry()))
    assert ADAPTER.external_id({}, body).startswith("sha256:")
    assert ADAPTER.external_id({}, body) != ADAPTER.external_id({}, body + b" ")


def harmless(body):
    """Parse; nothing but ContractError may come out."""
    assert len(ADAPTER.external_id({}, body)) < 257
    try:
        commands = parse(body)
    except ContractError as error:
        assert error.describe()
    else:
        json.dumps([command.data for command in commands])


RICH = document(
    part(
        bal("OPBD", "1.00"),
        entry(inner=details(of("10", "A"), of("2.50", "B"))),
        entry("3", "DBIT", "<RvslInd>true</RvslInd>" + details(of("3", "C"))),
        head="<ElctrncSeqNb>3</ElctrncSeqNb>",
    )
)


@given(st.binary(max_size=200))
def test_arbitrary_bytes(body):
    harmless(body)


@given(st.data())
def test_mangled_files(data):
    body = bytearray(RICH)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    harmless(bytes(body))


@given(st.data())
def test_mangled_texts(data):
    """Any text in any element."""
    text = RICH.decode()
    starts = [place for place, sign in enumerate(text) if sign == ">"][:-1]
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(starts)) + 1
        noise = data.draw(
            st.sampled_from(
                ["", "9" * 30, "-1", "٣", "2026-13-45", "9999-12-31T23:59:59-14:00",
                 "0001-01-01", "NaN", "&#8232;", "&#10;", "x" * 5000, "<Amt/>", "<Id/>"]
            )
        )  # fmt: skip
        end = text.find("<", place)
        text = text[:place] + noise + text[max(place, end) :]
    harmless(text.encode())


@given(
    st.lists(
        st.tuples(st.decimals(0, 10**9, places=2), st.sampled_from(["CRDT", "DBIT"])),
        max_size=20,
    )
)
def test_sums_are_kept(entries):
    data = one(
        bal("CLBD", "1"), *(entry(f"{amount:f}", way) for amount, way in entries)
    )
    expected = sum(amount if way == "CRDT" else -amount for amount, way in entries)
    assert sum(Decimal(found["amount"]) for found in data["entries"]) == expected
