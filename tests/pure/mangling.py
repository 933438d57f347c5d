# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Hostile variants of a provider's valid bodies, and what an adapter owes them."""

import copy
import json

from finance_hub.contracts import ContractError, parse_command
from hypothesis import strategies as st

ODD = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    -(10**19),
    1.5,
    1e300,
    "",
    " ",
    "-",
    "1E999999",
    "9" * 41,
    "12.345",
    "eur",
    "JPY",
    "ZZZ",
    "true",
    "x" * 300,
    "a\nb",
    "\u2028",
    "é" * 200,
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    [],
    {},
    [[]],
    {"id": "pi_other", "data": [{}]},
    [None],
]


def places(value, at=()):
    """Return the path of every node below ``value``."""
    found = [at] if at else []
    if isinstance(value, dict):
        for key, child in value.items():
            found += places(child, (*at, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += places(child, (*at, index))
    return found


def lookup(value, path):
    for step in path:
        value = value[step]
    return value


@st.composite
def mangled(draw, bodies):
    """Draw the JSON of one of ``bodies`` with up to four nodes changed."""
    body = copy.deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 4))):
        paths = places(body)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        parent, step = lookup(body, path[:-1]), path[-1]
        what = draw(st.sampled_from(("odd", "odd", "delete", "copy", "wrap")))
        if what == "delete":
            del parent[step]
        elif what == "copy":
            parent[step] = copy.deepcopy(lookup(body, draw(st.sampled_from(paths))))
        elif what == "wrap":
            parent[step] = [parent[step]]
        else:
            parent[step] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return json.dumps(body).encode()


@st.composite
def scrambled(draw, bodies):
    """Draw the bytes of one of ``bodies`` with some of them changed or cut off."""
    content = bytearray(json.dumps(draw(st.sampled_from(bodies))).encode())
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(content) - 1))
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))])


def check_harmless(adapter, content, options=None, headers=None):
    """Fail unless an adapter does with any bytes what it promised.

    :return: the commands, or None when the content was refused
    """
    headers = headers or {}
    identifier = adapter.external_id(headers, content)
    assert 0 < len(identifier) <= 256 and identifier.isprintable()
    assert isinstance(adapter.fingerprint(headers, content), bytes)
    try:
        commands = adapter.parse(headers, content, options or {})
    except ContractError as error:
        assert error.code in ("D-SCHEMA", "D-VERSION") and error.message
        for each in error.errors:
            check_pointer(content, each["pointer"])
        return None
    for command in commands:
        assert 0 < len(command.external_id) <= 256
        assert command.data and json.dumps(command.data)
        if command.ignored:
            assert command.type.startswith(f"{adapter.name}:")
            assert command.type.isprintable() and len(command.type) <= 128
        else:
            content_model = parse_command(command.type, command.data)
            assert content_model.wire() == command.data
            assert command.occurred_at is not None
    return commands


def check_pointer(content, pointer):
    """Fail unless a pointer leads into the body, or to what is missing there."""
    if not pointer:
        return
    value = json.loads(content)
    steps = [
        step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")
    ]
    for step in steps[:-1]:
        # What is missing may have been expected several levels deep.
        if isinstance(value, dict) and step not in value:
            return
        if isinstance(value, dict) and value[step] is None:
            return
        value = value[int(step)] if isinstance(value, list) else value[step]
    assert isinstance(value, dict | list)


def transitions(commands):
    """Return the transitions that commands about one payment stand for."""
    found = []
    for command in commands:
        if command.ignored:
            continue
        data = command.data
        at, key = command.occurred_at, json.dumps(data, sort_keys=True)
        if command.type == "payment.captured":
            found.append(("execution", "captured", at, key))
        elif command.type == "payment.authorised":
            found.append(("execution", "authorised", at, key))
        elif command.type == "payment.failed":
            found.append(("execution", data["outcome"], at, key))
        elif command.type == "payment.status_changed":
            found.append(("execution", data["execution"], at, key))
        elif command.type == "payment.settled":
            found.append(("settlement", "settled", at, key))
        elif command.type == "payment.disputed":
            found.append(("dispute", data["stage"], at, key))
        elif command.type == "payment.refunded":
            status = {"pending": "pending", "succeeded": "full"}.get(
                data["status"], data["status"]
            )
            found.append(("refund", status, at, key))
    return found
