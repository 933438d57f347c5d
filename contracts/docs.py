# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the docstrings of contracts say, for schemas and for screens."""

import inspect
import re
from functools import cache

from pydantic import BaseModel

_IVAR = re.compile(r"^:ivar (\w+):\s*(.*?)(?=^:|\Z)", re.MULTILINE | re.DOTALL)


#: What fields mean wherever they stand; a docstring says more where there is more.
_COMMON = {
    "id": "Opaque id in Odoo.",
    "account_code": "The account in the general ledger.",
    "account_name": "Name of the account.",
    "amount": "In the currency beside it.",
    "as_of": "The day it is about.",
    "connector": "The connected system it concerns.",
    "counterparty": "The business partner.",
    "country": "ISO 3166 code of two letters.",
    "currency": "ISO 4217 code of three letters.",
    "date": "Its day in the books.",
    "description": "In words.",
    "documents": "The documents it is about.",
    "due_at": "By when it has to be decided.",
    "journal_code": "Short name of the journal it is in.",
    "journal_name": "Name of the journal it is in.",
    "legal_entity": "The company whose books it is in.",
    "lines": "Its lines.",
    "number": "Its number, once it has one.",
    "provider_ref": "The payment provider's id.",
    "reason": "Why, in words.",
    "reference": "What it is called by the people involved.",
    "state": "Where it stands.",
    "tax_amount": "All taxes together.",
    "total_amount": "With tax.",
    "untaxed_amount": "Without tax.",
    "vat": "Tax id.",
}


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return {field: meaning} out of the docstrings of a contract and its bases."""
    found = {name: text for name, text in _COMMON.items() if name in model.model_fields}
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
