# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Reading hostile CSV: bounded rows, columns and cells, and numbers of any country."""

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal

from ..contracts import ContractError
from . import constants as const

_BLANKS = re.compile("[\\s\u00a0\u2007\u2009\u202f]+")
_DIGITS = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
#: Signs of a negative number: hyphen, minus sign, en dash.
_MINUS = "-\u2212\u2013"


def decoded(body: bytes, encoding: str) -> str:
    """Return the text of a file; a byte order mark outranks the encoding.

    :raises ContractError: when the bytes are no text in it
    """
    if len(body) > const.FILE_MAX_BYTES:
        raise ContractError(
            f"The file is larger than {const.FILE_MAX_BYTES // (1024 * 1024)} MiB; "
            "send it in several files."
        )
    if body.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    elif body.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    try:
        text = body.decode(encoding)
    except UnicodeError:
        raise ContractError(
            f"The file is no text in {encoding}. Choose the encoding that the sender "
            "uses in the format's settings, or ask for UTF-8."
        ) from None
    if "\x00" in text:
        raise ContractError("The file holds NUL characters, so it is no CSV.")
    if not text.strip():
        raise ContractError("The file is empty.")
    return text


def rows(
    text: str, delimiter: str, quote: str | None, skipped: int = 0
) -> Iterator[tuple[int, list]]:
    """Yield (line number, cells) of every row that is not empty.

    :param skipped: lines at the beginning that are not looked at.
    :raises ContractError: naming the line that goes beyond a limit or is no CSV
    """
    # With their ends: a quoted cell may hold some.
    lines = io.StringIO(text, newline="")
    for _line in range(skipped):
        lines.readline()
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    count = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ContractError(
                f"Line {skipped + reader.line_num} is no CSV: {error}. Check delimiter "
                "and quote character in the format's settings."
            ) from None
        if cells is None:
            return
        line = skipped + reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > const.CSV_MAX_ROWS:
            raise ContractError(
                f"The file has more than {const.CSV_MAX_ROWS} rows; send it in several "
                "files."
            )
        if len(cells) > const.CSV_MAX_COLUMNS:
            raise ContractError(
                f"Line {line} has more than {const.CSV_MAX_COLUMNS} columns."
            )
        if any(len(cell) > const.CSV_MAX_CELL for cell in cells):
            raise ContractError(
                f"Line {line} has a cell of more than {const.CSV_MAX_CELL} characters."
            )
        yield line, cells


def number(text: str, decimal: str = ".", thousands: str = "") -> Decimal:
    """Return a number as people of some country write it.

    Blanks never count; the sign may stand before or behind, or be parentheses.

    :raises ValueError: when it is none
    """
    found = _BLANKS.sub("", text)
    if len(found) > const.NUMBER_MAX_LENGTH:
        raise ValueError("The number is too long.")
    negative = False
    if found.startswith("(") and found.endswith(")"):
        negative, found = True, found[1:-1]
    elif found[:1] and found[0] in _MINUS:
        negative, found = True, found[1:]
    elif found[-1:] and found[-1] in _MINUS:
        negative, found = True, found[:-1]
    else:
        found = found.removeprefix("+").removesuffix("+")
    whole, point, fraction = found.partition(decimal)
    if thousands:
        if not _grouped(whole, thousands):
            raise ValueError("The digits are not in groups of three.")
        whole = whole.replace(thousands, "")
    found = f"{whole}.{fraction}" if point and fraction else whole
    if not found.isascii() or not _DIGITS.fullmatch(found):
        raise ValueError("That is no number.")
    value = Decimal(found)
    return -value if negative else value


def _grouped(whole: str, thousands: str) -> bool:
    """Whether separators stand where thousands are: 1.234 is, 12.34 is not."""
    first, *others = whole.split(thousands)
    return not others or (
        1 <= len(first) <= 3 and all(len(group) == 3 for group in others)
    )
