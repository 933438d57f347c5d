"""Checks that stand behind every button, whatever the view shows."""

from odoo.exceptions import AccessError, UserError


def require_group(env, *groups):
    """Raise unless the user holds one of ``groups``.

    Code running as superuser (jobs, installation) passes: it is not a person.

    :param env: the environment of the caller
    :param groups: external ids of groups, any of which suffices
    :raise AccessError: when the user holds none of them
    """
    if env.su or any(env.user.has_group(group) for group in groups):
        return
    names = ", ".join(env.ref(group).sudo().display_name for group in groups)
    raise AccessError(
        env._(
            "This needs one of these roles: %(names)s. Ask an administrator of the "
            "Finance Integration Hub.",
            names=names,
        )
    )


def create_guarded(env, vals_list, initial):
    """Refuse guarded fields in ``vals_list``, and defaults from the context, too.

    :param dict initial: guarded fields and the value that a new record has
    :return: the values to create with
    :raise UserError: when a person sets one of them
    """
    for vals in vals_list:
        refuse_fields(env, vals, initial.keys())
    return vals_list if env.su else [{**vals, **initial} for vals in vals_list]


def refuse_fields(env, vals, names):
    """Raise if a person writes fields that only move by the record's buttons.

    :param vals: what is written
    :param names: fields that are not for writing
    :raise UserError: naming the first of them
    """
    touched = names & vals.keys()
    if touched and not env.su:
        raise UserError(
            env._(
                "“%s” can't be written; use the buttons of the form.",
                sorted(touched)[0],
            )
        )


def expect_state(record, *states):
    """Refuse a button that a record's state does not allow.

    Every button comes by here, so it also sees to it that the record is not another
    company's.

    :raise AccessError: :raise UserError: naming the states that it is possible in
    """
    record.ensure_one()
    record.check_access("read")
    if record.state in states:
        return
    labels = dict(record._fields["state"]._description_selection(record.env))
    raise UserError(
        record.env._(
            "“%(name)s” is %(state)s; this is possible only from: %(allowed)s.",
            name=record.display_name,
            state=labels[record.state],
            allowed=", ".join(labels[state] for state in states),
        )
    )
