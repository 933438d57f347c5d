# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import copy

import pytest
from finance_hub.contracts import (
    EVENT_TYPES,
    ContractError,
    choose_version,
    event_type,
    mask_data,
    match,
    newest,
    project,
    validate_data,
    versions,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import payloads

NAMES = sorted(EVENT_TYPES)
OLDER = sorted(name for name, entry in EVENT_TYPES.items() if entry.deprecated)
POSTED_1 = "finance.invoice.posted.v1"
POSTED_2 = "finance.invoice.posted.v2"
PING = "finance.connector.ping.v1"


# === WHAT THERE IS === #


def test_versions():
    assert versions("finance.invoice.posted") == versions(POSTED_1) == (1, 2)
    assert versions(PING) == (1,)
    assert newest(POSTED_1) is newest("finance.invoice.posted") is event_type(POSTED_2)
    for name in ("finance.invoice.posted.v9", "v1", "", None, "finance.invoice"):
        with pytest.raises(ContractError) as caught:
            versions(name)
        assert caught.value.code == "D-VERSION"


@pytest.mark.parametrize("name", NAMES)
def test_one_version_is_the_newest(name):
    entry = event_type(name)
    assert entry.deprecated == (entry.version < max(versions(name)))


# === PROJECTION === #


@settings(max_examples=8)
@pytest.mark.parametrize("older", OLDER)
@given(data=st.data())
def test_every_event_can_be_said_in_every_older_version(older, data):
    recorded = newest(older)
    payload = data.draw(payloads(recorded.name))
    before = copy.deepcopy(payload)
    name, projected = project(recorded.name, payload, event_type(older).version)
    assert name == older and payload == before
    assert validate_data(older, projected) == projected
    masked = mask_data(older, projected, personal=True, confidential=True)
    validate_data(older, masked)


@pytest.mark.parametrize("older", OLDER)
def test_the_sample_of_an_older_version_is_that_of_the_newest(older):
    recorded = newest(older)
    version = event_type(older).version
    assert project(recorded.name, recorded.sample, version) == (
        older,
        event_type(older).sample,
    )


def test_a_document_in_version_1():
    _name, data = project(POSTED_2, event_type(POSTED_2).sample, 1)
    assert data["lines"][0]["taxes"] == ["21%"]
    assert "taxes" not in data and "tax_amount" not in data["lines"][0]
    assert data["tax_amount"] == "210.00"


def test_the_same_version_costs_nothing():
    data = {}
    assert project(PING, data, 1)[1] is data


@pytest.mark.parametrize(
    ("name", "version"), [(POSTED_1, 2), (POSTED_2, 3), (POSTED_2, 0), (PING, 2)]
)
def test_versions_an_event_cannot_be_said_in(name, version):
    with pytest.raises(ContractError) as caught:
        project(name, {}, version)
    assert caught.value.code == "D-VERSION" and "1" in caught.value.message


# === CHOICE === #


@pytest.mark.parametrize(
    ("patterns", "pin", "expected"),
    [
        (["finance.invoice.posted"], None, POSTED_2),
        (["finance.invoice.posted"], 1, POSTED_1),
        (["finance.invoice.posted"], 2, POSTED_2),
        (["finance.invoice.posted"], 9, POSTED_2),
        (["finance.invoice.*"], 1, POSTED_1),
        (["*"], None, POSTED_2),
        ([POSTED_1], None, POSTED_1),
        ([POSTED_1], 2, POSTED_1),
        ([POSTED_2], 1, None),
        (["finance.*.posted.v1"], None, POSTED_1),
        (["finance.bill.*", "finance.*.posted.v1"], None, POSTED_1),
        ([POSTED_1, "finance.invoice.*"], None, POSTED_2),
        (["finance.bill.*"], None, None),
        (["finance.invoice.posted.v9"], None, None),
        (["finance.invoice.posted"], 0, None),
        ([], None, None),
    ],
)
def test_the_version_a_subscription_gets(patterns, pin, expected):
    assert choose_version(patterns, pin, POSTED_2) == expected


def test_an_event_from_before_the_new_version_stays_as_it_was():
    assert choose_version(["finance.invoice.*"], None, POSTED_1) == POSTED_1
    assert choose_version([POSTED_2], None, POSTED_1) is None


def test_a_type_that_is_no_longer_published():
    assert choose_version(["*"], None, "finance.gone.away.v1") is None


@given(
    st.lists(
        st.sampled_from(
            ["*", "finance.*", "finance.*.posted", POSTED_1, POSTED_2, PING, "x"]
        )
    ),
    st.none() | st.integers(0, 3),
    st.sampled_from(NAMES),
)
def test_choice_agrees_with_its_definition(patterns, pin, name):
    entry = event_type(name)
    fitting = [
        version
        for version in versions(name)
        if version <= entry.version
        and (pin is None or version <= pin)
        and any(match(p, f"{entry.base_name}.v{version}") for p in patterns)
    ]
    expected = f"{entry.base_name}.v{max(fitting)}" if fitting else None
    assert choose_version(patterns, pin, name) == expected
