"""Windows that buttons open."""

from odoo.exceptions import UserError


def window_of(record):
    """Return the action that opens one record in its form.

    :raise UserError: when there is none any more
    """
    if not record:
        raise UserError(record.env._("There is nothing to open."))
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
