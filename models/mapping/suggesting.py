"""Suggesting what a code may stand for, and why; pure functions.

A suggestion is shown to a person, who proposes; another one approves. Nothing here
decides anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .similarity import compact, likeness, words

# How sure each reason is, of 100.
SAME_CODE = 100
SAME_WRITTEN_DIFFERENTLY = 90
SAME_NAME = 90
OTHER_SYSTEM = 85
SAME_BUT_ZEROS = 75
SAME_BEGINNING = 50
SIMILAR_NAME = 60
# A beginning shorter than this is shared by chance.
BEGINNING_MIN_LENGTH = 3
# From this likeness of names on, one is suggested; it weighs SIMILAR_NAME.
NAME_MIN_LIKENESS = 0.6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that a code may stand for.

    :ivar key: names the record
    :ivar code: of the record in Odoo, if such records have one
    :ivar mapped: whether another system's equal code stands for it
    """

    key: int
    code: str
    name: str
    mapped: bool = False


def suggest(code: str, candidates: Iterable[Candidate]):
    """Return [(candidate, score, reason)], the surest first.

    :param code: of the other system
    :return: reason is the name of one of the reasons below, score 1 to 100
    """
    found = []
    for candidate in candidates:
        score, reason = _judge(code, candidate)
        if score:
            found.append((candidate, score, reason))
    return sorted(found, key=lambda item: (-item[1], item[0].key))


def _judge(code, candidate):
    mine, other = compact(code), compact(candidate.code)
    if not mine:
        return 0, None
    if candidate.code and code == candidate.code:
        return SAME_CODE, "same_code"
    if mine == other:
        return SAME_WRITTEN_DIFFERENTLY, "same_code_written_differently"
    if mine == compact(candidate.name):
        return SAME_NAME, "same_name"
    if candidate.mapped:
        return OTHER_SYSTEM, "other_system"
    if mine.strip("0") and (
        mine.rstrip("0") == other.rstrip("0") or mine.lstrip("0") == other.lstrip("0")
    ):
        return SAME_BUT_ZEROS, "same_but_zeros"
    ratio = likeness(words(code), words(candidate.name))
    by_name = round(SIMILAR_NAME * ratio) if ratio >= NAME_MIN_LIKENESS else 0
    shorter = min(len(mine), len(other))
    by_code = 0
    if shorter >= BEGINNING_MIN_LENGTH and mine[:shorter] == other[:shorter]:
        by_code = SAME_BEGINNING
    if by_name > by_code:
        return by_name, "similar_name"
    return by_code, "same_beginning"
