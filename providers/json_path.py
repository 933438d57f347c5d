# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A small part of JSONPath (RFC 9535), enough to say where a value stands.

=====================  ======================================================
``$``                  the whole message
``@``                  the item at hand: one of a list of items or lines
``.name``              a member; letters, digits and ``_``
``['a name']``         a member with any name, in either kind of quotes
``[0]``, ``[-1]``      an element, from the beginning or from the end
``[*]``                all elements of a list
=====================  ======================================================

There are no filters, functions, slices or descendants, so a path costs no more than the
message is long. ``@`` is what RFC 9535 calls the current node.
"""

from dataclasses import dataclass
from functools import lru_cache

from . import constants as const
from .reading import Found

WHOLE, ITEM = "$", "@"

#: Step that stands for all elements.
EVERY = object()

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    :ivar root: ``$`` or ``@``.
    :ivar steps: names, positions, or :data:`EVERY`.
    """

    root: str
    steps: tuple

    @property
    def many(self) -> bool:
        """Whether it can lead to several values."""
        return EVERY in self.steps

    def find(self, whole: Found, item: Found) -> list[Found]:
        """Return what is there, in the order of the message; nothing where nothing is.

        :param whole: the message.
        :param item: the item at hand.
        """
        found = [whole if self.root == WHOLE else item]
        for step in self.steps:
            found = [inner for each in found for inner in _children(each, step)]
        return found

    def first(self, whole: Found, item: Found) -> Found | None:
        """Return the first of what is there and not ``null``."""
        return next(
            (each for each in self.find(whole, item) if each.value is not None), None
        )


def _children(found: Found, step) -> list[Found]:
    value = found.value
    if step is EVERY:
        return found.each() if isinstance(value, list) else []
    if isinstance(step, str):
        if isinstance(value, dict) and step in value:
            return [Found(value[step], (*found.at, step))]
        return []
    if isinstance(value, list) and -len(value) <= step < len(value):
        position = step % len(value)
        return [Found(value[position], (*found.at, position))]
    return []


@lru_cache(maxsize=const.PATH_CACHE_SIZE)
def compile_path(text: str) -> Path:
    """Return a path out of its text.

    :raises ValueError: saying what is wrong, and at which character.
    """
    if len(text) > const.PATH_MAX_LENGTH:
        raise ValueError(f"A path has at most {const.PATH_MAX_LENGTH} characters.")
    if text[:1] not in (WHOLE, ITEM):
        raise ValueError(
            "A path begins with $ (the whole message) or @ (the item at hand): "
            "$.data.amount"
        )
    steps, position = [], 1
    while position < len(text):
        step, position = _step(text, position)
        steps.append(step)
        if len(steps) > const.PATH_MAX_STEPS:
            raise ValueError(f"A path has at most {const.PATH_MAX_STEPS} steps.")
    return Path(text[0], tuple(steps))


def _step(text: str, position: int) -> tuple:
    if text[position] == ".":
        return _member(text, position + 1)
    if text[position] == "[":
        return _bracket(text, position + 1)
    raise _wrong(position, "A dot or a bracket is expected")


def _member(text: str, start: int) -> tuple:
    end = start
    while end < len(text) and (text[end] == "_" or text[end].isalnum()):
        end += 1
    if end == start or text[start].isdigit():
        raise _wrong(
            start, "A name is expected. Other names are written as ['first-name']"
        )
    return text[start:end], end


def _bracket(text: str, start: int) -> tuple:
    if text.startswith("*]", start):
        return EVERY, start + 2
    if text[start : start + 1] in ("'", '"'):
        name, end = _quoted(text, start)
        if text[end : end + 1] != "]":
            raise _wrong(end, "A closing bracket is expected")
        return name, end + 1
    end = text.find("]", start)
    digits = text[start:end] if end > start else ""
    number = digits.removeprefix("-")
    plain = number.isascii() and number.isdigit() and len(number) <= const.INDEX_DIGITS
    if not plain or (len(number) > 1 and number[0] == "0") or digits == "-0":
        raise _wrong(start, "A position, * or a name in quotes is expected")
    return int(digits), end + 1


def _quoted(text: str, start: int) -> tuple[str, int]:
    quote, name, position = text[start], [], start + 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return "".join(name), position + 1
        if character == "\\":
            position += 1
            character = text[position : position + 1]
            if character == "u":
                code = text[position + 1 : position + 5]
                if len(code) != 4 or not all(
                    c in "0123456789abcdefABCDEF" for c in code
                ):
                    raise _wrong(position, "Four hexadecimal digits are expected")
                character, position = chr(int(code, 16)), position + 4
            elif character in _ESCAPES:
                character = _ESCAPES[character]
            elif not character or character not in "\\/'\"":
                raise _wrong(position, "There is no such escape")
        name.append(character)
        position += 1
    raise _wrong(start, "The quotation mark is not closed")


def _wrong(position: int, what: str) -> ValueError:
    return ValueError(f"{what}, at character {position + 1} of the path.")
