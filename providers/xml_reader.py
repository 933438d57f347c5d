# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Reading hostile XML with flat memory.

Expat is used as a stream: there is no document tree, no DTD (the first byte of one ends
the reading, so that there are no entities to expand or fetch), no network and no
recursion. Elements are known by their local names, so every version of a namespace, and
none at all, reads the same.
"""

from collections.abc import Callable
from xml.parsers import expat

from ..contracts import ContractError
from . import constants as const

#: Beginnings of files that are no XML but come instead of it.
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b")


class Element:
    """One element with what is in it.

    :ivar name: its local name.
    :ivar attributes: by their names as they stand, prefixes included.
    :ivar text: all the character data directly in it, blanks around it cut off.
    """

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]):
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    def find(self, *path: str) -> "Element | None":
        """Return the first element at the end of a path of names."""
        element = self
        for name in path:
            for child in element.children:
                if child.name == name:
                    element = child
                    break
            else:
                return None
        return element

    def all(self, *path: str) -> "list[Element]":
        """Return every element at the end of a path, along all its branches."""
        found = [self]
        for name in path:
            found = [
                child
                for element in found
                for child in element.children
                if child.name == name
            ]
        return found

    def value(self, *path: str) -> str | None:
        """Return the text of the first element of a path that has one, if any."""
        if len(path) == 1:
            for child in self.children:
                if child.name == path[0] and child.text:
                    return child.text
            return None
        return next((found.text for found in self.all(*path) if found.text), None)


Ended = Callable[[tuple[str, ...], Element], bool]


class _Reader:
    def __init__(self, ended: Ended):
        self._ended = ended
        self._path: list[str] = []
        self._open: list[Element] = []
        self._text: list[list[str]] = []
        self._lengths: list[int] = []
        self._count = 0
        self._kept = 0
        self.root: Element | None = None

    def start(self, name: str, pairs: dict[str, str]) -> None:
        self._count += 1
        if len(self._path) >= const.XML_MAX_DEPTH:
            raise ContractError(
                f"The XML is nested deeper than {const.XML_MAX_DEPTH} levels."
            )
        if self._count > const.XML_MAX_ELEMENTS:
            raise ContractError(
                f"The XML has more than {const.XML_MAX_ELEMENTS} elements; send it "
                "in several files."
            )
        if len(pairs) > const.XML_MAX_ATTRIBUTES:
            raise ContractError(
                f"An element of the XML has more than {const.XML_MAX_ATTRIBUTES} "
                "attributes."
            )
        self._kept += 1
        if self._kept > const.XML_MAX_KEPT:
            raise ContractError(
                f"One part of the XML has more than {const.XML_MAX_KEPT} elements; "
                "send it in several files."
            )
        local = name.rpartition(":")[2]
        element = Element(local, pairs)
        if self.root is None:
            self.root = element
        self._path.append(local)
        self._open.append(element)
        self._text.append([])
        self._lengths.append(0)

    def data(self, text: str) -> None:
        self._lengths[-1] += len(text)
        if self._lengths[-1] > const.XML_MAX_TEXT:
            raise ContractError(
                f"A text of the XML is longer than {const.XML_MAX_TEXT} characters."
            )
        self._text[-1].append(text)

    def end(self, _name: str) -> None:
        element = self._open.pop()
        pieces = self._text.pop()
        self._lengths.pop()
        if pieces:
            element.text = "".join(pieces).strip()
        if self._ended(tuple(self._path), element):
            self._kept -= _size(element)
        elif self._open:
            self._open[-1].children.append(element)
        self._path.pop()


def _size(element: Element) -> int:
    count, waiting = 0, [element]
    while waiting:
        one = waiting.pop()
        count += 1
        waiting.extend(one.children)
    return count


def _refuse_dtd(*_arguments) -> None:
    raise ContractError(
        "The XML has a document type definition (DOCTYPE), which no bank's file needs "
        "and which is refused. Send it without."
    )


def read_xml(body: bytes, ended: Ended) -> Element:
    """Read XML to its end and return its root element.

    :param ended: called as ``ended(path, element)`` when an element is complete,
        ``path`` the local names from the root to it; returning true forgets the
        element, so that memory stays flat.
    :raises ContractError: for what is no well-formed XML, has a DTD or goes beyond a
        limit; and what ``ended`` raises.
    """
    if len(body) > const.FILE_MAX_BYTES:
        raise ContractError(
            f"The file is larger than {const.FILE_MAX_BYTES // (1024 * 1024)} MiB; "
            "send it in several files."
        )
    if not body.strip():
        raise ContractError("The file is empty.")
    if body.startswith(_ARCHIVES):
        raise ContractError(
            "The file is a compressed archive. Send the XML files in it one by one."
        )
    reader = _Reader(ended)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _refuse_dtd
    parser.EntityDeclHandler = _refuse_dtd
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise ContractError(
            f"The file is no well-formed XML: {expat.ErrorString(error.code)}, line "
            f"{error.lineno}, column {error.offset + 1}."
        ) from None
    except (LookupError, UnicodeError, ValueError) as error:
        if isinstance(error, ContractError):
            raise
        # The codec that the declaration names is unknown, or none for text.
        raise ContractError(
            "The XML is in an encoding that can't be read. Send it as UTF-8."
        ) from None
    if reader.root is None:
        raise ContractError("The XML has no content.")
    return reader.root
