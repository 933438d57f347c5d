# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the docstrings of contracts say, for schemas and for screens."""

import inspect
import re
from functools import cache

from pydantic import BaseModel

_IVAR = re.compile(r"^:ivar (\w+):\s*(.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return {field: meaning} out of the docstrings of a contract and its bases."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base.__doc__:
            for name, text in _IVAR.findall(inspect.cleandoc(base.__doc__)):
                found[name] = sentence(text)
    return found


def sentence(text: str) -> str:
    """Return a text out of a docstring as prose: one line, no markup."""
    text = " ".join(text.split()).replace("``", "")
    return text[:1].upper() + text[1:]


def summary(model: type[BaseModel]) -> str:
    """Return what a contract is, without the descriptions of its fields."""
    return sentence(inspect.cleandoc(model.__doc__ or "").partition("\n:ivar ")[0])
