# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What no parser of Odoo's checks when it loads a view."""

import re
from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).parents[2]
VIEWS = sorted(
    path for path in (ROOT / "views").glob("*.xml") if "<kanban" in path.read_text()
)
USED = re.compile(r"\brecord\.(\w+)\.(?:raw_)?value\b")


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_cards_use_only_fields_that_are_loaded(path):
    """A card that asks for another one breaks the whole list, in the browser."""
    for kanban in etree.parse(path).iter("kanban"):
        loaded = {field.get("name") for field in kanban.iter("field")}
        used = {
            name
            for node in kanban.iter(etree.Element)
            for value in node.attrib.values()
            for name in USED.findall(value)
        }
        assert used <= loaded


def test_there_are_cards():
    assert VIEWS
