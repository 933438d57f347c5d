# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Structured fields of HTTP (RFC 8941), as far as message signatures need them."""

import base64
import binascii
import re

from . import constants as const
from .standard_webhooks import VerificationError, _encode

# The tokens of the structured fields (RFC 8941, section 3).
_DICT_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BINARY = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
_INTEGER = re.compile(r"-?[0-9]{1,15}(?![0-9.])")
_BOOLEAN = re.compile(r"\?([01])")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")


class FieldReader:
    """Reads one header as RFC 8941 describes, as far as signatures need it."""

    __slots__ = ("_at", "_name", "_text")

    def __init__(self, name: str, text: str):
        self._name = name
        self._text = text
        self._at = 0

    def fail(self):
        raise VerificationError(
            "malformed_header",
            f"The header {self._name} is not what RFC 9421 describes (at character "
            f"{self._at + 1}).",
        )

    def done(self) -> bool:
        return self._at >= len(self._text)

    def take(self, pattern: re.Pattern) -> re.Match | None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match

    def skip(self, characters: str):
        while not self.done() and self._text[self._at] in characters:
            self._at += 1

    def expect(self, character: str) -> bool:
        if not self.done() and self._text[self._at] == character:
            self._at += 1
            return True
        return False

    def slice(self, start: int) -> str:
        return self._text[start : self._at]

    @property
    def position(self) -> int:
        return self._at

    def parameters(self) -> dict:
        found = {}
        while self.expect(";"):
            self.skip(" ")
            key = self.take(_DICT_KEY)
            if not key:
                self.fail()
            found[key[0]] = self.bare() if self.expect("=") else True
        return found

    def bare(self):
        for pattern, convert in (
            (_STRING, lambda match: re.sub(r"\\(.)", r"\1", match[1])),
            (_BINARY, lambda match: self._decode(match[1])),
            (_INTEGER, lambda match: int(match[0])),
            (_BOOLEAN, lambda match: match[1] == "1"),
            (_TOKEN, lambda match: match[0]),
        ):
            match = self.take(pattern)
            if match:
                return convert(match)
        return self.fail()

    def _decode(self, text: str) -> bytes:
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return self.fail()
        # One canonical spelling only: a signature has no second valid form.
        return raw if _encode(raw) == text else self.fail()

    def inner_list(self) -> tuple[list, dict]:
        items = []
        if not self.expect("("):
            self.fail()
        while True:
            self.skip(" ")
            if self.expect(")"):
                return items, self.parameters()
            name = self.take(_STRING)
            if not name or len(items) >= const.COMPONENTS_MAX_COUNT:
                self.fail()
            items.append((name[1], self.parameters()))

    def dictionary(self, read) -> dict:
        """Return the members of a dictionary, each read by ``read(self)``."""
        members = {}
        self.skip(" ")
        while not self.done():
            key = self.take(_DICT_KEY)
            # Which of two members with one label counts is anybody's guess.
            if not key or not self.expect("=") or key[0] in members:
                self.fail()
            if len(members) >= const.MESSAGE_SIGNATURES_MAX_COUNT:
                self.fail()
            members[key[0]] = read(self)
            self.skip(" \t")
            if self.done():
                break
            if not self.expect(","):
                self.fail()
            self.skip(" \t")
            if self.done():
                self.fail()
        return members


def read_input(reader: FieldReader):
    """Return (components, parameters, both as they were written) of one signature."""
    start = reader.position
    items, parameters = reader.inner_list()
    return items, parameters, reader.slice(start)


def read_binary(reader: FieldReader):
    """Return the bytes of one member: a signature, or a digest."""
    value = reader.bare()
    reader.parameters()
    return value if isinstance(value, bytes) else reader.fail()
