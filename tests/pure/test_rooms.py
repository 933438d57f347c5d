# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What makes a room pure."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ADDON = Path(__file__).resolve().parents[2]
ROOMS = ("contracts", "signing", "transport", "providers")
# What each room may import of the others, by their public names.
NEIGHBOURS = {"providers": {"contracts"}}

FILES = sorted(path for room in ROOMS for path in (ADDON / room).rglob("*.py"))


def imports(path):
    """Yield (dots, module) of every import, those inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.module:
                yield node.level, node.module
            else:
                for alias in node.names:
                    yield node.level, alias.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ADDON)))
def test_imports_neither_odoo_nor_another_rooms_insides(path):
    depth = len(path.relative_to(ADDON).parts) - 1
    room = path.relative_to(ADDON).parts[0]
    for dots, module in imports(path):
        if not dots:
            assert module.split(".")[0] not in ("odoo", "finance_hub", "psycopg2")
        elif dots > depth:
            assert dots == depth + 1, "leads out of the addon"
            assert module in NEIGHBOURS.get(room, set()), "only a room's public names"


@pytest.mark.parametrize("room", ROOMS)
def test_importing_a_room_needs_no_http_client(room):
    code = (
        "import sys, types; package = types.ModuleType('finance_hub'); "
        f"package.__path__ = [{str(ADDON)!r}]; sys.modules['finance_hub'] = package; "
        f"import importlib; importlib.import_module('finance_hub.{room}'); "
        "assert not {'aiohttp', 'pika', 'requests', 'odoo'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_exist_and_are_sorted(room):
    module = __import__(f"finance_hub.{room}", fromlist=["__all__"])
    assert all(hasattr(module, name) for name in module.__all__)
    assert sorted(set(module.__all__)) == sorted(module.__all__)
