from collections import defaultdict
from decimal import Decimal

from odoo import models

from .. import clock, constants
from .errors import CommandError, CommandIgnored, CommandWaits
from .finance_handler_posting_request import PostingUnmapped
from .subjects import document_key, find_subject


class TaxMismatch(CommandError):
    """Taxes that differ; the document keeps that they do.

    :ivar keep: called after what the handler did was undone
    """

    def __init__(self, message, keep):
        super().__init__("D-TAX-MISMATCH", message)
        self.keep = keep

    def report(self, command):
        self.keep()
        return super().report(command)


class FinanceHandlerTaxDetermination(models.AbstractModel):
    """``tax.determination``: a document's taxes are compared, and never written."""

    _name = "finance.handler.tax.determination"
    _description = "Handler of Tax Determination"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("total_tax", "currency", "lines")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.TaxDetermination.

        :raise CommandWaits: D-ORPHAN, D-UNMAPPED
        :raise CommandIgnored: D-STALE
        :raise CommandError: D-TAX-MISMATCH, with every difference
        """
        move = self._find(command, content)
        command.write({"res_model": move._name, "res_id": move.id})
        determined_at = clock.naive(content.determined_at)
        known = move.finance_tax_determined_at
        if known and known > determined_at:
            raise CommandIgnored(
                "D-STALE",
                self.env._("A later calculation is known: %s.", known),
            )
        taxes = self._mapped(command, content, move)
        differences = [
            *self._compare_currency(content, move),
            *self._compare_lines(content, move, taxes),
            *self._compare_kinds(content, move, taxes),
            *self._compare_total(content, move),
        ]
        reference = content.determination_ref
        if not differences:
            move._finance_keep_taxes("agreed", reference, determined_at, None)
            return
        report = "\n".join(differences)
        raise TaxMismatch(
            self.env._(
                "The taxes of %(document)s differ from those of %(system)s.\n"
                "%(report)s",
                document=move.display_name,
                system=command.connector_id.name,
                report=report,
            ),
            lambda: move._finance_keep_taxes(
                "differs", reference, determined_at, report
            ),
        )

    def _find(self, command, content):
        move = find_subject(
            self.env, command.company_id, content.document
        ) or command._linked_subject(content.document)
        if not move or move._name != "account.move":
            raise CommandWaits(
                "D-ORPHAN",
                self.env._(
                    "No document is known as “%s”. The calculation waits for it.",
                    content.document,
                ),
                key=document_key(content.document),
                grace=constants.ORPHAN_GRACE,
            )
        return move

    def _mapped(self, command, content, move):
        """Return {code: tax} of the codes of the tax service."""
        mappings, taxes, missing = self.env["finance.mapping"], {}, []
        day = move.invoice_date or move.date
        for index, line in enumerate(content.lines):
            if line.tax is None or line.tax in taxes:
                continue
            try:
                taxes[line.tax] = mappings._resolve(
                    command.connector_id, "tax", line.tax, day
                )
            except CommandWaits as error:
                error.pointer = f"/lines/{index}/tax"
                missing.append(error)
                taxes[line.tax] = None
        if missing:
            raise PostingUnmapped(missing[0].message, missing, lambda command: None)
        return taxes

    # === COMPARING === #

    def _compare_currency(self, content, move):
        if content.currency != move.currency_id.name:
            yield self.env._(
                "Currency: the document is in %(ours)s, the calculation in %(theirs)s.",
                ours=move.currency_id.name,
                theirs=content.currency,
            )

    def _compare_lines(self, content, move, taxes):
        """Compare what is said of single lines, within a rounding unit each."""
        lines = move.invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        ).sorted(lambda line: (line.sequence, line.id))
        by_line = defaultdict(list)
        for said in content.lines:
            if said.line is not None:
                by_line[said.line].append(said)
        for number, said in sorted(by_line.items()):
            if number > len(lines):
                yield self.env._("Line %s: the document has no such line.", number)
                continue
            line = lines[number - 1]
            name = self.env._(
                "Line %(number)s (%(name)s)", number=number, name=line.name
            )
            base = max(abs(part.base) for part in said)
            yield from self._difference(
                move, self.env._("%s, base", name), line.price_subtotal, base
            )
            yield from self._difference(
                move,
                self.env._("%s, tax", name),
                line.price_total - line.price_subtotal,
                sum((part.amount for part in said), Decimal(0)),
                units=len(said),
            )
            yield from self._compare_codes(line, name, said, taxes)

    def _compare_codes(self, line, name, said, taxes):
        own = line.tax_ids.flatten_taxes_hierarchy()
        for part in said:
            tax = taxes.get(part.tax)
            if tax and not tax.flatten_taxes_hierarchy() <= own:
                yield self.env._(
                    "%(line)s: the calculation has the tax %(theirs)s, the document "
                    "%(ours)s.",
                    line=name,
                    theirs=tax.name,
                    ours=", ".join(own.mapped("name")) or self.env._("none"),
                )
            rates = own.filtered(lambda t: t.amount_type == "percent").mapped("amount")
            if part.rate is not None and float(part.rate) not in (*rates, sum(rates)):
                yield self.env._(
                    "%(line)s: the calculation has a rate of %(theirs)s %%, the "
                    "document %(ours)s.",
                    line=name,
                    theirs=part.rate.normalize(),
                    ours=", ".join(f"{rate:g} %" for rate in rates)
                    or self.env._("none"),
                )

    def _compare_kinds(self, content, move, taxes):
        """Compare what is said of a tax on the whole document."""
        by_tax = defaultdict(list)
        for said in content.lines:
            if said.line is None and said.tax is not None:
                by_tax[taxes[said.tax]].append(said)
        count = len(move.invoice_line_ids)
        for tax, said in by_tax.items():
            own = move.line_ids.filtered(
                lambda line, tax=tax: line.tax_line_id in tax.flatten_taxes_hierarchy()
            )
            yield from self._difference(
                move,
                tax.name,
                abs(sum(own.mapped("amount_currency"))),
                sum((part.amount for part in said), Decimal(0)),
                units=count,
            )

    def _compare_total(self, content, move):
        yield from self._difference(
            move,
            self.env._("All taxes"),
            move.amount_tax,
            content.total_tax,
            units=len(move.invoice_line_ids),
        )

    def _difference(self, move, what, ours, theirs, units=1):
        """Say that two amounts differ by more than ``units`` roundings.

        Credit notes are told with either sign.
        """
        currency = move.currency_id
        ours, theirs = abs(ours), abs(float(theirs))
        allowed = currency.rounding * max(units, 1)
        if abs(ours - theirs) <= allowed + currency.rounding / 2:
            return
        yield self.env._(
            "%(what)s: the document has %(ours)s, the calculation %(theirs)s; they "
            "differ by %(difference)s.",
            what=what,
            ours=currency.format(ours),
            theirs=currency.format(theirs),
            difference=currency.format(abs(ours - theirs)),
        )
