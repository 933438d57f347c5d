"""Windows that buttons open."""


def window_of(record):
    """Return the action that opens one record in its form."""
    record.ensure_one()
    return {
        "type": "ir.actions.act_window",
        "res_model": record._name,
        "res_id": record.id,
        "views": [(False, "form")],
    }


def dialog_of(record, title):
    """Return the action that asks something in a form above the screen."""
    return {**window_of(record), "name": title, "target": "new"}
