# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import re
from decimal import Decimal

import pytest
from finance_hub.providers.minor_units import (
    ISO_4217,
    currency_code,
    from_minor_units,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (121000, "EUR", "1210.00"),
        (5, "EUR", "0.05"),
        (0, "EUR", "0.00"),
        (-121, "USD", "-1.21"),
        (121, "JPY", "121"),
        (121000, "KWD", "121.000"),
        (121000, "CLF", "12.1000"),
        ("121000", "EUR", "1210.00"),
        ("-5", "EUR", "-0.05"),
    ],
)
def test_amounts(value, currency, text):
    assert from_minor_units(value, currency) == text


@pytest.mark.parametrize(
    "value", [1.0, True, None, "1.5", "", "-", "٣", "1_000", "9" * 41, [], {}]
)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match="whole number"):
        from_minor_units(value, "EUR")


def test_the_decimals_of_an_unknown_currency_are_not_guessed():
    with pytest.raises(ValueError, match="ZZZ"):
        from_minor_units(1, "ZZZ")
    assert from_minor_units(1, "ZZZ", {"ZZZ": 5}) == "0.00001"


def test_exceptions_of_a_provider_come_first():
    assert from_minor_units(100, "ISK", {"ISK": 2}) == "1.00"


def test_the_table_is_whole():
    assert all(re.fullmatch("[A-Z]{3}", code) for code in ISO_4217)
    assert len(ISO_4217) > 165 and {"EUR", "GBP", "CHF", "XCG"} <= set(ISO_4217)


@given(st.integers(-(10**60), 10**60), st.sampled_from(sorted(ISO_4217)))
def test_nothing_is_lost(value, currency):
    text = from_minor_units(value, currency)
    assert Decimal(text) * 10 ** ISO_4217[currency] == value or abs(value) > 10**27
    assert int(text.replace(".", "")) == value


def test_currency_codes():
    assert currency_code("eur") == "EUR"
    for value in ("euro", "", None, 3, "€€€"):
        with pytest.raises(ValueError, match="three letters"):
            currency_code(value)
