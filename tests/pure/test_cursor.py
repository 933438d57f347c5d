# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import pytest
from finance_hub.contracts import ContractError, decode_cursor, encode_cursor
from hypothesis import given
from hypothesis import strategies as st

UNSIGNED = st.integers(0, 2**64 - 1)


@given(st.text(max_size=40), UNSIGNED, UNSIGNED)
def test_there_and_back(realm, list_id, position):
    cursor = encode_cursor(realm, list_id, position)
    assert len(cursor) == 32
    assert decode_cursor(realm, cursor) == (list_id, position)


@given(UNSIGNED, UNSIGNED, st.integers(0, 31), st.sampled_from("AbZ09-_x"))
def test_one_other_character_is_noticed(list_id, position, index, character):
    cursor = encode_cursor("db", list_id, position)
    changed = cursor[:index] + character + cursor[index + 1 :]
    if changed != cursor:
        with pytest.raises(ContractError, match="not one of this hub"):
            decode_cursor("db", changed)


@given(st.text(max_size=64))
def test_garbage_is_refused(text):
    with pytest.raises(ContractError):
        decode_cursor("db", text)


@pytest.mark.parametrize("cut", [0, 1, 31])
def test_a_part_is_refused(cut):
    with pytest.raises(ContractError):
        decode_cursor("db", encode_cursor("db", 1, 2)[:cut])


def test_a_line_end_is_refused():
    with pytest.raises(ContractError):
        decode_cursor("db", encode_cursor("db", 1, 2) + "\n")


def test_another_database_is_refused():
    with pytest.raises(ContractError):
        decode_cursor("copy", encode_cursor("db", 1, 2))
