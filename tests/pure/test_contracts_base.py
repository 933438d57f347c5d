# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

import pytest
from finance_hub.contracts import (
    Contract,
    ContractError,
    clip,
    money_string,
    pointer,
    quantity_string,
    utc_text,
    validate,
)
from finance_hub.contracts.base import (
    CurrencyCode,
    Description,
    Identifier,
    Label,
    LongText,
    Money,
    PlainDate,
    PositiveMoney,
    Quantity,
    Text,
    UtcDateTime,
)
from hypothesis import given
from hypothesis import strategies as st

NAIVE = datetime(2026, 1, 31)  # noqa: DTZ001


class Sample(Contract):
    money: Money | None = None
    positive: PositiveMoney | None = None
    quantity: Quantity | None = None
    currency: CurrencyCode | None = None
    moment: UtcDateTime | None = None
    day: PlainDate | None = None
    identifier: Identifier | None = None
    text: Text | None = None
    long_text: LongText | None = None
    label: Label | None = None
    description: Description | None = None


def wire(**data):
    return validate(Sample, data, "The sample").wire()


def refused(**data):
    with pytest.raises(ContractError) as caught:
        wire(**data)
    (error,) = caught.value.errors
    assert error["pointer"] == "/" + next(iter(data))
    return error["message"]


# === MONEY === #


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.34", "12.34"),
        ("12.30", "12.30"),
        ("-0.5", "-0.5"),
        ("-0.00", "0.00"),
        ("0", "0"),
        (12, "12"),
        (-12, "-12"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.000001"), "0.000001"),
        ("9" * 20, "9" * 20),
        ("12345678901234.567891", "12345678901234.567891"),
    ],
)
def test_money(value, text):
    assert wire(money=value) == {"money": text}


@pytest.mark.parametrize(
    "value",
    [
        12.34,
        12.0,
        float("nan"),
        True,
        "",
        " 1",
        "1 ",
        "1,5",
        "1.",
        ".5",
        "+1",
        "--1",
        "1e3",
        "1_000",
        "007",
        "NaN",
        "Infinity",
        "٣",
        "9" * 21,
        "1.1234567",
        "123456789012345.678901",
        10**20,
        Decimal("NaN"),
        Decimal("Infinity"),
        b"1",
        [1],
        {},
    ],
)
def test_no_money(value):
    assert refused(money=value).endswith(".")


def test_floats_are_refused_with_advice():
    assert '"12.34"' in refused(money=12.34)


def test_positive_money():
    assert wire(positive="0.01") == {"positive": "0.01"}
    for value in ("0", "0.00", "-1"):
        refused(positive=value)


@given(
    st.decimals(
        allow_nan=False, places=6, min_value=-(10**14) + 1, max_value=10**14 - 1
    )
)
def test_money_keeps_its_value(value):
    text = wire(money=value)["money"]
    assert Decimal(text) == value
    assert wire(money=text) == {"money": text}


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.1 + 0.2, 2, "0.30"),
        (1.005, 2, "1.01"),
        (-1.005, 2, "-1.01"),
        (2.675, 2, "2.68"),
        (-0.001, 2, "0.00"),
        (1e15, 2, "1000000000000000.00"),
        (1234.5, 0, "1235"),
        (7, 3, "7.000"),
        ("1.10", 2, "1.10"),
        (Decimal("3"), 2, "3.00"),
    ],
)
def test_money_string(value, decimals, text):
    assert money_string(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100"),
        (0.5, "0.5"),
        (-0.0, "0"),
        (1e-7, "0.0000001"),
        (1e-12, "0"),
        (10, "10"),
    ],
)
def test_quantity_string(value, text):
    assert quantity_string(value) == text
    assert wire(quantity=text) == {"quantity": text}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, "x", ""])
def test_no_amount(value):
    for function in (money_string, quantity_string):
        with pytest.raises(ValueError):
            function(value)


ROUNDED = st.builds(
    lambda number, digits: number / 10**digits,
    st.integers(-(10**14), 10**14),
    st.integers(0, 8),
)


@given(st.floats(-1e13, 1e13) | ROUNDED, st.integers(0, 6))
def test_money_string_is_money(value, digits):
    text = money_string(value, digits)
    assert wire(money=text) == {"money": text}
    # Read as the decimal it prints as, so that 1.005 is 1.01.
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    assert text == format(exact if exact else abs(exact), "f")


@given(st.floats(-1e12, 1e12) | ROUNDED)
def test_quantity_string_is_exact(value):
    text = quantity_string(value)
    assert wire(quantity=text) == {"quantity": text}
    exact = Decimal(repr(value)).quantize(Decimal("1e-10"), ROUND_HALF_UP)
    assert Decimal(text) == exact
    assert text != "-0" and not text.endswith(".") and "E" not in text


def test_money_string_of_an_odd_currency():
    assert money_string(0.123456789, 8) == "0.123457"
    assert money_string(1.5, -1) == "2"


# === TIME === #


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00Z"),
        ("2026-01-31t09:30:00z", "2026-01-31T09:30:00Z"),
        ("2026-01-31T09:30:00+02:00", "2026-01-31T07:30:00Z"),
        ("2026-01-31T23:30:00-05:30", "2026-02-01T05:00:00Z"),
        ("2026-01-31T09:30:00.5Z", "2026-01-31T09:30:00.500000Z"),
        ("2026-01-31T09:30:00.123456789Z", "2026-01-31T09:30:00.123456Z"),
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00Z"),
    ],
)
def test_moments(value, text):
    assert wire(moment=value) == {"moment": text}


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T09:30:00",
        "2026-01-31 09:30:00Z",
        "2026-01-31",
        "2026-01-31T09:30Z",
        "2026-02-30T09:30:00Z",
        "2026-01-31T25:30:00Z",
        "2026-01-31T09:30:60Z",
        "2026-01-31T09:30:00+25:00",
        "0001-01-01T00:00:00+01:00",
        "20260131T093000Z",
        "",
        1769851800,
        1.5,
        date(2026, 1, 31),
        NAIVE,
        "٢٠٢٦-01-31T09:30:00Z",
    ],
)
def test_no_moments(value):
    refused(moment=value)


@given(
    st.datetimes(timezones=st.just(timezone(timedelta(hours=3)))).filter(
        lambda d: d.year > 1
    )
)
def test_moments_keep_their_value(value):
    assert Sample(moment=utc_text(value)).moment == value


def test_naive_moments_have_no_text():
    with pytest.raises(ValueError):
        utc_text(NAIVE)


def test_days():
    assert (
        wire(day="2026-01-31") == wire(day=date(2026, 1, 31)) == {"day": "2026-01-31"}
    )
    for value in ("2026-02-30", "20260131", "2026-1-31", 5, NAIVE, "", False):
        refused(day=value)


# === TEXT === #


def test_texts_from_outside_are_refused():
    assert wire(identifier="  INV/1 ") == {"identifier": "INV/1"}
    for value in (
        "",
        "  ",
        "a\nb",
        "a\x00",
        "\x7f",
        "a\u2028b",
        "\ud800",
        "x" * 257,
        5,
        None,
    ):
        if value is not None:
            refused(identifier=value)
    refused(text="x" * 513)
    assert wire(long_text="a\r\nb\tc") == {"long_text": "a\r\nb\tc"}
    refused(long_text="a\x00")
    refused(long_text="x" * 4001)


def test_texts_that_leave_are_cleaned():
    assert wire(label="a\nb\x00c") == {"label": "a b c"}
    assert wire(label="x" * 600) == {"label": "x" * 511 + "…"}
    assert wire(description="a\r\nb\x01") == {"description": "a\nb "}
    assert wire(description="\ud800") == {"description": "\ufffd"}
    refused(label=5)


@given(st.text(max_size=700))
def test_whatever_was_typed_can_leave(text):
    cleaned = wire(label=text, description=text)
    json.dumps(cleaned).encode()
    assert len(cleaned["label"]) <= 512 and "\x00" not in cleaned["label"]
    assert clip(cleaned["label"], 512) == cleaned["label"]


def test_currencies():
    assert wire(currency="EUR") == {"currency": "EUR"}
    for value in ("eur", "EU", "EURO", "EUR\n", "ÉUR", 978):
        refused(currency=value)


# === ERRORS === #


def test_unknown_fields_are_refused():
    assert "not known" in refused(unknown=1)


def test_models_are_immutable():
    with pytest.raises(ValueError):
        Sample(label="x").label = "y"


def test_errors_name_places_and_hide_values():
    with pytest.raises(ContractError) as caught:
        validate(
            Sample, {"money": 1.5, "text": "SECRET\nSECRET"}, "The sample", (3, "data")
        )
    error = caught.value
    assert error.code == "D-SCHEMA" and isinstance(error, ValueError)
    assert [fault["pointer"] for fault in error.errors] == [
        "/3/data/money",
        "/3/data/text",
    ]
    assert error.summary == error.message == str(error)
    assert error.describe().count("\n") == 2
    assert "SECRET" not in error.describe()


def test_not_even_an_object():
    for value in (None, [], "x", 5):
        with pytest.raises(ContractError) as caught:
            validate(Sample, value, "The sample")
        assert caught.value.errors[0]["pointer"] == ""


def test_pointer():
    assert pointer(()) == ""
    assert pointer(("a/b", 0, "c~d")) == "/a~1b/0/c~0d"
