"""Settings of the hub that are kept with Odoo's: parameters and scheduled actions."""

from odoo import api, models

from . import constants, values

ACTION = "config.change"
CRON_FIELDS = ("active", "interval_number", "interval_type", "code", "user_id")


class IrConfigParameter(models.Model):
    _inherit = "ir.config_parameter"

    @api.model_create_multi
    def create(self, vals_list):
        parameters = super().create(vals_list)
        parameters._finance_note({})
        return parameters

    def write(self, vals):
        before = self._finance_values()
        result = super().write(vals)
        self._finance_note(before)
        return result

    def unlink(self):
        before = self._finance_values()
        result = super().unlink()
        for key, value in before.values():
            self.env["finance.audit.entry"]._note(
                ACTION, res_model=self._name, label=key, before={"value": value}
            )
        return result

    def _finance_values(self):
        """Return {id: (key, value)} of the parameters that are the hub's."""
        return {
            parameter.id: (parameter.key, parameter.value)
            for parameter in self.sudo()
            if parameter.key
            and parameter.key.startswith(constants.PARAMETER_PREFIX)
            and parameter.key not in constants.NOISE_PARAMETERS
        }

    def _finance_note(self, before):
        for parameter, (key, value) in self._finance_values().items():
            was = before.get(parameter)
            if was != (key, value):
                self.env["finance.audit.entry"]._note(
                    ACTION,
                    self.browse(parameter),
                    label=key,
                    before={"value": was[1]} if was else None,
                    after={"value": value},
                )


class IrCron(models.Model):
    _inherit = "ir.cron"

    def write(self, vals):
        names = [name for name in CRON_FIELDS if name in vals]
        ours = self._finance_crons() if names else self.browse()
        before = values.snapshot(ours, names)
        result = super().write(vals)
        after = values.snapshot(ours, names)
        for cron in ours:
            was, now = values.difference(ours, before[cron.id], after[cron.id])
            if was or now:
                self.env["finance.audit.entry"]._note(
                    ACTION, cron, before=was, after=now
                )
        return result

    def _finance_crons(self):
        """Return those of ``self`` that this addon brought."""
        xmlids = self.sudo().get_external_id()
        return self.filtered(
            lambda cron: xmlids.get(cron.id, "").startswith("finance_hub.")
        )
