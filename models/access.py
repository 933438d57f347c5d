"""Checks that stand behind every button, whatever the view shows."""

from odoo.exceptions import AccessError


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
