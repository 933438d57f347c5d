"""What a posting request becomes, and everything that is wrong with it, at once."""

import hashlib
import json
from collections import defaultdict
from decimal import Decimal

from .. import constants
from .counterparties import find_currency
from .errors import CommandError, CommandWaits

RECEIVABLE_PAYABLE = ("asset_receivable", "liability_payable")
# Codes of a line, the domain they are mapped in, and the column they end up in.
LINE_CODES = {
    "account": "account",
    "counterparty": "counterparty",
    "cost_centre": "cost_centre",
    "product": "product",
    "tax": "tax",
}


def content_digest(content):
    """Return a digest of what a request would post; how it was sent is no part."""
    wire = content.wire()
    for name in ("metadata", "prepared_at", "preparer"):
        wire.pop(name, None)
    return _digest(wire)


def _digest(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Plan:
    """A posting request, checked and mapped.

    :ivar faults: ``[{"code", "pointer", "message"}]``; nothing is posted with any
    :ivar unmapped: the errors of codes that nobody mapped yet, one for each code
    :ivar mapping: {domain: {code: record}}
    :ivar total: of the debits, in the currency of the company
    """

    def __init__(self, env, command, content):
        self.env = env
        self.command = command
        self.content = content
        self.connector = command.connector_id
        self.company = command.company_id
        self.faults = []
        self.unmapped = []
        self.mapping = defaultdict(dict)
        self.currency = None
        self.journal = None
        self.total = 0.0
        self._missing = set()

    def check(self):
        """Look at everything, and keep every fault; see the attributes."""
        content = self.content
        self._check_company()
        self._check_currency()
        self._check_journal()
        for index, line in enumerate(content.lines):
            for name, domain in LINE_CODES.items():
                code = getattr(line, name)
                if code is not None:
                    self._resolve(domain, code, f"/lines/{index}/{name}")
        self._check_balance()
        self._check_accounts()
        self._check_period()
        self._check_intercompany()
        if self.currency and not self.unmapped and not self.faults:
            self._check_taxes()
        if self.currency:
            self.total = self._to_company(self._debit_total())

    # === FAULTS === #

    def _fault(self, code, pointer, message):
        if len(self.faults) < constants.POSTING_MAX_FAULTS:
            self.faults.append({"code": code, "pointer": pointer, "message": message})

    def _resolve(self, domain, code, pointer):
        known = self.mapping[domain]
        if code in known or (domain, code) in self._missing:
            return
        try:
            known[code] = self.env["finance.mapping"]._resolve(
                self.connector, domain, code, self.content.date
            )
        except CommandWaits as error:
            error.pointer = pointer
            self.unmapped.append(error)
            self._missing.add((domain, code))

    def of(self, domain, code):
        """Return the record of a code, an empty one for none."""
        return self.mapping[domain].get(code)

    # === WHAT IS LOOKED AT === #

    def _check_company(self):
        code = self.content.company
        if code is None:
            return
        self._resolve("company", code, "/company")
        company = self.of("company", code)
        if company and company != self.company:
            self._fault(
                "D-OWNERSHIP",
                "/company",
                self.env._(
                    "“%(code)s” is %(other)s, but this connector posts for "
                    "%(company)s only. Send it to the connector of that company.",
                    code=code,
                    other=company.name,
                    company=self.company.name,
                ),
            )

    def _check_currency(self):
        try:
            self.currency = find_currency(self.env, self.content.currency)
        except CommandError as error:
            self._fault(error.code, "/currency", error.message)
            return
        if self.currency != self.company.currency_id and not self._has_rate():
            self._fault(
                "D-UNMAPPED",
                "/currency",
                self.env._(
                    "There is no rate of %(currency)s for %(date)s or before. Enter "
                    "one, then retry.",
                    currency=self.currency.name,
                    date=self.content.date.isoformat(),
                ),
            )

    def _has_rate(self):
        return bool(
            self.env["res.currency.rate"].search_count(
                [
                    ("currency_id", "=", self.currency.id),
                    ("company_id", "in", (False, self.company.root_id.id)),
                    ("name", "<=", self.content.date),
                ],
                limit=1,
            )
        )

    def _check_journal(self):
        code = self.content.journal
        if code is not None:
            self._resolve("journal", code, "/journal")
            self.journal = self.of("journal", code)
        else:
            self.journal = self.connector.posting_journal_id
            if not self.journal:
                self._fault(
                    "D-UNMAPPED",
                    "/journal",
                    self.env._(
                        "The request names no journal, and “%s” has none for entries. "
                        "Choose one on the connector, then retry.",
                        self.connector.name,
                    ),
                )
        if self.journal and not self.journal.active:
            self._fault(
                "D-UNMAPPED",
                "/journal",
                self.env._("The journal “%s” is archived.", self.journal.name),
            )

    def _debit_total(self):
        return sum(
            (line.debit or Decimal(0) for line in self.content.lines), Decimal(0)
        )

    def _check_balance(self):
        lines = self.content.lines
        debit = self._debit_total()
        credit = sum((line.credit or Decimal(0) for line in lines), Decimal(0))
        if debit != credit:
            self._fault(
                "D-SCHEMA",
                "/lines",
                self.env._(
                    "The debits are %(debit)s and the credits %(credit)s %(currency)s: "
                    "they differ by %(difference)s. An entry has to balance.",
                    debit=debit,
                    credit=credit,
                    currency=self.content.currency,
                    difference=abs(debit - credit),
                ),
            )
        elif not debit:
            self._fault(
                "D-SCHEMA",
                "/lines",
                self.env._("All amounts are zero; nothing to post."),
            )
        if not self.currency:
            return
        places = self.currency.decimal_places
        for index, line in enumerate(lines):
            side = "debit" if line.debit is not None else "credit"
            amount = getattr(line, side)
            if amount != round(amount, places):
                self._fault(
                    "D-SCHEMA",
                    f"/lines/{index}/{side}",
                    self.env._(
                        "%(amount)s has more digits than %(currency)s allows.",
                        amount=amount,
                        currency=self.currency.name,
                    ),
                )

    def _check_accounts(self):
        archived = {
            code
            for code, account in self.mapping["account"].items()
            if not account.active
        }
        for index, line in enumerate(self.content.lines if archived else ()):
            if line.account in archived:
                self._fault(
                    "D-UNMAPPED",
                    f"/lines/{index}/account",
                    self.env._(
                        "“%s” stands for an account that is archived. Map it to "
                        "another one, then retry.",
                        line.account,
                    ),
                )

    def _check_period(self):
        """Refuse dates in a locked period: they are never moved in silence."""
        content = self.content
        if content.reversal_date and content.reversal_date <= content.date:
            self._fault(
                "D-SCHEMA",
                "/reversal_date",
                self.env._("The reversal has to be later than the entry."),
            )
        if not self.journal:
            return
        has_tax = any(line.tax for line in content.lines)
        for name in ("date", "reversal_date"):
            date = getattr(content, name)
            locks = date and self.company._get_violated_lock_dates(
                date, has_tax, self.journal
            )
            if locks:
                self._fault(
                    "B-PERIOD-LOCKED",
                    f"/{name}",
                    self.env._(
                        "It is dated %(date)s, but the books are locked until "
                        "%(lock)s.",
                        date=date.isoformat(),
                        lock=locks[-1][0].isoformat(),
                    ),
                )

    def _check_intercompany(self):
        """An entry between companies names the other one."""
        if self.content.kind != "intercompany" or self._missing:
            return
        own = self.company.partner_id
        others = [p for p in self.mapping["counterparty"].values() if p != own]
        if not others:
            self._fault(
                "D-SCHEMA",
                "/lines",
                self.env._(
                    "An intercompany entry names the other company as counterparty "
                    "on at least one line."
                ),
            )

    # === TAXES === #

    def is_tax_line(self, line):
        """Return the repartition line of a line that is a tax, empty for a base."""
        tax = self.of("tax", line.tax)
        account = self.of("account", line.account)
        repartition = (
            tax.refund_repartition_line_ids
            if self.is_refund(line, tax)
            else tax.invoice_repartition_line_ids
        )
        return repartition.filtered(
            lambda part: part.repartition_type == "tax" and part.account_id == account
        )[:1]

    @staticmethod
    def is_refund(line, tax):
        """Return whether a line of an entry counts as that of a refund, as in Odoo."""
        debited = bool(line.debit)
        return debited if tax.type_tax_use == "sale" else not debited

    def _check_taxes(self):
        """Compare the taxes of the request with those that its bases would have."""
        bases, counts, taxes = (
            defaultdict(Decimal),
            defaultdict(int),
            defaultdict(Decimal),
        )
        for line in self.content.lines:
            if line.tax is None:
                continue
            amount = (line.debit or Decimal(0)) - (line.credit or Decimal(0))
            if self.is_tax_line(line):
                taxes[line.tax] += amount
            else:
                bases[line.tax] += amount
                counts[line.tax] += 1
        for code in {*bases, *taxes}:
            expected = self._expected_tax(code, bases[code])
            tolerance = self.currency.rounding * max(counts[code], 1)
            given = float(taxes[code])
            if abs(expected - given) > tolerance + self.currency.rounding / 2:
                self._fault(
                    "D-TAX-MISMATCH",
                    "/lines",
                    self.env._(
                        "The lines with the tax “%(code)s” have a base of %(base)s, of "
                        "which the tax is %(expected)s; the tax lines say %(given)s.",
                        code=code,
                        base=bases[code],
                        expected=self.currency.format(expected),
                        given=self.currency.format(given),
                    ),
                )

    def _expected_tax(self, code, base):
        """Return the tax of a base that ends on accounts of its own."""
        tax = self.of("tax", code)
        refund = (base > 0) if tax.type_tax_use == "sale" else (base < 0)
        computed = tax.with_context(force_price_include=False).compute_all(
            float(base), self.currency, is_refund=refund
        )
        return sum(part["amount"] for part in computed["taxes"] if part["account_id"])

    # === AMOUNTS === #

    def _to_company(self, amount):
        return self.currency._convert(
            float(amount), self.company.currency_id, self.company, self.content.date
        )

    def version(self):
        """Return a digest of all that an approver consents to, the mapping included."""
        return _digest(
            [
                content_digest(self.content),
                self.journal.id,
                {
                    domain: {code: record.id for code, record in records.items()}
                    for domain, records in sorted(self.mapping.items())
                },
            ]
        )[:16]

    def mapping_names(self):
        """Return {domain: {code: name in Odoo}}, for the screen."""
        return {
            domain: {code: self._name_of(record) for code, record in records.items()}
            for domain, records in self.mapping.items()
            if records
        }

    def _name_of(self, record):
        if record._name == "account.account":
            return f"{record.with_company(self.company).code} {record.name}"
        return record.display_name

    def line_values(self):
        """Return the values of the lines of the entry.

        Each line is converted at the rate of the date; what rounding leaves goes to
        the largest line.
        """
        own = self.company.currency_id
        lines, left = [], 0.0
        for line in self.content.lines:
            values = self._values_of(line)
            left += values["balance"]
            lines.append(values)
        left = own.round(left)
        if left:
            largest = max(lines, key=lambda values: abs(values["balance"]))
            largest["balance"] = own.round(largest["balance"] - left)
        return lines

    def _values_of(self, line):
        amount = float((line.debit or Decimal(0)) - (line.credit or Decimal(0)))
        account = self.of("account", line.account)
        values = {
            "account_id": account.id,
            "name": line.label or self.content.reference or self.content.business_key,
            "currency_id": self.currency.id,
            "amount_currency": amount,
            "balance": (
                amount
                if self.currency == self.company.currency_id
                else self._to_company(amount)
            ),
            "partner_id": (
                self.of("counterparty", line.counterparty).id
                if line.counterparty
                else False
            ),
            # What the sender says is complete: no cost centre by Odoo's own models,
            # and below no tax of the account or the product.
            "analytic_distribution": (
                {str(self.of("cost_centre", line.cost_centre).id): 100.0}
                if line.cost_centre
                else False
            ),
        }
        if line.product:
            values["product_id"] = self.of("product", line.product).id
        if line.quantity is not None:
            values["quantity"] = float(line.quantity)
        if line.due_date:
            values["date_maturity"] = line.due_date
        elif account.account_type in RECEIVABLE_PAYABLE:
            values["date_maturity"] = self.content.date
        if line.tax:
            values.update(self._tax_values(line))
        else:
            values["tax_ids"] = [(5, 0, 0)]
        return values

    def _tax_values(self, line):
        tax = self.of("tax", line.tax)
        part = self.is_tax_line(line)
        if part:
            return {
                "tax_repartition_line_id": part.id,
                "tax_ids": [(5, 0, 0)],
                "tax_tag_ids": [(6, 0, part.tag_ids.ids)],
            }
        tags = tax.get_tax_tags(self.is_refund(line, tax), "base")
        return {"tax_ids": [(6, 0, tax.ids)], "tax_tag_ids": [(6, 0, tags.ids)]}
