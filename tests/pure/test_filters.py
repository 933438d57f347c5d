# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import re
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from finance_hub.contracts import (
    EVENT_TYPES,
    ContractError,
    check_filter,
    compile_filter,
)
from finance_hub.contracts import constants as const
from finance_hub.contracts.filters import OPERATORS
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import payloads

POSTED = "finance.invoice.posted.v2"
DATA = EVENT_TYPES[POSTED].sample
ATTRIBUTES = {
    "type": POSTED,
    "actor": "user/2",
    "time": datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc),
}


def takes(text, data=DATA):
    return compile_filter(text).matches(data, ATTRIBUTES)


def refused(text, types=()):
    with pytest.raises(ContractError) as caught:
        check_filter(compile_filter(text), types)
    assert caught.value.code == "D-SCHEMA"
    return caught.value.message


# === WHAT IT TAKES === #


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "[]",
        "()",
        "[(1, '=', 1)]",
        "[('total_amount', '=', 1210)]",
        "[('total_amount', '=', 1210.0)]",
        "[('total_amount', '=', '1210')]",
        "[('total_amount', '>', 999)]",
        "[('total_amount', '>', '999')]",
        "[('total_amount', '<=', 1210.00)]",
        "[('total_amount', 'in', [5, 1210])]",
        "[('total_amount', '!=', 1210.01)]",
        "[('currency', '=', 'EUR')]",
        "[('currency', 'in', ('EUR', 'USD'))]",
        "[('currency', 'not in', ['USD'])]",
        "[('counterparty.country', '=', 'BE')]",
        "[['counterparty.name', 'ilike', 'AZURE']]",
        "[('counterparty.name', 'like', 'Azure')]",
        "[('counterparty.name', 'not like', 'AZURE')]",
        "[('counterparty.name', '=like', 'Azure%')]",
        "[('counterparty.name', '=ilike', '%INTERIOR')]",
        "[('counterparty.name', '=like', 'Azure_Interior')]",
        "[('counterparty.name', 'not =like', 'Interior%')]",
        "[('lines.account_code', '=', '400000')]",
        "[('lines.taxes.rate', '=', 21)]",
        "[('lines.analytic.7', '>', 50)]",
        "[('lines', 'any', [('account_code', '=', '400000'), ('amount', '>', 5)])]",
        "[('lines', 'not any', [('amount', '<', 5)])]",
        "[('lines', 'any', [('taxes', 'any', [('rate', '=', 21)])])]",
        "[('reference', '=', False)]",
        "[('reference', '=', None)]",
        "[('reference', '!=', 'X')]",
        "[('reversal_of.number', '=', False)]",
        "[('reversed_by', '=', False)]",
        "[('lines', '!=', False)]",
        "[('number', '!=', False)]",
        "[('currency', '=?', False)]",
        "[('currency', '=?', 'EUR')]",
        "[('invoice_date', '=', '2026-01-31')]",
        "[('invoice_date', '<', '2026-02-01')]",
        "[('due_date', '>=', '2026-03-02')]",
        "[('event.type', '=like', 'finance.invoice.%')]",
        "[('event.time', '=', '2026-01-31')]",
        "[('event.time', '<=', '2026-01-31')]",
        "[('event.time', '>', '2026-01-31 09:29:59')]",
        "[('event.time', '=', '2026-01-31T09:30:00Z')]",
        "['|', ('currency', '=', 'USD'), ('currency', '=', 'EUR')]",
        "['&', ('currency', '=', 'EUR'), ('total_amount', '>', 1)]",
        "['!', ('currency', '=', 'USD')]",
        "['!', '|', ('currency', '=', 'USD'), ('currency', '=', 'JPY')]",
        "['|', ('currency', '=', 'USD'), '&', ('total_amount', '>', 1), "
        "('state', '=', 'posted')]",
        "['|', '|', (0, '=', 1), ('currency', '=', 'JPY'), ('currency', '=', 'EUR'), "
        "('state', '=', 'posted')]",
    ],
)
def test_it_takes(text):
    assert takes(text)
    check_filter(compile_filter(text), [POSTED])


@pytest.mark.parametrize(
    "text",
    [
        "[(0, '=', 1)]",
        "[('total_amount', '>', 1210)]",
        "[('total_amount', '=', False)]",
        "[('currency', '=', 'eur')]",
        "[('currency', '!=', 'EUR')]",
        "[('currency', 'not in', ['EUR'])]",
        "[('currency', '=?', 'USD')]",
        "[('currency', 'in', [])]",
        "[('currency', '=', True)]",
        "[('reference', 'ilike', 'x')]",
        "[('reference', '>', 'x')]",
        "[('lines.account_code', '=', '4000')]",
        "[('lines', 'any', [('account_code', '=', '400000'), ('amount', '<', 5)])]",
        "[('lines', 'not any', [('account_code', '=', '400000')])]",
        "[('payments.amount', '!=', 5)]",
        "[('invoice_date', '>', '2026-01-31')]",
        "[('event.time', '>', '2026-01-31')]",
        "[('event.time', '<', '2026-01-31T09:30:00Z')]",
        "['!', ('currency', '=', 'EUR')]",
        "['|', (0, '=', 1), (0, '=', 1)]",
        "[('currency', '=', 'EUR'), (0, '=', 1)]",
    ],
)
def test_it_does_not_take(text):
    assert not takes(text)


def test_decimals_are_not_floats():
    data = {"amount": "0.1"}
    assert takes("[('amount', '=', 0.1)]", data)
    assert not takes("[('amount', '>', 0.1)]", data)
    assert takes("[('amount', '=', '0.10')]", data)
    assert takes("[('amount', 'in', ['0.100'])]", data)
    # As text 9 would come after 10.
    assert takes("[('amount', '<', 10)]", {"amount": "9.00"})
    assert not takes("[('amount', '>', 10)]", {"amount": "NaN"})


def test_any_element_of_a_list():
    data = {"lines": [{"code": "1"}, {"code": "2"}, {}]}
    assert takes("[('lines.code', '=', '2')]", data)
    assert takes("[('lines.code', '!=', '2')]", data)
    assert takes("[('lines.code', '=', False)]", data)
    assert not takes("[('lines', 'any', [('code', '=', '3')])]", data)
    assert takes("[('names', '=', 'b')]", {"names": ["a", "b"]})
    assert takes("[('names', '=', False)]", {"names": []})
    assert not takes("[('lines.code', '=', False)]", {"lines": []})


def test_like_of_special_characters():
    assert takes(r"[('a', 'like', '50\\%')]", {"a": "at 50% off"})
    assert not takes(r"[('a', 'like', '50\\%')]", {"a": "at 500 off"})
    assert takes("[('a', 'like', '(.*')]", {"a": "x(.*x"})
    assert takes("[('a', '=ilike', 'STRASSE')]", {"a": "straße"})
    assert takes("[('a', '=like', 'a%a')]", {"a": "aa"})
    assert not takes("[('a', '=like', 'a%a')]", {"a": "a"})
    assert takes("[('a', 'like', 'b\\nc')]", {"a": "ab\ncd"})
    assert takes("[('a', 'like', '1')]", {"a": 512})


# === WHAT IT REFUSES === #


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("__import__('os').system('true')", "plain values"),
        ("[('a', '=', open('/etc/passwd'))]", "plain values"),
        ("[('a', '=', 1)", "plain values"),
        ("[('a', '=', b)]", "plain values"),
        ("\x00", "plain values"),
        ("(" * 5000, "plain values"),
        ("-" * 7000 + "1", "plain values"),
        ("{'a': 1}", "square brackets"),
        ("5", "square brackets"),
        ("'[]'", "square brackets"),
        ("['a']", "no condition"),
        ("[('a', '=')]", "no condition"),
        ("[5]", "no condition"),
        ("[(5, '=', 1)]", "no field"),
        ("[('', '=', 1)]", "no field"),
        ("[('a..b', '=', 1)]", "no field"),
        ("[('a b', '=', 1)]", "no field"),
        ("[('a" + ".b" * 8 + "', '=', 1)]", "no field"),
        ("[('a', '==', 1)]", "'='"),
        ("[('a', '=>', 1)]", "'>='"),
        ("[('a', 'LIKE', 1)]", "operator"),
        ("[('a', 5, 1)]", "operator"),
        ("[('a', '=', [1])]", "can't be compared"),
        ("[('a', '=', {})]", "can't be compared"),
        ("[('a', '=', b'x')]", "can't be compared"),
        ("[('a', '=', 1+2j)]", "can't be compared"),
        ("[('a', '=', 1e999)]", "can't be compared"),
        (f"[('a', '=', 0x{'f' * 7000})]", "can't be compared"),
        ("[('a', '>', None)]", "can't be"),
        ("[('a', '<', True)]", "can't be"),
        ("[('a', 'in', 'abc')]", "list"),
        ("[('a', 'in', [[1]])]", "can't be compared"),
        ("[('a', 'like', 5)]", "text"),
        ("[('a', 'any', 'x')]", "square brackets"),
        ("['|', ('a', '=', 1)]", "2 more conditions"),
        ("['!']", "1 more condition "),
        ("['&']", "2 more conditions"),
        ("[('event.nothing', '=', 1)]", "event."),
        ("[('event', '=', 1)]", "event."),
        ("x" * (const.FILTER_MAX_LENGTH + 1), "longer"),
        (f"[('a', 'in', {[1] * (const.FILTER_MAX_VALUES + 1)})]", "values"),
        ("['a', '=', 1]," * (const.FILTER_MAX_CONDITIONS + 1), "conditions"),
        ("['!'," * 1 + "'!'," * 11 + "('a', '=', 1)]", "deeper"),
        ("[('a','any'," * 12 + "[]" + ")]" * 12, "deeper"),
        ("['|', '&'," * 1 + "'|', '&'," * 6 + "('a','=',1)," * 15 + "]", "deeper"),
    ],
)
def test_refused(text, says):
    assert says in refused(text)


def test_only_a_text_is_a_filter():
    with pytest.raises(ContractError):
        compile_filter([("a", "=", 1)])


def test_a_long_chain_is_not_deep():
    text = "[" + "'|'," * 59 + "('total_amount', '=', 5)," * 60 + "]"
    assert not takes(text)
    assert takes(text.replace("5)", "1210)"))


# === FIELDS THAT EXIST === #


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[('total_amout', '>', 1)]", "'total_amount'"),
        ("[('country', '=', 'BE')]", "'counterparty.country'"),
        ("[('lines.acount_code', '=', '4')]", "'lines.account_code'"),
        ("[('lines', 'any', [('acount_code', '=', '4')])]", "'lines.account_code'"),
        ("[('zzzzzzz', '=', '4')]", "There are: id, "),
        ("[('state', '=', 'opne')]", "draft, posted, cancelled"),
        ("[('state', 'in', ['posted', 'payed'])]", "draft, posted, cancelled"),
        ("[('total_amount', '=', 'much')]", "number"),
        ("[('invoice_date', '>', '31.1.2026')]", "2026-01-31"),
        ("[('invoice_date', '>', '2026-02-30')]", "2026-01-31"),
        ("[('invoice_date', '>', 5)]", "2026-01-31"),
        ("[('lines', '=', 'x')]", "'lines.id'"),
        ("[('currency', 'any', [('x', '=', 1)])]", "fields of its own"),
    ],
)
def test_what_is_wrong_with_a_field(text, says):
    assert says in refused(text, [POSTED])


def test_a_field_of_one_of_the_types_is_enough():
    text = "[('total_amount', '>', 5)]"
    check_filter(compile_filter(text), ["finance.payment.paid.v1", POSTED])
    assert "total_amount" in refused(text, ["finance.payment.paid.v1"])
    check_filter(compile_filter("[('anything', '=', 1)]"), [])


def test_no_type_hides_the_attributes_of_the_envelope():
    for entry in EVENT_TYPES.values():
        assert const.FILTER_ATTRIBUTES not in entry.model.model_fields


# === A SECOND OPINION === #

paths = st.sampled_from(["a", "b", "o.a", "l.a", "l.m.a", "n", "gone", "o.gone"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", "x", "ab", "B", "1", "1.0", "-2", "2026-01-31", "%", "a_"]),
    st.sampled_from(["2026-01-31T09:30:00Z", "2026-02-01T00:00:00Z"]),
    st.sampled_from([0.5, 1.0]),
)
values = {
    "=": scalars,
    "!=": scalars,
    "=?": scalars,
    ">": scalars.filter(lambda value: value is not None and value not in (True, False)),
    "in": st.lists(scalars, max_size=3),
    "not in": st.lists(scalars, max_size=3),
    "like": st.text("aAbx%_\\1", max_size=4),
    "ilike": st.text("aAbx%_\\1", max_size=4),
    "=like": st.text("aAbx%_\\1", max_size=4),
    "not ilike": st.text("aAbx%_\\1", max_size=4),
}
values |= dict.fromkeys((">=", "<", "<="), values[">"])
leaves = st.sampled_from(sorted(values)).flatmap(
    lambda name: st.tuples(paths, st.just(name), values[name])
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("!"), inner),
        st.tuples(st.sampled_from("&|"), inner, inner),
    ),
    max_leaves=6,
)
objects = st.recursive(
    st.fixed_dictionaries({}, optional={"a": scalars, "b": scalars}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "a": scalars,
            "o": inner | st.none(),
            "l": st.lists(inner, max_size=2),
            "m": st.lists(inner, max_size=2),
            "n": st.lists(scalars, max_size=2),
        },
    ),
    max_leaves=6,
)


def rendered(tree):
    """Return the terms of a tree in prefix notation."""
    if tree[0] in ("!", "&", "|"):
        return [tree[0], *(term for part in tree[1:] for term in rendered(part))]
    return [tree]


def holds(tree, data):
    if tree[0] == "!":
        return not holds(tree[1], data)
    if tree[0] == "&":
        return holds(tree[1], data) and holds(tree[2], data)
    if tree[0] == "|":
        return holds(tree[1], data) or holds(tree[2], data)
    path, name, value = tree
    return any(compare(name, found, value) for found in found_at(data, path.split(".")))


def found_at(value, steps):
    if not steps:
        if isinstance(value, list):
            return value or [None]
        return [value]
    if isinstance(value, list):
        return [found for item in value for found in found_at(item, steps)]
    return found_at(value.get(steps[0]) if isinstance(value, dict) else None, steps[1:])


def as_number(value):
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Decimal(str(value))
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return Decimal(value)
    return None


def as_span(value):
    """A date is the whole day, a time one moment: (from, until) in seconds."""
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        start = datetime.fromisoformat(value)
        return start, start + timedelta(days=1, seconds=-1)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", value):
        start = datetime.fromisoformat(value[:-1])
        return start, start
    return None


def compare(name, found, value):
    negative = {"!=": "=", "not in": "in", "not ilike": "ilike"}.get(name)
    if negative:
        return not compare(negative, found, value)
    if name == "in":
        return any(compare("=", found, item) for item in value)
    if name == "=?":
        return value is None or value is False or compare("=", found, value)
    if "like" in name:
        return is_like(name, found, value)
    if name == "=" and (value is None or value is False):
        return found is None or found is False or found == ""
    if name == "=" and value is True:
        return found is True
    if found is None or isinstance(found, bool | dict):
        return False
    left, right = comparable(found, value)
    return (
        left is not None
        and {
            "=": left == right,
            ">": left > right,
            ">=": left >= right,
            "<": left < right,
            "<=": left <= right,
        }[name]
    )


def comparable(found, value):
    """Return both as numbers, as times or as texts; None where that can't be."""
    left, right = as_number(found), as_number(value)
    if right is not None and left is not None:
        return left, right
    if right is not None and not isinstance(value, str):
        return None, None
    left, right = as_span(found), as_span(value)
    if right is None:
        return (found, value) if isinstance(found, str) else (None, None)
    if left is None:
        return None, None
    whole_day = right[0] != right[1]
    left = left[0].replace(hour=0, minute=0, second=0) if whole_day else left[0]
    return left, right[0]


def is_like(name, found, value):
    if name != "=like":
        if not value:
            return True
        value = f"%{value}%"
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return False
    pattern = re.sub(
        r"\\(.?)|(%)|(_)|([^\\%_])",
        lambda part: (
            ".*"
            if part[2]
            else "."
            if part[3]
            else re.escape(part[4] or part[1] or "\\")
        ),
        value,
    )
    flags = re.DOTALL | (re.IGNORECASE if name == "ilike" else 0)
    return re.fullmatch(pattern, str(found), flags) is not None


@settings(max_examples=1500)
@given(trees, objects)
def test_it_agrees_with_a_naive_reading(tree, data):
    text = repr(rendered(tree))
    assert takes(text, data) == holds(tree, data), text


@given(st.lists(leaves, max_size=5), objects)
def test_conditions_in_a_row_are_joined_by_and(conditions, data):
    assert takes(repr(conditions), data) == all(
        holds(condition, data) for condition in conditions
    )


@settings(max_examples=300)
@given(st.text("[]()'\",=abc.|&!<>in0159 -{}:\\%_", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_filter_or_a_contract_error(text):
    try:
        found = compile_filter(text)
    except ContractError:
        return
    assert found.matches(DATA, ATTRIBUTES) in (True, False)


@settings(max_examples=60)
@given(st.data())
def test_a_filter_never_fails_on_real_data(data):
    name = data.draw(st.sampled_from(sorted(EVENT_TYPES)))
    payload = data.draw(payloads(name))
    path = data.draw(
        st.sampled_from(["id", "lines.amount", "counterparty.name", "documents"])
    )
    operator = data.draw(
        st.sampled_from([name for name in OPERATORS if name in values])
    )
    value = data.draw(values[operator])
    compile_filter(repr([(path, operator, value)])).matches(payload, ATTRIBUTES)


# === SPEED === #


def test_no_pattern_is_slow():
    """Patterns which take an expression with repetition for ever."""
    text = "a" * 4000
    pattern = "%" + "a%" * 1900 + "b"
    started = time.perf_counter()
    assert not takes(f"[('a', '=like', '{pattern}')]", {"a": text})
    assert not takes(f"[('a', '=like', '{'%_a' * 1900}b')]", {"a": text})
    assert time.perf_counter() - started < 2
