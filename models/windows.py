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


def window_at(env, model_name, record_id):
    """Return the action that opens the record that a row is about.

    :raise UserError: when it is about none
    """
    if not record_id or model_name not in env:
        raise UserError(env._("There is nothing to open."))
    return window_of(env[model_name].browse(record_id))


def dialog_of(record, title):
    """Return the action that asks something in a form above the screen."""
    return {**window_of(record), "name": title, "target": "new"}


def list_of(env, xmlid, domain, *, context=None, name=None):
    """Return an action of the menu with just those rows.

    :param str xmlid: of the action, without the addon's name
    :param domain: of the rows
    :param context: what to open it with, instead of the filters of the menu
    :param name: its title, instead of that of the menu
    """
    action = env["ir.actions.act_window"]._for_xml_id(f"finance_hub.{xmlid}")
    action.update(domain=list(domain), context=context or {})
    if name:
        action["name"] = name
    return action
