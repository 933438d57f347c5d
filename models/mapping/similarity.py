"""How alike names and codes are; pure functions, with the reasons in evidence."""

import re
import unicodedata
from difflib import SequenceMatcher

# Legal forms say nothing about who somebody is, and are often left out.
# fmt: off
LEGAL_FORMS = frozenset({
    "ab", "ag", "aps", "as", "asa", "bv", "bvba", "co", "company", "corp",
    "corporation", "eg", "ek", "eurl", "ev", "gbr", "gmbh", "inc", "incorporated",
    "kg", "kgaa", "kk", "limited", "llc", "llp", "lp", "ltd", "mbh", "nv", "ohg",
    "ou", "oy", "oyj", "plc", "pte", "pty", "sa", "sarl", "sas", "se", "sl", "spa",
    "spolka", "sprl", "sro", "srl", "ug",
})
# fmt: on
# From this ratio on, two texts are called similar.
SIMILAR = 0.85
_WORD = re.compile(r"[^\W_]+")


def plain(text):
    """Return ``text`` without accents and case: ``Čeněk`` becomes ``cenek``."""
    decomposed = unicodedata.normalize("NFKD", text or "")
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def words(text):
    """Return the words of a text, plain, in order."""
    return _WORD.findall(plain(text))


def compact(text):
    """Return letters and digits only, plain: ``DE 12-34`` becomes ``de1234``."""
    return "".join(words(text))


def name_words(name):
    """Return the words of a party's name without legal forms, in order."""
    # Dotted abbreviations are one word: S.A. is SA.
    found = words(re.sub(r"(?<=\b\w)\.(?=\w\b|\s|$)", "", name or ""))
    return [word for word in found if word not in LEGAL_FORMS] or found


def same_name(one, other):
    """Return whether two names differ in writing and legal form only."""
    return name_words(one) == name_words(other) != []


def similar_name(one, other):
    """Return whether two names may well mean the same party."""
    first, second = name_words(one), name_words(other)
    if not first or not second:
        return False
    less, more = sorted((set(first), set(second)), key=len)
    if len(less) > 1 and less <= more:
        return True
    return likeness(first, second) >= SIMILAR


def likeness(one, other):
    """Return how alike two lists of words are whatever their order, 0.0 to 1.0."""
    return SequenceMatcher(
        None, " ".join(sorted(one)), " ".join(sorted(other)), autojunk=False
    ).ratio()
