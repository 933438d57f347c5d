"""Telling a real change from a form that sends back what it was given."""

# Amounts closer than this are the same: columns of money have fewer digits.
SAME_AMOUNT = 1e-9


def changing(records, vals, names):
    """Return the records of which ``vals`` really changes one of the fields ``names``.

    :param records: a recordset
    :param dict vals: as passed to ``write``
    :param set names: of fields
    """
    touched = names & vals.keys()
    if not touched:
        return records.browse()
    return records.filtered(
        lambda record: any(_differs(record, name, vals[name]) for name in touched)
    )


def _differs(record, name, value):
    field = record._fields[name]
    if field.type in ("date", "datetime"):
        return record[name] != getattr(field, f"to_{field.type}")(value)
    known = field.convert_to_write(record[name], record)
    if field.type in ("float", "monetary"):
        return abs((known or 0.0) - (value or 0.0)) > SAME_AMOUNT
    return (known or False) != (value or False)
