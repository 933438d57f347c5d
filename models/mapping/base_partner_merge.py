from odoo import models


class BasePartnerMerge(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _update_reference_fields_generic(
        self, referenced_model, src_records, dst_record, additional_update_records=None
    ):
        """Have external ids and mappings follow the records that are merged."""
        moved = [
            ("res_model", "=", referenced_model),
            ("res_id", "in", src_records.ids),
        ]
        references = self.env["finance.reference"].sudo()
        kept = references.search(
            [
                ("res_model", "=", referenced_model),
                ("res_id", "=", dst_record.id),
                ("is_main", "=", True),
            ]
        ).connector_id
        for reference in references.search(moved, order="id"):
            # One main id in each system: that of the record that stays comes first.
            is_main = reference.is_main and reference.connector_id not in kept
            reference.write({"res_id": dst_record.id, "is_main": is_main})
            if is_main:
                kept |= reference.connector_id
        mappings = self.env["finance.mapping"].sudo().search(moved)
        mappings.write({"res_id": dst_record.id})
        return super()._update_reference_fields_generic(
            referenced_model, src_records, dst_record, additional_update_records
        )
