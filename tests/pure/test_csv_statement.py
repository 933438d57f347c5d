# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json

import pytest
from finance_hub.contracts import ContractError
from finance_hub.providers import ADAPTERS
from hypothesis import given
from hypothesis import strategies as st

ADAPTER = ADAPTERS["csv_statement"]
IBAN = "NL77ABNA0574908765"
PLAIN = {
    "account": IBAN,
    "currency": "EUR",
    "date": "Date",
    "amount": "Amount",
    "description": ["Text"],
}
DUTCH = {
    "account": IBAN,
    "currency": "EUR",
    "delimiter": "semicolon",
    "date": "Datum",
    "date_format": "%d-%m-%Y",
    "amount": "Bedrag",
    "direction": "Af Bij",
    "debit_words": ["Af"],
    "counterparty": 2,
    "counterparty_account": "Tegenrekening",
    "description": ["Soort", "Mededelingen"],
    "balance": "Saldo na mutatie",
    "decimal": ",",
    "thousands": ".",
}
DUTCH_FILE = (
    "Datum;Naam;Tegenrekening;Af Bij;Bedrag;Soort;Mededelingen;Saldo na mutatie\r\n"
    "02-02-2026;Klant;BE21319980275903;Bij;1.234,56;Betaling;Factuur 1;2.224,56\r\n"
    '01-02-2026;"Bank; Kosten";;Af;10,00;Diversen;"Kosten\r\nfebruari";990,00\r\n'
)


def parse(text, written="utf-8", **options):
    body = text if isinstance(text, bytes) else text.encode(written)
    return ADAPTER.parse({}, body, options)


def entries(text, **options):
    (command,) = parse(text, **{**PLAIN, **options})
    return command.data["entries"]


def refused(text, words="", **options):
    with pytest.raises(ContractError) as caught:
        parse(text, **options)
    assert words in caught.value.describe()


def test_plain():
    (command,) = parse("Date,Amount,Text\n2026-02-01,-12.50,Rent\n", **PLAIN)
    assert command.type == "bank_statement.content"
    assert command.data["account"] == IBAN
    assert command.data["to_date"] == "2026-02-01"
    assert command.data["created_at"] == "2026-02-01T23:59:59Z"
    assert "opening" not in command.data
    assert command.data["entries"] == [
        {
            "amount": "-12.50",
            "booking_date": "2026-02-01",
            "remittance": "Rent",
            "reversal": False,
            "parts": [],
        }
    ]


def test_newest_first_with_balances():
    (command,) = parse(DUTCH_FILE, **DUTCH)
    data = command.data
    assert [entry["amount"] for entry in data["entries"]] == ["-10.00", "1234.56"]
    assert (data["opening"], data["closing"]) == ("1000.00", "2224.56")
    assert (data["from_date"], data["to_date"]) == ("2026-02-01", "2026-02-02")
    first, second = data["entries"]
    assert first["counterparty_name"] == "Bank; Kosten"
    assert first["remittance"] == "Diversen Kosten februari"
    assert second["counterparty_account"] == "BE21319980275903"


def test_balances_that_are_no_chain_are_not_told():
    (command,) = parse(DUTCH_FILE.replace("2.224,56", "2.224,57"), **DUTCH)
    assert "opening" not in command.data and "closing" not in command.data


def test_debit_and_credit():
    text = (
        "Date,Out,In,Text\n2026-02-01,5.00,,a\n2026-02-01,,7.00,b\n2026-02-01,-3,,c\n"
    )
    found = entries(text, amount=None, debit="Out", credit="In")
    assert [entry["amount"] for entry in found] == ["-5.00", "7.00", "-3"]


def test_signs():
    text = (
        "Date,Amount,Text\n2026-02-01,12.50-,a\n2026-02-01,(3.00),b\n2026-02-01,+1,c\n"
    )
    assert [e["amount"] for e in entries(text)] == ["-12.50", "-3.00", "1"]
    assert [e["amount"] for e in entries(text, invert=True)] == ["12.50", "3.00", "-1"]


@pytest.mark.parametrize(
    ("text", "amount", "options"),
    [
        ("1 234,50", "1234.50", {"decimal": ","}),
        ("1\u00a0234,50", "1234.50", {"decimal": ","}),
        ("1'234.50", "1234.50", {"thousands": "'"}),
        ("1’234.50", "1234.50", {"thousands": "’"}),
        ("1.234.567,00", "1234567.00", {"decimal": ",", "thousands": "."}),
        ("\u22121.00", "-1.00", {}),
    ],
)
def test_numbers_of_any_country(text, amount, options):
    (found,) = entries(f'Date,Amount,Text\n2026-02-01,"{text}",x\n', **options)
    assert found["amount"] == amount


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("1.5", {"decimal": ",", "thousands": "."}),
        ("12.34.567", {"decimal": ",", "thousands": "."}),
        ("1,5", {}),
        ("1e5", {}),
        ("=1+1", {}),
        ("٣", {}),
        ("NaN", {}),
        ("", {}),
        ("1.1234567", {}),
        ("9" * 50, {}),
    ],
)
def test_numbers_that_are_none(text, options):
    refused(f'Date,Amount,Text\n2026-02-01,"{text}",x\n', **{**PLAIN, **options})


def test_without_a_header():
    (found,) = entries(
        "2026-02-01;5.00;Words\n",
        header=False,
        delimiter="semicolon",
        date=1,
        amount=2,
        description=[3],
    )
    assert (found["amount"], found["remittance"]) == ("5.00", "Words")


def test_lines_before_the_header_and_empty_ones():
    text = 'Export "of\nyour account\n\nDate,Amount,Text\n\n2026-02-01,5.00,x\n,,\n'
    assert entries(text, skip_rows=3)[0]["amount"] == "5.00"
    refused(text, "Date", **PLAIN)


def test_several_accounts():
    text = (
        "Account,Ccy,Date,Amount\nA1,EUR,2026-02-01,1\nA2,USD,2026-02-01,2\n"
        "A1,EUR,2026-02-02,3\n"
    )
    options = {
        "account_column": "account",
        "currency_column": "ccy",
        "date": "date",
        "amount": "amount",
    }
    first, second = parse(text, **options)
    assert (first.data["account"], second.data["account_currency"]) == ("A1", "USD")
    assert [entry["amount"] for entry in first.data["entries"]] == ["1", "3"]
    assert first.external_id != second.external_id


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "windows-1252"])
def test_encodings(encoding):
    text = "Date,Amount,Text\n2026-02-01,5.00,Café €\n"
    setting = encoding if encoding.startswith("windows") else "utf-8"
    (command,) = parse(text, encoding, **{**PLAIN, "encoding": setting})
    assert command.data["entries"][0]["remittance"] == "Café €"
    refused("Café".encode("latin-1"), "encoding", **PLAIN)


def test_formulas_stay_text():
    (found,) = entries("Date,Amount,Text\n2026-02-01,5.00,=cmd|' /C calc'!A0\n")
    assert found["remittance"] == "=cmd|' /C calc'!A0"


def test_faults_name_their_lines():
    text = (
        "Date,Amount,Text\n2026-02-01,5.00,a\nyesterday,5.00,b\n2026-02-01,x,c\n"
        "2026-02-01,5.00,d,e\n2026-02-01\n"
    )
    with pytest.raises(ContractError) as caught:
        parse(text, **PLAIN)
    told = caught.value.describe()
    assert [line[:8] for line in told.splitlines()[1:]] == ["(the who"] * 4
    for number in (3, 4, 5, 6):
        assert f"Line {number}" in told
    assert "Line 2" not in told


def test_ragged_rows_that_lack_what_is_not_needed():
    (found,) = entries("Date,Amount,Text\n2026-02-01,5.00\n")
    assert "remittance" not in found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {**PLAIN, "amount": None},
        {**PLAIN, "debit": "Out"},
        {**PLAIN, "account": None},
        {**PLAIN, "currency": None},
        {**PLAIN, "currency": "euro"},
        {**PLAIN, "decimal": ".", "thousands": "."},
        {**PLAIN, "direction": "Sign"},
        {**PLAIN, "header": False},
        {**PLAIN, "date_format": "%c"},
        {**PLAIN, "date_format": "no date"},
        {**PLAIN, "encoding": "utf-7"},
        {**PLAIN, "delimiter": ";;"},
        {**PLAIN, "date": 0},
        {**PLAIN, "date": 1000},
        {**PLAIN, "timezone": "../etc/passwd"},
        {**PLAIN, "surprise": 1},
    ],
)
def test_settings_are_checked(options):
    refused("Date,Amount,Text\n2026-02-01,5.00,x\n", "settings", **options)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"Date,Amount,Text\n", "no rows"),
        (b"Date,Sum\n2026-02-01,5\n", "Amount"),
        (b"Date,Amount\n\x00,5\n", "NUL"),
        (b'Date,Amount\n"2026', "no CSV"),
        (b"a," * 300, "columns"),
        (b"Date,Amount,Text\n2026-02-01,5," + b"x" * 20_000, "characters"),
        (b"x" * (33 * 1024 * 1024), "MiB"),
    ],
)
def test_refused(body, words):
    refused(body, words, **{**PLAIN, "description": []})


def test_too_many_rows():
    refused("Date,Amount,Text\n" + "2026-02-01,1,x\n" * 200_001, "rows", **PLAIN)


@given(st.data())
def test_mangled(data):
    body = bytearray(DUTCH_FILE.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    try:
        json.dumps([c.data for c in ADAPTER.parse({}, bytes(body), DUTCH)])
    except ContractError as error:
        assert error.describe()


@given(
    st.binary(max_size=200), st.dictionaries(st.text(max_size=9), st.text(max_size=4))
)
def test_arbitrary_bytes_and_settings(body, options):
    for settings in (PLAIN, options):
        with pytest.raises(ContractError):
            ADAPTER.parse({}, body, settings)
        assert ADAPTER.external_id({}, body).startswith("sha256:")
