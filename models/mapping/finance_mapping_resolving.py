from datetime import date as Date

from odoo import api, models, tools

from .. import clock
from .errors import Unmapped


class FinanceMapping(models.Model):
    """What a code stands for on a day."""

    _inherit = "finance.mapping"

    # === RESOLVING === #

    @api.model
    def _resolve(self, connector, domain, code, date=None):
        """Return the record that a code of another system stands for.

        A mapping of the system itself outranks one for all systems of the company.

        :param connector: the ``finance.connector`` whose code it is
        :param str domain: name of a ``finance.mapping.domain``, such as ``account``
        :param str code: as the sender wrote it
        :param date: the accounting day; today if not given
        :return: one record of the domain's model, in the connector's company
        :raise Unmapped: D-UNMAPPED, when no approved mapping counts on that day; the
            command waits until there is one
        """
        kind = self.env["finance.mapping.domain"]._named(domain)
        company = connector.company_id
        record = self._resolve_or_empty(connector, kind, code, date)
        if record:
            return record
        day = date or clock.now().date()
        raise Unmapped(
            self.env._(
                "“%(code)s” of “%(system)s” (%(kind)s) stands for nothing in "
                "%(company)s on %(day)s. Map it under Master Data, Unmapped Codes; "
                "what waits is then processed by itself.",
                code=code,
                system=connector.name,
                kind=kind.sudo().title,
                company=company.sudo().name,
                day=day.isoformat(),
            ),
            connector,
            domain,
            code,
            day,
        )

    @api.model
    def _resolve_or_empty(self, connector, kind, code, date=None):
        """Return what :meth:`_resolve` does, or an empty recordset.

        :param kind: a ``finance.mapping.domain``
        """
        kind = kind.sudo()
        company = connector.company_id
        records = self.env[kind.target_model].with_company(company)
        # A counterparty's id needs no mapping once it is cross-referenced.
        if kind.name == "counterparty":
            found = self.env["finance.reference"]._find(
                connector, kind.target_model, code, date
            )
            if found:
                return records.browse(found.id)
        day = date or clock.now().date()
        for begin, end, res_id in self._in_force(
            company.id, connector.id, kind.id, code
        ):
            if (begin or Date.min) <= day <= (end or Date.max):
                record = records.browse(res_id).exists()
                if record:
                    return record
        if kind.is_standard:
            return kind._find_record(company, code)[:1].with_env(records.env)
        return records

    @api.model
    @tools.ormcache("company_id", "connector_id", "domain_id", "code")
    def _in_force(self, company_id, connector_id, domain_id, code):
        """Return ((first day, last day, id), …) of a code, the system's own first."""
        mappings = self.sudo().search(
            [
                ("company_id", "=", company_id),
                ("connector_id", "in", (connector_id, False)),
                ("domain_id", "=", domain_id),
                ("code", "=", code),
                ("state", "=", "approved"),
            ]
        )
        return tuple(
            (mapping.valid_from, mapping.valid_to, mapping.res_id)
            for mapping in mappings.sorted(lambda m: not m.connector_id)
        )
