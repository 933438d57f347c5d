"""Reading many fields of a record whose values are in memory.

An attribute of a record costs Odoo several checks each time: access, pending
computations, one record only. At the end of a transaction all of it is settled, and
a document with its lines is a hundred attributes.
"""


def values(record, shape):
    """Return field values as they are in Odoo's cache, read if they are not.

    Everything has to be flushed. A many2one is an id, a many2many a tuple of ids, and
    what is empty is ``None``, numbers too.

    :param record: one record, in the environment of the superuser
    :param shape: the named tuple to return; its names are those of the fields
    """
    fields, env, record_id = record._fields, record.env, record._ids[0]
    try:
        return shape._make(
            [fields[name]._get_cache(env)[record_id] for name in shape._fields]
        )
    except KeyError:
        for name in shape._fields:
            fields[name].__get__(record)
        return shape._make(
            [fields[name]._get_cache(env)[record_id] for name in shape._fields]
        )
