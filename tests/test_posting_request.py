from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from ..models import constants
from .common import FinanceHubCommon


class PostingCommon(FinanceHubCommon):
    """A connector of a payroll system whose codes are mapped."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.general = cls.company_data["default_journal_misc"]
        cls.connector = cls.make_connector("payroll", posting_journal_id=cls.general.id)
        cls.expense = cls.company_data["default_account_expense"]
        cls.payable = cls.company_data["default_account_payable"]
        cls.revenue = cls.company_data["default_account_revenue"]
        cls.make_mapping("account", "6000", cls.expense)
        cls.make_mapping("account", "1740", cls.payable)
        cls.requests = cls.env["finance.posting.request"]

    def data(self, key="payroll-2026-01", amount="52000.00", **values):
        return {
            "business_key": key,
            "date": "2026-01-31",
            "currency": "USD",
            "kind": "payroll",
            "reference": "Payroll January",
            "preparer": "Payroll service",
            "prepared_at": "2026-02-01T08:00:00Z",
            "lines": [
                {"account": "6000", "debit": amount},
                {"account": "1740", "credit": amount},
            ],
            **values,
        }

    def send(self, data, message_id=None, connector=None):
        """Receive and process one message; return its commands."""
        self.messages = getattr(self, "messages", 0) + 1
        message_id = message_id or f"msg_{self.messages}"
        body = self.cloud_event(data, message_id, type="posting.request.v1")
        _outcome, message = self.receive(connector or self.connector, body, message_id)
        self.process()
        return message.command_ids.sorted("id")

    def request(self, key="payroll-2026-01"):
        return self.requests._of(self.connector, key)

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    def decide(self, approval, decision="approve", user=None, reason="Agrees"):
        user = user or self.users["approver"]
        action = getattr(approval.with_user(user), f"action_{decision}")()
        wizard = (
            self.env[action["res_model"]]
            .with_user(user)
            .with_context(**action["context"])
            .create({"reason": reason})
        )
        wizard.action_confirm()


@tagged("post_install", "-at_install")
class TestPostingRequest(PostingCommon):
    """cap 13, 34, 37, 38, 46: other systems' entries, posted once and rightly."""

    # === THE GOOD CASE === #

    def test_posted(self):
        command = self.send(self.data())
        self.assertEqual(command.state, "applied", command.error)
        request = self.request()
        self.assertEqual(request.state, "posted")
        self.assertEqual(
            (command.res_model, command.res_id), (request._name, request.id)
        )
        move = request.move_id
        self.assertEqual((move.state, str(move.date)), ("posted", "2026-01-31"))
        self.assertEqual(move.journal_id, self.general)
        self.assertEqual(move.ref, "Payroll January")
        self.assertEqual(
            [(line.account_id, line.balance) for line in move.line_ids],
            [(self.expense, 52000.0), (self.payable, -52000.0)],
        )
        self.assertEqual(request.total, 52000.0)
        self.assertEqual(self.verbs_of(request), ["accepted", "posted"])
        self.assertEqual(move.finance_correlation_id, command.correlation_id)

    def test_event_says_what_was_posted(self):
        self.send(self.data())
        request = self.request()
        posted = self.events_of(request)[-1]
        self.assertFalse(posted.problem)
        self.assertEqual(posted.data["entry"]["number"], request.move_id.name)
        self.assertEqual(posted.data["business_key"], "payroll-2026-01")
        self.assertEqual(posted.aggregate, f"posting_request/{request.id}")

    def test_everything_a_line_can_have(self):
        plan = self.env["account.analytic.plan"].create({"name": "Departments"})
        # Defaults of Odoo that are to stay out of what was sent.
        self.expense.tax_ids = self.company_data["default_tax_purchase"]
        self.env["account.analytic.distribution.model"].create(
            {
                "partner_id": self.partner_b.id,
                "analytic_distribution": {
                    str(
                        self.env["account.analytic.account"]
                        .create({"name": "Default", "plan_id": plan.id})
                        .id
                    ): 100.0
                },
            }
        )
        centre = self.env["account.analytic.account"].create(
            {"name": "R&D", "plan_id": plan.id}
        )
        product = self.env["product.product"].create({"name": "Licence"})
        self.make_mapping("cost_centre", "CC-1", centre)
        self.make_mapping("product", "P-1", product)
        self.make_mapping("counterparty", "V-1", self.partner_b)
        self.make_mapping("journal", "GL", self.general)
        self.make_mapping("company", "US01", self.company)
        lines = [
            {
                "account": "6000",
                "debit": "100.00",
                "label": "Licences",
                "cost_centre": "CC-1",
                "product": "P-1",
                "quantity": "4",
            },
            {
                "account": "1740",
                "credit": "100.00",
                "counterparty": "V-1",
                "due_date": "2026-03-31",
            },
        ]
        command = self.send(
            self.data(
                lines=lines, journal="GL", company="US01", description="As agreed"
            )
        )
        self.assertEqual(command.state, "applied", command.error)
        move = self.request().move_id
        first, second = move.line_ids
        self.assertEqual(first.name, "Licences")
        self.assertEqual(first.analytic_distribution, {str(centre.id): 100.0})
        self.assertEqual(first.analytic_line_ids.amount, -100.0)
        self.assertEqual((first.product_id, first.quantity), (product, 4.0))
        self.assertFalse(first.tax_ids, "nothing is added to what was sent")
        self.assertFalse(second.analytic_distribution)
        self.assertEqual(len(move.line_ids), 2)
        self.assertEqual(second.partner_id, self.partner_b)
        self.assertEqual(str(second.date_maturity), "2026-03-31")
        self.assertIn("As agreed", move.narration)

    def test_other_currency(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.rate(euro, "2026-01-01", 0.5)
        self.rate(euro, "2026-02-01", 0.25)
        command = self.send(self.data(currency="EUR", amount="100.00"))
        self.assertEqual(command.state, "applied", command.error)
        move = self.request().move_id
        self.assertEqual(move.line_ids.mapped("currency_id"), euro)
        self.assertEqual(move.line_ids.mapped("amount_currency"), [100.0, -100.0])
        self.assertEqual(move.line_ids.mapped("balance"), [200.0, -200.0])
        self.assertEqual(self.request().total, 200.0)

    def test_rounding_goes_to_the_largest_line(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.rate(euro, "2026-01-01", 3.0)
        lines = [{"account": "6000", "debit": "0.50"} for _index in range(3)]
        lines.append({"account": "1740", "credit": "1.50"})
        command = self.send(self.data(currency="EUR", lines=lines))
        self.assertEqual(command.state, "applied", command.error)
        balances = self.request().move_id.line_ids.mapped("balance")
        self.assertAlmostEqual(sum(balances), 0.0)
        self.assertEqual(balances[:3], [0.17, 0.17, 0.17])
        self.assertEqual(balances[3], -0.51)

    def test_no_rate_is_no_rate_of_one(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].search([("currency_id", "=", euro.id)]).unlink()
        self.rate(euro, "2026-06-01", 0.5)
        command = self.send(self.data(currency="EUR"))
        self.assertEqual((command.state, command.error_code), ("failed", "D-UNMAPPED"))
        self.assertIn("rate", command.error)

    def test_reversal_of_an_accrual(self):
        command = self.send(self.data(kind="accrual", reversal_date="2026-02-01"))
        self.assertEqual(command.state, "applied", command.error)
        request = self.request()
        reversal = request.reversal_move_id
        self.assertEqual(reversal.reversed_entry_id, request.move_id)
        self.assertEqual(str(reversal.date), "2026-02-01")
        self.assertEqual(reversal.state, "posted")
        self.assertEqual(
            reversal.line_ids.filtered(
                lambda line: line.account_id == self.expense
            ).balance,
            -52000.0,
        )

    def test_reversal_in_the_future_posts_itself(self):
        self.send(self.data(kind="accrual", reversal_date="2999-02-01"))
        reversal = self.request().reversal_move_id
        self.assertEqual((reversal.state, reversal.auto_post), ("draft", "at_date"))

    def test_intercompany_names_the_other(self):
        command = self.send(self.data(kind="intercompany"))
        self.assertEqual(command.state, "failed")
        self.assertIn("other company", command.error)
        self.make_mapping("counterparty", "GROUP", self.partner_b)
        lines = self.data()["lines"]
        lines[1]["counterparty"] = "GROUP"
        command = self.send(self.data(kind="intercompany", lines=lines))
        self.assertEqual(command.state, "applied", command.error)

    # === TAXES === #

    def test_taxes_are_those_of_the_request(self):
        tax = self.make_tax()
        command = self.send(self.data(lines=self.taxed("100.00", "21.00", "121.00")))
        self.assertEqual(command.state, "applied", command.error)
        base, part, total = self.request().move_id.line_ids
        self.assertEqual(len(self.request().move_id.line_ids), 3)
        self.assertEqual((base.tax_ids, part.tax_line_id), (tax, tax))
        self.assertFalse(part.tax_ids)
        self.assertEqual(part.balance, 21.0)
        self.assertFalse(total.tax_ids)

    def test_tax_that_does_not_fit_its_base(self):
        self.make_tax()
        command = self.send(self.data(lines=self.taxed("100.00", "19.00", "119.00")))
        self.assertEqual(
            (command.state, command.error_code), ("failed", "D-TAX-MISMATCH")
        )
        self.assertIn("21.00", command.error)
        self.assertFalse(self.request().move_id)

    # === ONCE === #

    def test_same_again(self):
        self.send(self.data())
        for _index in range(3):
            command = self.send(self.data())
            self.assertEqual(command.state, "ignored")
        self.assertEqual(self.entries(), 1)

    def test_same_again_after_the_commands_are_gone(self):
        """The key is kept for ever, whatever the retention removes."""
        first = self.send(self.data())
        first.state = "superseded"
        command = self.send(self.data())
        self.assertEqual(command.state, "ignored")
        self.assertEqual(self.entries(), 1)

    def test_same_key_other_amount(self):
        self.send(self.data())
        command = self.send(self.data(amount="1.00"))
        self.assertEqual(
            (command.state, command.error_code), ("failed", "C-AMOUNT-INTEGRITY")
        )
        self.assertEqual(self.entries(), 1)
        self.assertEqual(self.request().state, "posted")

    def test_same_key_other_content(self):
        self.send(self.data())
        command = self.send(self.data(date="2026-02-28"))
        self.assertEqual(
            (command.state, command.error_code), ("failed", "C-IDEMP-MISUSE")
        )
        self.assertEqual(self.entries(), 1)

    def test_same_key_of_another_system(self):
        self.send(self.data())
        other = self.make_connector("other", posting_journal_id=self.general.id)
        command = self.send(self.data(amount="7.00"), connector=other)
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.entries(), 2)

    def test_sent_again_after_a_rejection(self):
        lines = self.data()["lines"]
        lines[0]["debit"] = "51999.00"
        first = self.send(self.data(lines=lines))
        self.assertEqual(self.request().state, "rejected")
        command = self.send(self.data())
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.entries(), 1)
        self.assertEqual(first.state, "superseded")
        self.assertFalse(self.exceptions("D-SCHEMA"))
        self.assertEqual(
            self.verbs_of(self.request()), ["rejected", "accepted", "posted"]
        )

    # === REFUSALS === #

    def test_unbalanced(self):
        lines = self.data()["lines"]
        lines[0]["debit"] = "52000.01"
        command = self.send(self.data(lines=lines))
        self.assertEqual((command.state, command.error_code), ("failed", "D-SCHEMA"))
        self.assertIn("0.01", command.error)
        request = self.request()
        self.assertEqual(request.state, "rejected")
        [event] = self.events_of(request)
        self.assertEqual(event.data["errors"][0]["pointer"], "/lines")
        self.assertFalse(event.problem)
        self.assertFalse(self.entries())

    def test_all_faults_at_once(self):
        self.company.fiscalyear_lock_date = "2026-01-31"
        lines = self.data()["lines"]
        lines[0]["debit"] = "1.005"
        command = self.send(self.data(lines=lines))
        codes = {fault["code"] for fault in self.request().faults}
        self.assertEqual(codes, {"D-SCHEMA", "B-PERIOD-LOCKED"})
        pointers = {fault["pointer"] for fault in self.request().faults}
        self.assertEqual(pointers, {"/lines", "/lines/0/debit", "/date"})
        for pointer in pointers:
            self.assertIn(pointer, command.error)

    def test_locked_period_is_never_dated_otherwise(self):
        self.company.fiscalyear_lock_date = "2026-01-31"
        command = self.send(self.data())
        self.assertEqual(
            (command.state, command.error_code), ("failed", "B-PERIOD-LOCKED")
        )
        self.assertEqual(self.exceptions("B-PERIOD-LOCKED").command_id, command)
        self.company.fiscalyear_lock_date = False
        self.exceptions("B-PERIOD-LOCKED").with_user(
            self.users["operator"]
        ).action_retry()
        self.process()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(str(self.request().move_id.date), "2026-01-31")

    def test_reversal_in_a_locked_period(self):
        self.company.fiscalyear_lock_date = "2026-01-31"
        command = self.send(self.data(date="2026-02-01", reversal_date="2026-01-15"))
        self.assertEqual(command.state, "failed")
        self.assertEqual(
            {fault["pointer"] for fault in self.request().faults}, {"/reversal_date"}
        )

    def test_company_of_another_connector(self):
        other = self.setup_other_company()["company"]
        self.make_mapping("company", "FR01", other)
        command = self.send(self.data(company="FR01"))
        self.assertEqual((command.state, command.error_code), ("failed", "D-OWNERSHIP"))

    def test_no_journal(self):
        self.connector.posting_journal_id = False
        command = self.send(self.data())
        self.assertEqual(command.error_code, "D-UNMAPPED")
        self.assertIn("journal", command.error)

    def test_archived_account(self):
        self.expense.active = False
        command = self.send(self.data())
        self.assertEqual(command.state, "failed")
        self.assertIn("archived", command.error)

    def test_not_the_owner(self):
        """cap 1, 4"""
        owner = self.make_connector("group")
        self.env["finance.ownership"].create(
            {
                "company_id": self.company.id,
                "domain": "journals",
                "connector_id": owner.id,
                "direction": "in",
            }
        )
        command = self.send(self.data())
        self.assertEqual((command.state, command.error_code), ("failed", "D-OWNERSHIP"))
        self.assertEqual(self.request().state, "rejected")
        self.assertFalse(self.entries())

    def test_what_odoo_refuses_is_told(self):
        def refuse(*_args, **_values):
            raise UserError("Not in this journal")  # pylint: disable=C8107

        self.patch(type(self.env["account.move"]), "_post", refuse)
        command = self.send(self.data())
        self.assertEqual(command.state, "failed")
        self.assertIn("Not in this journal", command.error)
        self.assertFalse(self.entries())

    # === UNMAPPED === #

    def test_all_unmapped_codes_at_once(self):
        """cap 9: nothing is guessed, and everything is told at once."""
        lines = [
            {"account": "6400", "debit": "10.00", "cost_centre": "CC-9"},
            {"account": "6400", "debit": "10.00", "tax": "V99"},
            {"account": "1740", "credit": "20.00"},
        ]
        command = self.send(self.data(lines=lines))
        self.assertEqual((command.state, command.error_code), ("waiting", "D-UNMAPPED"))
        unmapped = self.env["finance.unmapped"].search([("state", "=", "open")])
        self.assertEqual(set(unmapped.mapped("code")), {"6400", "CC-9", "V99"})
        request = self.request()
        self.assertEqual(request.state, "held")
        self.assertEqual(
            [fault["pointer"] for fault in request.faults],
            ["/lines/0/account", "/lines/0/cost_centre", "/lines/1/tax"],
        )
        self.assertEqual(self.verbs_of(request), ["held"])
        self.assertFalse(self.entries())

    def test_posted_once_mapped(self):
        lines = self.data()["lines"]
        lines[0]["account"] = "6400"
        command = self.send(self.data(lines=lines))
        self.assertEqual(command.state, "waiting")
        mapping = self.make_mapping("account", "6400", self.expense)
        for key in mapping._keys(self.connector):
            self.env["finance.command"]._provide(key, self.company)
        self.process()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.verbs_of(self.request()), ["held", "accepted", "posted"])

    def test_waiting_is_told_once(self):
        lines = self.data()["lines"]
        lines[0]["account"] = "6400"
        command = self.send(self.data(lines=lines))
        command._resubmit()
        self.process()
        self.assertEqual(command.state, "waiting")
        self.assertEqual(self.verbs_of(self.request()), ["held"])

    # === APPROVAL === #

    def test_held_above_the_threshold(self):
        """cap 54: what is above the amount waits for an approver."""
        self.connector.write(
            {"posting_approval": "above", "posting_approval_above": 10000.0}
        )
        small = self.send(self.data("small", "10000.00"))
        self.assertEqual(small.state, "applied", small.error)
        command = self.send(self.data())
        self.assertEqual(command.state, "held")
        request = self.request()
        approval = request.approval_id
        self.assertEqual((request.state, approval.state), ("held", "requested"))
        self.assertEqual((approval.amount, approval.threshold), (52000.0, 10000.0))
        self.assertEqual(approval.requested_by, "Payroll service")
        self.assertEqual(approval.subject, f"posting_request/{request.id}")
        self.assertFalse(request.move_id)
        self.assertFalse(self.exceptions("B-APPROVAL-SLA"))
        self.decide(approval)
        self.assertEqual((approval.state, request.state), ("approved", "accepted"))
        self.process()
        self.assertEqual((command.state, request.state), ("applied", "posted"))
        self.assertEqual(self.verbs_of(request), ["held", "accepted", "posted"])
        self.assertEqual(self.verbs_of(approval), ["requested", "decided"])

    def test_always_and_never(self):
        self.connector.posting_approval = "always"
        self.assertEqual(self.send(self.data("a", "0.01")).state, "held")
        self.connector.posting_approval = "never"
        self.assertEqual(self.send(self.data("b", "9999999.00")).state, "applied")

    def test_threshold_counts_in_the_companys_currency(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.rate(euro, "2026-01-01", 0.5)
        self.connector.write(
            {"posting_approval": "above", "posting_approval_above": 150.0}
        )
        command = self.send(self.data(currency="EUR", amount="100.00"))
        self.assertEqual(command.state, "held")
        self.assertEqual(self.request().approval_id.amount, 200.0)

    def test_rejected_by_a_person(self):
        self.connector.posting_approval = "always"
        command = self.send(self.data())
        request = self.request()
        self.decide(request.approval_id, "reject", reason="Wrong month")
        self.assertEqual((request.state, command.state), ("rejected", "ignored"))
        self.process()
        self.assertFalse(self.entries())
        event = self.events_of(request)[-1]
        self.assertEqual(event.type, "finance.posting_request.rejected.v1")
        self.assertIn("Wrong month", event.data["reason"])
        self.assertEqual(self.send(self.data(amount="5.00")).state, "held")

    def test_sent_again_while_it_is_held(self):
        self.connector.posting_approval = "always"
        first = self.send(self.data())
        again = self.send(self.data())
        self.assertEqual((first.state, again.state), ("held", "ignored"))
        other = self.send(self.data(amount="1.00"))
        self.assertEqual(other.error_code, "C-AMOUNT-INTEGRITY")
        self.assertEqual(self.request().command_id, first)
        self.decide(self.request().approval_id)
        self.process()
        self.assertEqual(self.entries(), 1)
        self.assertEqual(self.request().total, 52000.0)

    def test_whoever_corrected_does_not_approve(self):
        """cap 69, 94"""
        self.connector.posting_approval = "always"
        lines = self.data()["lines"]
        lines[0]["account"] = "6400"
        command = self.send(self.data(lines=lines))
        both = self.users["operator"]
        both.group_ids += self.env.ref("finance_hub.group_approver")
        command.with_user(both)._correct(self.data(), "Known account")
        self.process()
        approval = self.request().approval_id
        self.assertEqual(approval.state, "requested")
        self.assertFalse(approval.with_user(both).can_decide)
        for decision in ("approve", "reject"):
            with self.assertRaises(UserError):
                self.decide(approval, decision, both)
        self.decide(approval)
        self.process()
        self.assertEqual(self.request().state, "posted")

    def test_preparer_does_not_approve(self):
        self.connector.posting_approval = "always"
        approver = self.users["approver"]
        self.send(self.data(preparer=approver.login.upper()))
        with self.assertRaises(UserError):
            self.decide(self.request().approval_id)

    def test_mapping_that_changed_needs_a_new_approval(self):
        """What was approved is what is posted."""
        self.connector.posting_approval = "always"
        command = self.send(self.data())
        first = self.request().approval_id
        self.decide(first)
        mapping = self.env["finance.mapping"].search([("code", "=", "6000")])
        mapping.write({"state": "retired"})
        self.make_mapping("account", "6000", self.revenue)
        self.env.registry.clear_cache()
        self.process()
        self.assertEqual(command.state, "held")
        second = self.request().approval_id
        self.assertNotEqual((first, first.version), (second, second.version))
        self.decide(second)
        self.process()
        self.assertIn(self.revenue, self.request().move_id.line_ids.account_id)

    def test_threshold_is_not_negative(self):
        with self.assertRaises(ValidationError):
            self.connector.posting_approval_above = -1.0

    # === MUCH === #

    def test_many_lines(self):
        lines = [
            {"account": "6000", "debit": "1.00", "label": f"Employee {index}"}
            for index in range(300)
        ]
        lines.append({"account": "1740", "credit": "300.00"})
        command = self.send(self.data(lines=lines))
        self.assertEqual(command.state, "applied", command.error)
        request = self.request()
        self.assertEqual(len(request.move_id.line_ids), 301)
        self.assertIn(str(constants.POSTING_PREVIEW_LINES), request.lines_html)
        self.assertNotIn("Employee 250", request.lines_html)

    # === SCREENS === #

    def test_side_by_side(self):
        self.send(self.data())
        text = Form(self.request().with_user(self.users["auditor"])).lines_html
        for words in ("6000", f"{self.expense.code} Expenses", "1740", "52000.00"):
            self.assertIn(words, text)

    def test_what_was_sent_is_text(self):
        lines = self.data()["lines"]
        lines[0]["label"] = "<script>alert(1)</script>"
        self.send(self.data(lines=lines))
        self.assertNotIn("<script>", self.request().lines_html)

    def test_nothing_is_deleted(self):
        self.send(self.data())
        with self.assertRaises(UserError):
            self.request().unlink()
        with self.assertRaises(AccessError):
            self.request().with_user(self.users["administrator"]).write({"name": "x"})

    # === HELPERS === #

    def rate(self, currency, day, rate):
        return self.env["res.currency.rate"].create(
            {
                "currency_id": currency.id,
                "company_id": self.company.id,
                "name": day,
                "rate": rate,
            }
        )

    def entries(self):
        return self.requests.search_count([("move_id", "!=", False)])

    def make_tax(self):
        account = self.env["account.account"].create(
            {
                "name": "Input Tax (test)",
                "code": "109997",
                "account_type": "asset_current",
            }
        )
        tax = self.env["account.tax"].create(
            {
                "name": "Input 21 (test)",
                "amount": 21.0,
                "type_tax_use": "purchase",
                "invoice_repartition_line_ids": [
                    (0, 0, {"repartition_type": "base"}),
                    (0, 0, {"repartition_type": "tax", "account_id": account.id}),
                ],
                "refund_repartition_line_ids": [
                    (0, 0, {"repartition_type": "base"}),
                    (0, 0, {"repartition_type": "tax", "account_id": account.id}),
                ],
            }
        )
        self.make_mapping("tax", "V21", tax)
        self.make_mapping("account", "1510", account)
        return tax

    @staticmethod
    def taxed(base, tax, total):
        return [
            {"account": "6000", "debit": base, "tax": "V21"},
            {"account": "1510", "debit": tax, "tax": "V21"},
            {"account": "1740", "credit": total},
        ]
