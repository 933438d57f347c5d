# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import pytest
from finance_hub.transport import (
    ROUTING_KEY,
    check_routing_key,
    format_routing_key,
)
from hypothesis import given
from hypothesis import strategies as st

POSTED = "finance.invoice.posted.v1"


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("", POSTED),
        ("  ", POSTED),
        ("{type}", POSTED),
        ("erp.{company}.{type}", "erp.7.finance.invoice.posted.v1"),
        ("{object}.{verb}", "invoice.posted"),
        ("books-{version}:x_y", "books-v1:x_y"),
        ("fixed", "fixed"),
    ],
)
def test_routing_key(template, key):
    assert format_routing_key(template, POSTED, 7) == key


def test_the_default_is_the_event_type():
    assert check_routing_key(None) == check_routing_key("") == ROUTING_KEY
    assert format_routing_key(ROUTING_KEY, "ping") == "ping"
    assert format_routing_key("a{object}{verb}", "ping") == "a"


@pytest.mark.parametrize(
    "template", ["a b", "{name}", "{type", "type}", "#", "*.x", "a/b", "ü", "a" * 256]
)
def test_refused_templates(template):
    with pytest.raises(ValueError):
        check_routing_key(template)


def test_a_field_that_is_not_known_is_named():
    with pytest.raises(ValueError, match="subject"):
        check_routing_key("{type}.{subject}")


def test_a_key_that_grows_too_long_is_refused():
    with pytest.raises(ValueError):
        format_routing_key("{type}" * 11, POSTED)


@given(st.text(alphabet="ab.{}typeverb", max_size=300))
def test_a_good_template_gives_a_good_key_or_says_why(template):
    try:
        key = format_routing_key(template, POSTED, 1)
    except ValueError:
        return
    assert 0 < len(key.encode()) <= 255 and not set("{}*#") & set(key)
