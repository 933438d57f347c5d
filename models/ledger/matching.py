"""Reading the references that payers and providers write."""

import re

from .. import constants

_LIST = re.compile(r"\s*[,;|\n]\s*")
_WORDS = re.compile(r"[\s,;|]+")


def listed(reference):
    """Return the references of a list such as ``INV/1, INV/2``, without repetitions.

    :param str reference: as it came
    """
    parts = dict.fromkeys(part.strip() for part in _LIST.split(reference))
    return [part for part in parts if part][: constants.MATCH_MAX_REFERENCES]


def words(reference):
    """Return the words of a text that could be a document's number.

    They are long enough and hold a digit; ``Order 4711 thanks`` gives ``4711``.
    """
    parts = dict.fromkeys(word.strip(".:()[]#") for word in _WORDS.split(reference))
    return [
        part
        for part in parts
        if len(part) >= constants.MATCH_MIN_CHARS and any(map(str.isdigit, part))
    ][: constants.MATCH_MAX_REFERENCES]


def names(text, reference):
    """Return whether ``text`` quotes ``reference``, not merely as part of a word.

    >>> names("ADYEN po_71b2 NET", "PO_71B2"), names("po_71b22", "po_71b2")
    (True, False)
    """
    if not reference or len(reference) < constants.MATCH_MIN_CHARS:
        return False
    pattern = rf"(?<![^\W_]){re.escape(reference)}(?![^\W_])"
    return re.search(pattern, text, re.IGNORECASE) is not None
