from odoo import api, models

from . import frames, values


class FinanceAudited(models.AbstractModel):
    """Has every change of a model's records recorded, with before and after.

    A model is followed by inheriting this, before its own name::

        _name = "finance.policy"
        _inherit = ["finance.audited", …]
    """

    _name = "finance.audited"
    _description = "Audited Configuration"

    # Marks models whose every stored field is followed.
    _finance_audited = True

    @api.model_create_multi
    def create(self, vals_list):
        with frames._refusals(self, self._audit_code("create")):
            records = super().create(vals_list)
        names = values.audited_fields(self, all_fields=True)
        after = values.snapshot(records, names)
        for record in records:
            _was, now = values.difference(self, None, after[record.id])
            self.env["finance.audit.entry"]._note(
                self._audit_code("create"), record, after=now
            )
        return records

    def write(self, vals):
        if not self._audit_touches(vals):
            return super().write(vals)
        with frames.decision(
            self, self._audit_code("change"), all_fields=True, plain=True
        ):
            return super().write(vals)

    def unlink(self):
        names = values.audited_fields(self, all_fields=True)
        with frames._refusals(self, self._audit_code("delete")):
            self.check_access("unlink")
            before = values.snapshot(self, names)
            drafts = [
                {
                    "action": self._audit_code("delete"),
                    "record": record,
                    "before": values.difference(self, before[record.id], None)[0],
                }
                for record in self
            ]
            entries = self.env["finance.audit.entry"]
            # While the records still have names.
            drafted = [entries._draft(**draft) for draft in drafts]
            result = super().unlink()
        for draft in drafted:
            entries._note_draft(draft)
        return result

    @api.model
    def _audit_code(self, verb):
        return f"{self._name.removeprefix('finance.')}.{verb}"

    def _audit_touches(self, vals):
        """Whether a write may change what is followed."""
        followed = set(values.audited_fields(self, all_fields=True))
        return any(
            name in followed
            # A field that is entered and stored elsewhere, such as a secret.
            or (name in self._fields and self._fields[name].inverse)
            for name in vals
        )
