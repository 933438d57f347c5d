"""What an entry may hold of a record's values: exact, short, and without secrets."""

import hashlib
import json
from datetime import date, datetime

from odoo import fields

from ...signing import mask_secret
from . import constants


def cleaned(value, limit=constants.MAX_VALUE):
    """Return ``value`` in JSON types that PostgreSQL gives back exactly as they are.

    Floating-point numbers become text; NUL, which PostgreSQL does not take, and what
    is no character get a replacement; long texts end with their digest.
    """
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return clean_text(value, limit)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {clean_text(str(name)): cleaned(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(part) for part in value]
    return clean_text(str(value), limit)


def clean_text(text, limit=constants.MAX_VALUE):
    """Return a text that can be stored, shortened to ``limit`` characters."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[:limit]}… ({len(text)} characters, SHA-256 {digest})"


def audited_fields(model, *, all_fields):
    """Return the names of the fields whose changes are kept.

    :param all_fields: of a record of the configuration; else texts and structured
        content, which business data stands in, are left out
    """
    names = []
    for name, field in model._fields.items():
        if not field.store or name in constants.NOISE_FIELDS:
            continue
        if field.type in ("one2many", "binary"):
            continue
        if field.related and field.type != "many2one":
            continue
        if not all_fields and field.type in ("json", "html", "many2many", "serialized"):
            continue
        if name.startswith(("message_", "activity_")):
            continue
        names.append(name)
    return names


def is_secret(field):
    """Return whether only that a field changed may be kept."""
    return field.groups == fields.NO_ACCESS or field.name in constants.SECRET_FIELDS


def snapshot(records, names):
    """Return {id: {name: value}} of records, to compare with a later one.

    A secret is there as its digest: it is compared and never stored, see ``shown``.
    """
    found = {}
    for record in records.sudo().with_context(active_test=False):
        values = {}
        for name in names:
            values[name] = _value(record, record._fields[name])
        found[record.id] = values
    return found


def _value(record, field):
    value = record[field.name]
    if is_secret(field):
        return hashlib.sha256(str(value).encode()).hexdigest() if value else None
    if field.type == "many2one":
        return _named(value) if value else None
    if field.type == "many2many":
        return sorted(_named(record) for record in value)
    if value is False and field.type != "boolean":
        return None
    if field.name in constants.PERSONAL_FIELDS:
        return mask_secret(str(value))
    return cleaned(value)


def _named(record):
    return [record.id, clean_text(record.display_name or "", constants.MAX_LABEL)]


def difference(model, before, after):
    """Return (before, after) of what differs between two snapshots of a record.

    :param before: None of a new record; ``after``: None of a deleted one
    """
    was, now = {}, {}
    for name in sorted((before or {}).keys() | (after or {}).keys()):
        old, new = (before or {}).get(name), (after or {}).get(name)
        if old == new or (old in (None, False, []) and new in (None, False, [])):
            continue
        secret = is_secret(model._fields[name])
        if before is not None:
            was[name] = constants.MASK if secret and old else old
        if after is not None:
            now[name] = constants.MASK if secret and new else new
    return was, now


def pretty(env, model_name, values):
    """Return a mapping of values as lines for a person, one field a line."""
    model = env.get(model_name)
    lines = []
    for name, value in sorted((values or {}).items()):
        field = model._fields.get(name) if model is not None else None
        title = field._description_string(env) if field else name
        lines.append(f"{title}: {_text(env, field, value)}")
    return "\n".join(lines)


def _text(env, field, value):
    if value is None:
        return "–"
    if value is True or value is False:
        return env._("Yes") if value else env._("No")
    if field is not None and field.type == "many2one" and _is_pair(value):
        return f"{value[1]} ({value[0]})"
    if field is not None and field.type == "many2many" and isinstance(value, list):
        return ", ".join(f"{p[1]} ({p[0]})" for p in value if _is_pair(p)) or "–"
    if field is not None and field.type == "selection":
        return dict(field._description_selection(env)).get(value, value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _is_pair(value):
    return isinstance(value, list) and len(value) == 2
