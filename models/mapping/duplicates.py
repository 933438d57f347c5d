"""Finding the party that another system may mean; pure functions.

Each piece of evidence has a weight; what weighs enough together makes a candidate. No
weight links anything by itself: see the handler of ``counterparty.upsert``.
"""

from dataclasses import dataclass

from .similarity import compact, plain, same_name, similar_name

# The command by which parties come in.
UPSERT = "counterparty.upsert"
# Evidence and its weight. Two parties rarely share a registration, but a group may
# share a bank account, and an accountant's e-mail address may stand with many.
WEIGHTS = {
    "vat": 60,
    "registration": 50,
    "iban": 50,
    "email": 30,
    "same_name": 40,
    "similar_name": 25,
    "city": 15,
    "country": 10,
    "other_country": -20,
}
# From this weight on a person is asked.
CANDIDATE = 50


@dataclass(frozen=True, slots=True)
class Party:
    """What is known of a party, wherever it is kept.

    :ivar ibans: account numbers, letters and digits only
    :ivar country: ISO 3166-1 alpha-2
    """

    name: str
    vat: str = ""
    registration: str = ""
    email: str = ""
    ibans: frozenset = frozenset()
    city: str = ""
    country: str = ""


def evidence(one, other):
    """Return the names of what speaks for and against two being the same party."""
    found = []
    for name in ("vat", "registration"):
        mine, others = compact(getattr(one, name)), compact(getattr(other, name))
        if mine and mine == others:
            found.append(name)
    if one.ibans & other.ibans:
        found.append("iban")
    if one.email and one.email.strip().lower() == (other.email or "").strip().lower():
        found.append("email")
    if same_name(one.name, other.name):
        found.append("same_name")
    elif similar_name(one.name, other.name):
        found.append("similar_name")
    if "same_name" in found or "similar_name" in found:
        # Where somebody is says something beside a name only.
        if one.city and plain(one.city) == plain(other.city):
            found.append("city")
        if one.country and other.country and one.country != other.country:
            found.append("other_country")
        else:
            found.append("country")
    return found


def score(found):
    """Return the weight of the evidence together."""
    return sum(WEIGHTS[name] for name in found)
