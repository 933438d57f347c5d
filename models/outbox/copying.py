"""Many rows into a table by COPY, the cheapest way PostgreSQL has."""

import io
import json
import re

from psycopg2 import sql

_SPECIAL = re.compile(r"[\\\t\n\r\0]")
_ESCAPES = str.maketrans(
    # PostgreSQL's text has no NUL.
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\ufffd"}
)
_encode = json.JSONEncoder(ensure_ascii=False).encode


def copy_rows(cr, table, columns, rows):
    """Insert ``rows`` beneath the ORM.

    :param columns: names of the columns, in the order of the values
    :param rows: sequences of None, numbers, texts, times, and dicts or lists, which
        become JSON
    """
    # What is no text, such as half of a surrogate pair, must not lose all the others.
    lines = io.BytesIO("".join([_line(row) for row in rows]).encode("utf-8", "replace"))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cr._obj.copy_expert(statement, lines)


def _line(row):
    return "\t".join([_value(value) for value in row]) + "\n"


def _value(value):
    if value is None:
        return "\\N"
    kind = value.__class__
    if kind is int or kind is float:
        return repr(value)
    if kind is not str:
        value = _encode(value) if kind in (dict, list) else str(value)
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value
