"""cap 91: a person is found, whatever form his data has, and taken out again."""

import pytest
from finance_hub.contracts import (
    EMAIL,
    IBAN,
    NAME,
    PHONE,
    terms_in,
    terms_of,
    without_persons,
)
from finance_hub.contracts import constants as const
from finance_hub.signing import blind_mark, generate_index_key

CONTENT = {
    "id": "pay_1",
    "amount": "12.50",
    "payer_name": "Zoë van den Berg",
    "note": "please write to Zoe.Berg@Example.com, or BE68 5390 0754 7034 is fine",
    "parties": [{"phone": "+32 2 290 34 90", "country": "BE"}],
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (EMAIL, "zoe.berg@example.com"),
        (EMAIL, "Zoë <ZOE.BERG@EXAMPLE.COM>"),
        (IBAN, "BE68539007547034"),
        (IBAN, "be68 5390 0754 7034"),
        (PHONE, "02 290 34 90"),
        (PHONE, "0032 2/290.34.90"),
        (NAME, "ZOE VAN DEN BERG"),
        (NAME, "van den Berg, Zoë"),
        (NAME, "den Berg"),
    ],
)
def test_found_however_it_is_written(kind, text):
    wanted = terms_of(kind, text)
    if kind == NAME and "," in text:
        # Words in another order: those that stand together both times.
        assert wanted & terms_in(CONTENT)
    else:
        assert wanted <= terms_in(CONTENT), (wanted, terms_in(CONTENT))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (EMAIL, "no address"),
        (EMAIL, "a@b"),
        (IBAN, "BE68539007547035"),
        (PHONE, "12345"),
        (NAME, "1 2 3"),
    ],
)
def test_what_is_none(kind, text):
    assert terms_of(kind, text) == set()


def test_others_are_not_found():
    found = terms_in(CONTENT)
    for kind, text in ((EMAIL, "berg@example.com"), (NAME, "Zoe Berg")):
        assert not terms_of(kind, text) <= found


def test_taken_out():
    clean = without_persons(CONTENT)
    assert terms_in(clean) <= terms_in({"payer_name": const.PERSON_REMOVED})
    assert (clean["id"], clean["amount"]) == ("pay_1", "12.50")
    assert clean["parties"] == [{"phone": const.PERSON_REMOVED, "country": "BE"}]
    assert CONTENT["payer_name"] == "Zoë van den Berg", "not changed itself"


def test_bounds():
    huge = {"lines": [{"description": f"word{n} other{n}x more"} for n in range(999)]}
    assert len(terms_in(huge)) <= const.PERSON_MAX_TERMS
    hostile = "a" * 100_000 + "@" + "a." * 100_000
    assert terms_in({"note": hostile}) == set()
    assert terms_in({"note": "DE00" * 50_000}) == set()


def test_marks():
    key = generate_index_key()
    assert blind_mark(key, "e:a@b.example") == blind_mark(key, "e:a@b.example")
    assert blind_mark(key, "e:a@b.example") != blind_mark(key, "e:b@b.example")
    assert blind_mark(generate_index_key(), "e:a@b.example") != blind_mark(
        key, "e:a@b.example"
    )
    assert len(blind_mark(key, "n:\ud800")) == 22
    with pytest.raises(ValueError, match="32 bytes"):
        blind_mark(b"short", "e:a")
