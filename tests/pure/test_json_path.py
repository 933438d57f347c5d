# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import pytest
from finance_hub.providers.json_path import compile_path
from finance_hub.providers.reading import Found
from hypothesis import given
from hypothesis import strategies as st

BODY = {
    "data": {"amount": 5, "a name": 1, "it's": 2, 'a"b': 3, "ä": 4, "]": 6},
    "items": [{"id": 1, "tags": ["x", "y"]}, {"id": 2, "tags": []}, "odd"],
    "null": None,
}
WHOLE = Found(BODY)


def values(path, item=WHOLE):
    return [found.value for found in compile_path(path).find(WHOLE, item)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", [BODY]),
        ("@", [BODY]),
        ("$.data.amount", [5]),
        ("$['data'][\"amount\"]", [5]),
        ("$.data['a name']", [1]),
        ("$.data['it\\'s']", [2]),
        ('$.data["it\'s"]', [2]),
        ("$.data['a\"b']", [3]),
        ("$.data['\\u00e4']", [4]),
        ("$.data.ä", [4]),
        ("$.data[']']", [6]),
        ("$.items[0].id", [1]),
        ("$.items[-1]", ["odd"]),
        ("$.items[-4]", []),
        ("$.items[3]", []),
        ("$.items[*].id", [1, 2]),
        ("$.items[*].tags[*]", ["x", "y"]),
        ("$.null", [None]),
        ("$.null.more", []),
        ("$.none.of.this[0]", []),
        ("$.data[0]", []),
        ("$.data[*]", []),
        ("$.items.id", []),
    ],
)
def test_paths(path, expected):
    assert values(path) == expected


def test_places_and_the_item_at_hand():
    (second,) = compile_path("$.items[1]").find(WHOLE, WHOLE)
    assert second.at == ("items", 1)
    (number,) = compile_path("@.id").find(WHOLE, second)
    assert (number.value, number.at) == (2, ("items", 1, "id"))
    (last,) = compile_path("$.items[-3]").find(WHOLE, second)
    assert last.at == ("items", 0)
    assert compile_path("$.null").first(WHOLE, WHOLE) is None


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", "begins with"),
        ("data", "begins with"),
        ("$data", "character 2"),
        ("$.", "character 3"),
        ("$..a", "character 3"),
        ("$.1a", "character 3"),
        ("$.a-b", "character 4"),
        ("$.*", "character 3"),
        ("$[", "character 3"),
        ("$[]", "character 3"),
        ("$[01]", "character 3"),
        ("$[-0]", "character 3"),
        ("$[1:2]", "character 3"),
        ("$[?@.a]", "character 3"),
        ("$[٣]", "character 3"),
        ("$['a'", "character 6"),
        ("$['a", "not closed"),
        ("$['\\x']", "escape"),
        ("$['\\u12']", "hexadecimal"),
        ("$[9999999]", "character 3"),
        ("$" + ".a" * 17, "at most 16"),
        ("$." + "a" * 500, "at most 500"),
    ],
)
def test_what_is_no_path_is_refused_at_its_place(path, place):
    with pytest.raises(ValueError, match=place):
        compile_path(path)


@given(st.text(alphabet="$@.[]*'\"\\u0a-1 é", max_size=20))
def test_any_text_is_a_path_or_refused(text):
    try:
        path = compile_path(text)
    except ValueError as error:
        assert str(error).endswith((".", "amount"))
    else:
        path.find(WHOLE, WHOLE)


@given(st.text(min_size=1, max_size=10))
def test_every_name_can_be_written(name):
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    body = Found({name: 1})
    (found,) = compile_path(f"$['{quoted}']").find(body, body)
    assert found.at == (name,)
