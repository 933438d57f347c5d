from odoo import models


class FinanceWatched(models.AbstractModel):
    """What has thresholds: while it is beyond them, one exception tells so."""

    _name = "finance.watched"
    _description = "Watched by Thresholds"

    def _tell_breaches(self, code, breaches):
        """Open, correct and close the exceptions of these records.

        :param str code: of the taxonomy
        :param dict breaches: record → sentences, of those beyond a threshold; the
            others of ``self`` are within theirs
        :return: {record: exception} of those that were opened
        """
        exceptions = self.env["finance.exception"]
        known = exceptions._about(self, code)
        beyond = {record.id for record in breaches}
        known.filtered(lambda exception: exception.res_id not in beyond)._resolve(
            self.env._("Within its thresholds again.")
        )
        by_record = {exception.res_id: exception for exception in known}
        opened = {}
        for record, sentences in breaches.items():
            cause = "\n".join(sentences)
            exception = by_record.get(record.id)
            if exception:
                exception.cause = cause
                continue
            opened[record] = exceptions._open(
                code,
                company=record.company_id,
                record=record,
                connector=record._breached_connector(),
                fingerprint=f"{self._name}:{record.id}",
                summary=self.env._("“%s” is beyond its thresholds", record.name),
                cause=cause,
            )
        return opened

    # === HOOKS === #

    def _breached_connector(self):
        """Return the connector that the record is, or belongs to, if any."""
        return
