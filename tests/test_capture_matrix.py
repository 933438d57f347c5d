"""Event type × path of initiation: whatever raises it, an event is raised, once."""

import json
from datetime import datetime, timezone

from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import Form, tagged

from ..contracts import EVENT_TYPES
from .common import FinanceHubCommon

DOCUMENTS = {
    "invoice": ("out_invoice", "default_journal_sale"),
    "bill": ("in_invoice", "default_journal_purchase"),
    "credit_note": ("out_refund", "default_journal_sale"),
}
DOCUMENT_VERBS = (
    "posted",
    "approved",
    "partially_paid",
    "paid",
    "overdue",
    "payment_reversed",
    "reversed",
    "cancelled",
    "reset_to_draft",
)
# Published types that nothing in the addon raises yet, and why. A type that is
# neither here nor in the matrix fails the test.
LATER = {
    "reconciliation.drift_detected": "comes with the control totals",
    "counterparty.approved": "comes with approvals: Odoo has none for partners",
    "credit.limit_exceeded": "comes with exposure.update",
    "credit.hold_placed": "comes with holds",
    "credit.hold_released": "comes with holds",
    **{
        f"posting_request.{verb}": "comes with the command posting.request"
        for verb in ("accepted", "held", "posted", "rejected")
    },
    "approval.requested": "comes with approvals",
    "approval.decided": "comes with approvals",
    "exception.escalated": "comes with the time limits of the desk",
    "connector.ping": "sent by the test button, straight to its endpoint",
}
# Raised where an app is installed: tests/test_capture_apps.py.
APPS = {
    "purchase_order.approved",
    "purchase_order.received",
    "expense.approved",
    "expense.received",
}
# Raised by what a payment provider reports: tests/test_payments_back.py and
# tests/test_payouts.py.
REPORTED = {"payment.disputed", "payout.reconciled"}


class MatrixCommon(FinanceHubCommon):
    """What raises events, by the paths on which a person or a system comes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_currency = cls.setup_other_currency("EUR")

    # === PATHS === #

    def rpc(self, records, method, *args, **kwargs):
        """Call a public method as JSON-RPC does, as an ordinary accountant."""
        return call_kw(
            records.with_env(self.rpc_env()),
            method,
            [records.ids, *args] if records else [*args],
            json.loads(json.dumps(kwargs)),
        )

    def rpc_create(self, model, values):
        record_id = call_kw(self.rpc_env()[model], "create", [[values]], {})
        return self.env[model].browse(record_id)

    def rpc_env(self):
        return self.env(su=False, context={"allowed_company_ids": self.company.ids})

    def load(self, model, fields, rows):
        result = self.env[model].load(fields, rows)
        self.assertFalse(result["messages"])
        return self.env[model].browse(result["ids"])

    def cron(self, model, method):
        self.end_transaction()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            getattr(self.env(cr=cr)[model].with_context(cron_id=1), method)()
            cr.commit()  # pylint: disable=invalid-commit
        self.env.invalidate_all()

    def count(self, name, record):
        """Return how many events of a type there are about a record."""
        self.end_transaction()
        return self.env["finance.event"].search_count(
            [
                ("type", "=like", f"finance.{name}.v%"),
                ("res_model", "=", record._name),
                ("res_id", "in", record.ids),
                ("problem", "=", False),
                ("company_id", "=", self.company.id),
            ]
        )

    # === DOCUMENTS === #

    def draft(self, kind, **values):
        move_type, journal = DOCUMENTS[kind]
        return self.make_invoice(
            100.0,
            post=False,
            move_type=move_type,
            journal_id=self.company_data[journal].id,
            **values,
        )

    def posted(self, kind, **values):
        move = self.draft(kind, **values)
        move.action_post()
        self.end_transaction()
        return move

    def paid(self, kind, amount=100.0):
        move = self.posted(kind)
        self._register(move, amount)
        self.end_transaction()
        return move

    def _register(self, move, amount):
        wizard = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        wizard = wizard.create(
            {
                "amount": amount,
                "payment_date": "2026-01-20",
                "journal_id": self.journal.id,
                "payment_difference_handling": "open",
            }
        )
        return wizard._create_payments()

    def document_posted_form(self, kind):
        move = self.draft(kind)
        with Form(move) as form:
            form.ref = "by screen"
        move.action_post()
        return move

    def document_posted_rpc(self, kind):
        move = self.draft(kind)
        self.rpc(move, "action_post")
        return move

    def document_posted_cron(self, kind):
        move = self.draft(kind, auto_post="at_date")
        self.cron("account.move", "_autopost_draft_entries")
        return move

    def document_posted_import(self, kind):
        move = self.load(
            "account.move",
            [
                "move_type",
                "partner_id/.id",
                "invoice_date",
                "invoice_line_ids/name",
                "invoice_line_ids/price_unit",
            ],
            [[DOCUMENTS[kind][0], str(self.partner_a.id), "2026-01-15", "x", "70"]],
        )
        move.action_post()
        return move

    def document_approved_rpc(self, kind):
        move = self.posted(kind)
        move.checked = False
        self.end_transaction()
        self.rpc(move, "button_set_checked")
        return move

    def document_partially_paid_rpc(self, kind):
        move = self.posted(kind)
        self._register(move, 40.0)
        return move

    def document_partially_paid_bank(self, kind):
        move = self.posted(kind)
        self.match(self.bank_line(40.0 if kind == "invoice" else -40.0), move)
        return move

    def document_paid_form(self, kind):
        move = self.posted(kind)
        action = move.action_register_payment()
        with Form(
            self.env["account.payment.register"].with_context(**action["context"])
        ) as form:
            form.journal_id = self.journal
        form.record.action_create_payments()
        return move

    def document_paid_rpc(self, kind):
        move = self.posted(kind)
        self._register(move, 100.0)
        return move

    def document_paid_bank(self, kind):
        move = self.posted(kind)
        self.match(self.bank_line(100.0 if kind == "invoice" else -100.0), move)
        return move

    def document_overdue_cron(self, kind):
        move = self.posted(kind, invoice_date_due="2026-01-20")
        self.set_clock(datetime(2026, 1, 21, 3, 0, tzinfo=timezone.utc))
        self.cron("account.move", "_cron_finance_overdue")
        # A second run says nothing more.
        self.cron("account.move", "_cron_finance_overdue")
        return move

    def document_payment_reversed_rpc(self, kind):
        move = self.paid(kind)
        lines = move.line_ids
        partial = lines.matched_debit_ids | lines.matched_credit_ids
        self.rpc(move, "js_remove_outstanding_partial", partial.id)
        return move

    def document_reversed_rpc(self, kind):
        move = self.posted(kind)
        if kind == "credit_note":
            # Odoo calls a credit note reversed when an entry settles it.
            line = move.line_ids.filtered(
                lambda line: line.account_type == "asset_receivable"
            )
            self.counter_entry(line)
            return move
        move._reverse_moves([{"date": move.date, "invoice_date": move.date}], True)
        return move

    def document_cancelled_rpc(self, kind):
        move = self.posted(kind)
        self.rpc(move, "button_cancel")
        return move

    def document_reset_to_draft_rpc(self, kind):
        move = self.posted(kind)
        self.rpc(move, "button_draft")
        return move

    # === PAYMENTS === #

    def payment_values(self, **values):
        return {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": self.partner_a.id,
            "amount": 60.0,
            "date": "2026-01-20",
            "journal_id": self.journal.id,
            **values,
        }

    def payment(self, post=False, **values):
        payment = self.env["account.payment"].create(self.payment_values(**values))
        self.end_transaction()
        if post:
            payment.action_post()
            self.end_transaction()
        return payment

    def payment_created_form(self):
        form = Form(
            self.env["account.payment"].with_context(default_payment_type="inbound")
        )
        form.partner_id, form.amount = self.partner_a, 60.0
        form.journal_id = self.journal
        return form.save()

    def payment_created_rpc(self):
        return self.rpc_create("account.payment", self.payment_values())

    def payment_created_import(self):
        return self.load(
            "account.payment",
            ["payment_type", "partner_id/.id", "amount", "date", "journal_id/.id"],
            [["inbound", str(self.partner_a.id), "60", "2026-01-20", self.journal.id]],
        )

    def payment_in_process_rpc(self):
        payment = self.payment()
        self.rpc(payment, "action_post")
        return payment

    def payment_paid_rpc(self):
        payment = self.payment(post=True)
        self.rpc(payment, "action_validate")
        return payment

    def payment_paid_bank(self):
        payment = self.payment(post=True)
        line = payment._seek_for_lines()[0]
        self.match(self.bank_line(60.0), line.move_id, line.account_id)
        return payment

    def payment_rejected_rpc(self):
        payment = self.payment(post=True)
        self.rpc(payment, "action_reject")
        return payment

    def payment_cancelled_rpc(self):
        payment = self.payment(post=True)
        self.rpc(payment, "action_cancel")
        return payment

    def payment_refunded_rpc(self):
        payment = self.payment(post=True)
        back = self.payment(post=True, payment_type="outbound", date="2026-01-25")
        lines = (payment | back).move_id.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        self.rpc(lines, "reconcile")
        return payment

    # === LEDGER === #

    def entry(self, post=False):
        account = self.company_data["default_account_revenue"]
        other = self.company_data["default_account_expense"]
        move = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": "2026-01-15",
                "journal_id": self.company_data["default_journal_misc"].id,
                "line_ids": [
                    Command.create({"account_id": account.id, "debit": 50.0}),
                    Command.create({"account_id": other.id, "credit": 50.0}),
                ],
            }
        )
        if post:
            move.action_post()
        self.end_transaction()
        return move

    def counter_entry(self, line):
        """Post an entry against a receivable or payable, and match the two."""
        other = self.company_data["default_account_expense"]
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": "2026-01-15",
                "journal_id": self.company_data["default_journal_misc"].id,
                "line_ids": [
                    Command.create(
                        {
                            "account_id": line.account_id.id,
                            "partner_id": line.partner_id.id,
                            "balance": -line.balance,
                        }
                    ),
                    Command.create({"account_id": other.id, "balance": line.balance}),
                ],
            }
        )
        entry.action_post()
        (entry.line_ids[0] | line).reconcile()

    def journal_entry_posted_form(self):
        move = self.entry()
        with Form(move) as form:
            form.ref = "by screen"
        move.action_post()
        return move

    def journal_entry_posted_rpc(self):
        move = self.entry()
        self.rpc(move, "action_post")
        return move

    def journal_entry_posted_cron(self):
        move = self.entry()
        move.auto_post = "at_date"
        self.cron("account.move", "_autopost_draft_entries")
        return move

    def journal_entry_posted_bank(self):
        return self.bank_line(75.0).move_id

    def journal_entry_reversed_rpc(self):
        move = self.entry(post=True)
        move._reverse_moves([{"date": move.date}], cancel=True)
        return move

    def journal_entry_reset_to_draft_rpc(self):
        move = self.entry(post=True)
        self.rpc(move, "button_draft")
        return move

    def journal_entry_cancelled_rpc(self):
        move = self.entry(post=True)
        self.rpc(move, "button_cancel")
        return move

    # === BANK === #

    def bank_line(self, amount, **values):
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.journal.id,
                "date": "2026-01-21",
                "payment_ref": "from the bank",
                "amount": amount,
                **values,
            }
        )
        self.end_transaction()
        return line

    def match(self, bank_line, move, account=None):
        """Reconcile a bank line with a document, as the bank reconciliation does."""
        counterpart = move.line_ids.filtered(
            lambda line: (
                line.account_id == account
                if account
                else line.account_type in ("asset_receivable", "liability_payable")
            )
        )
        _liquidity, suspense, _other = bank_line._seek_for_lines()
        suspense.write(
            {
                "account_id": counterpart.account_id.id,
                "partner_id": counterpart.partner_id.id,
            }
        )
        (suspense | counterpart).reconcile()

    def bank_statement_imported_rpc(self):
        return self.rpc_create(
            "account.bank.statement",
            {
                "name": "Statement 1",
                "balance_start": 0.0,
                "balance_end_real": 80.0,
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "journal_id": self.journal.id,
                            "date": "2026-01-21",
                            "payment_ref": "from the bank",
                            "amount": 80.0,
                        },
                    )
                ],
            },
        )

    def bank_statement_imported_import(self):
        return self.load(
            "account.bank.statement",
            [
                "name",
                "balance_end_real",
                "line_ids/journal_id/.id",
                "line_ids/date",
                "line_ids/payment_ref",
                "line_ids/amount",
            ],
            [["S2", "80", str(self.journal.id), "2026-01-21", "x", "80"]],
        )

    def bank_statement_imported_form(self):
        line = self.bank_line(20.0)
        form = Form(
            self.env["account.bank.statement"].with_context(
                st_line_id=line.id, active_ids=line.ids
            )
        )
        form.balance_end_real = 20.0
        return form.save()

    # === RECONCILIATIONS === #

    def reconciliation_completed_rpc(self):
        return self.partials(self.paid("invoice"))

    def reconciliation_completed_bank(self):
        move = self.posted("invoice")
        self.match(self.bank_line(100.0), move)
        return self.partials(move)

    def reconciliation_undone_rpc(self):
        move = self.paid("invoice")
        partials = self.partials(move)
        self.rpc(move.line_ids, "remove_move_reconcile")
        return partials

    def partials(self, move):
        return move.line_ids.matched_debit_ids | move.line_ids.matched_credit_ids

    # === COUNTERPARTIES === #

    def counterparty_created_form(self):
        form = Form(self.env["res.partner"])
        form.name = "By screen"
        return form.save()

    def counterparty_created_rpc(self):
        return self.rpc_create("res.partner", {"name": "By RPC"})

    def counterparty_created_import(self):
        return self.load(
            "res.partner", ["name", "email"], [["Imported", "a@b.example"]]
        )

    def counterparty_changed_form(self):
        self.end_transaction()
        with Form(self.partner_a) as form:
            form.street = "New Street 1"
        return self.partner_a

    def counterparty_changed_rpc(self):
        self.end_transaction()
        self.rpc(self.partner_a, "write", {"vat": "BE0403019261"})
        return self.partner_a

    def counterparty_changed_import(self):
        self.end_transaction()
        return self.load(
            "res.partner", [".id", "ref"], [[str(self.partner_a.id), "C-17"]]
        )

    def counterparty_blocked_rpc(self):
        self.end_transaction()
        self.rpc(self.partner_b, "action_archive")
        return self.partner_b

    # === BANK ACCOUNTS, CREDIT, PERIODS, RATES === #

    def bank_account(self, trusted):
        account = self.env["res.partner.bank"].create(
            {
                "acc_number": "DE89370400440532013000",
                "partner_id": self.partner_a.id,
                "allow_out_payment": trusted,
            }
        )
        self.end_transaction()
        return account

    def bank_account_trusted_form(self):
        account = self.bank_account(False)
        with Form(account) as form:
            form.allow_out_payment = True
        return account

    def bank_account_trusted_rpc(self):
        account = self.bank_account(False)
        self.trust_group()
        self.rpc(account, "write", {"allow_out_payment": True})
        return account

    def bank_account_untrusted_rpc(self):
        account = self.bank_account(True)
        self.trust_group()
        self.rpc(account, "write", {"allow_out_payment": False})
        return account

    def trust_group(self):
        self.env.user.group_ids |= self.env.ref("account.group_validate_bank_account")
        self.end_transaction()

    def credit_limit_changed_rpc(self):
        self.end_transaction()
        self.rpc(self.partner_a, "write", {"credit_limit": 5000.0})
        return self.partner_a

    def credit_limit_changed_form(self):
        """The default of the company, in the settings."""
        settings = self.env["res.config.settings"].create({})
        self.end_transaction()
        settings.account_default_credit_limit = 700.0
        settings.execute()
        return self.env["ir.default"].search(
            [
                ("field_id.name", "=", "credit_limit"),
                ("company_id", "=", self.company.id),
            ]
        )

    def period_locked_rpc(self):
        self.end_transaction()
        self.rpc(self.company, "write", {"fiscalyear_lock_date": "2025-12-31"})
        return self.company

    def period_unlocked_rpc(self):
        self.company.fiscalyear_lock_date = "2025-12-31"
        self.end_transaction()
        self.rpc(self.company, "write", {"fiscalyear_lock_date": "2025-11-30"})
        return self.company

    def period_unlocked_form(self):
        """For somebody, by an exception."""
        self.company.fiscalyear_lock_date = "2025-12-31"
        self.end_transaction()
        return self.env["account.lock_exception"].create(
            {"company_id": self.company.id, "fiscalyear_lock_date": "2025-10-31"}
        )

    def period_locked_form(self):
        exception = self.period_unlocked_form()
        self.end_transaction()
        exception.action_revoke()
        return exception

    def currency_rate_updated_rpc(self):
        return self.rpc_create(
            "res.currency.rate",
            {
                "currency_id": self.other_currency.id,
                "name": "2026-01-31",
                "rate": 1.25,
                "company_id": self.company.id,
            },
        )

    def currency_rate_updated_import(self):
        return self.load(
            "res.currency.rate",
            ["currency_id/.id", "name", "rate"],
            [[str(self.other_currency.id), "2026-01-30", "1.5"]],
        )

    # === THE HUB ITSELF === #

    def exception(self):
        return self.env["finance.exception"]._open(
            "B-UNMATCHED",
            company=self.company,
            record=self.partner_a,
            fingerprint="matrix",
            summary="No document fits",
            cause="None was found",
        )

    def exception_opened_cron(self):
        exception = self.exception()
        self.end_transaction()
        self.exception()
        return exception

    def exception_resolved_rpc(self):
        exception = self.exception()
        self.end_transaction()
        exception.with_user(self.users["operator"])._cancel("Not needed")
        return exception

    def endpoint(self):
        endpoint = self.make_endpoint("http://127.0.0.1:8999/x", patterns="*")
        self.end_transaction()
        return endpoint

    def connector_suspended_rpc(self):
        endpoint = self.endpoint()
        endpoint.with_user(self.users["administrator"]).action_suspend()
        return endpoint

    def connector_suspended_form(self):
        connector = self.endpoint().connector_id
        connector.with_user(self.users["administrator"]).action_suspend()
        return connector

    def connector_recovered_rpc(self):
        endpoint = self.endpoint()
        endpoint._suspend("by a test")
        self.end_transaction()
        endpoint.with_user(self.users["administrator"]).action_resume()
        return endpoint

    def connector_degraded_cron(self):
        endpoint = self.endpoint()
        endpoint._announce("degraded", "Half of the requests failed")
        return endpoint

    def connector_delivery_exhausted_cron(self):
        endpoint = self.endpoint()
        event = self.events_of(self.make_invoice())
        deliveries = event.delivery_ids.filtered(lambda d: d.endpoint_id == endpoint)
        endpoint._announce("delivery_exhausted", "It never answered", deliveries)
        return endpoint


def _rows():
    """Yield (event, path, function) of all that ``MatrixCommon`` can raise."""
    names = sorted({entry.base_name for entry in EVENT_TYPES.values()})
    for name in names:
        event = name.removeprefix("finance.")
        object_name, verb = event.split(".")
        prefix = "document" if object_name in DOCUMENTS else object_name
        for path in ("form", "rpc", "cron", "import", "bank"):
            function = getattr(MatrixCommon, f"{prefix}_{verb}_{path}", None)
            if function:
                yield event, path, function


ROWS = tuple(_rows())


@tagged("post_install", "-at_install")
class TestCaptureMatrix(MatrixCommon):
    """cap 16-23: one event for each transition, on each path that leads to it."""

    def test_every_type_has_a_row(self):
        """A published type is raised somewhere, or there is a reason why not."""
        published = {
            entry.base_name.removeprefix("finance.") for entry in EVENT_TYPES.values()
        }
        covered = {event for event, _path, _function in ROWS}
        self.assertEqual(published, covered | set(LATER) | APPS | REPORTED)
        self.assertFalse(
            covered & (set(LATER) | APPS | REPORTED), "raised, so not for later"
        )

    def test_every_function_is_a_row(self):
        used = {function.__name__ for _event, _path, function in ROWS}
        ending = ("_form", "_rpc", "_cron", "_import", "_bank")
        written = {name for name in vars(MatrixCommon) if name.endswith(ending)}
        self.assertEqual(written, used)


def _make_test(event, function):
    def test(self):
        object_name = event.split(".")[0]
        arguments = (object_name,) if object_name in DOCUMENTS else ()
        record = function(self, *arguments)
        number = self.count(event, record)
        told = [(e.type, e.company_id.id, e.problem) for e in self.events_of(record)]
        self.assertEqual(number, 1, told)

    return test


for _event, _path, _function in ROWS:
    setattr(
        TestCaptureMatrix,
        f"test_{_event.replace('.', '_')}_{_path}",
        _make_test(_event, _function),
    )
