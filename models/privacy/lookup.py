"""Odoo's own privacy lookup finds what the hub keeps, where it is installed.

The addon does not depend on it, so it can't extend its model by inheritance: the
method is framed when the registry is built.
"""

import functools

from odoo import models

from .. import constants
from .finance_privacy_wizard import MODELS

WIZARD = "privacy.lookup.wizard"
ORIGINAL = "_finance_hub_original"


class FinancePrivacyHooks(models.AbstractModel):
    """Puts the frame around Odoo's privacy lookup when the registry is built."""

    _name = "finance.privacy.hooks"
    _description = "Finance Privacy Hooks"

    def _register_hook(self):
        result = super()._register_hook()
        install(self.env.registry)
        return result

    def _unregister_hook(self):
        result = super()._unregister_hook()
        uninstall(self.env.registry)
        return result


def install(registry):
    """Have Odoo's privacy lookup look into the hub, too."""
    uninstall(registry)
    if WIZARD in registry:
        model = registry[WIZARD]
        method = model.action_lookup

        @functools.wraps(method)
        def action_lookup(self):
            result = method(self)
            add_lines(self)
            return result

        setattr(action_lookup, ORIGINAL, method)
        model.action_lookup = action_lookup


def uninstall(registry):
    """Take the frame off again."""
    if WIZARD in registry and hasattr(
        vars(registry[WIZARD]).get("action_lookup"), ORIGINAL
    ):
        del registry[WIZARD].action_lookup


def add_lines(wizard):
    """Add what the hub keeps of the person to the lines of Odoo's wizard."""
    index = wizard.env["finance.privacy.index"].sudo()
    marks = index._marks_for(name=wizard.name, email=wizard.email)
    found = index._find(marks, wizard.env.companies.ids, constants.PRIVACY_FINDINGS)
    known = {(line.res_model, line.res_id) for line in wizard.line_ids}
    places = {
        ("finance.archive", archive_id) if archive_id else (MODELS[source], row_id)
        for source, row_id, archive_id, _company, _kinds in found
    }
    models_ = wizard.env["ir.model"].sudo()
    wizard.line_ids = [
        (0, 0, {"res_model_id": models_._get_id(model), "res_id": row_id})
        for model, row_id in sorted(places - known)
    ]
