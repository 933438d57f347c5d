from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from ..models import clock
from ..models.approval.finance_policed import ConsentMissing
from ..models.hold.finance_hold import RecordHeld
from .test_posting_request import PostingCommon


@tagged("post_install", "-at_install")
class TestPolicies(PostingCommon):
    """cap 54–59, 98, 99: what needs whose consent, or which verdict, before it goes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.approvals = cls.env["finance.approval"]
        cls.clerk = cls.person("clerk", "account.group_account_invoice")
        cls.controller = cls.person("controller", "finance_hub.group_approver")
        cls.treasurer = cls.person("treasurer", "finance_hub.group_approver")
        cls.deputy = cls.person("deputy", "finance_hub.group_approver")

    # === BUILDERS === #

    @classmethod
    def person(cls, name, groups):
        return new_test_user(
            cls.env,
            f"test_policy_{name}",
            f"base.group_user,{groups}",
            name=f"Policy {name.title()}",
            email=f"policy.{name}@example.com",
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )

    @classmethod
    def step(cls, users, sequence=10, **values):
        return (
            0,
            0,
            {
                "name": "/".join(users.mapped("name")),
                "sequence": sequence,
                "user_ids": [(6, 0, users.ids)],
                **values,
            },
        )

    @classmethod
    def policy(cls, *steps, state="active", **values):
        policy = cls.env["finance.policy"].create(
            {
                "name": "Big ones",
                "company_id": cls.company.id,
                "currency_id": cls.company.currency_id.id,
                "step_ids": list(steps) or [cls.step(cls.controller)],
                **values,
            }
        )
        policy.state = state
        return policy

    def draft(self, amount=20000.0, **values):
        """Return a draft that the clerk made."""
        return self.make_invoice(amount, post=False, **values).with_user(self.clerk)

    def asked(self, record):
        """Return the request about a record that is open."""
        # As at the end of the request that made it, by whoever that was.
        self.env.flush_all()
        return self.approvals._pending(record.sudo())

    def made_by_clerk(self, amount=20000.0, move_type="out_invoice"):
        return (
            self.env["account.move"]
            .with_user(self.clerk)
            .create(
                {
                    "move_type": move_type,
                    "partner_id": self.partner_a.id,
                    "invoice_date": "2026-01-15",
                    "invoice_line_ids": [
                        (0, 0, {"name": "L", "price_unit": amount, "tax_ids": []})
                    ],
                }
            )
        )

    def payment(self, amount=20000.0, **values):
        return (
            self.env["account.payment"]
            .create(
                {
                    "payment_type": "outbound",
                    "partner_type": "supplier",
                    "partner_id": self.partner_a.id,
                    "amount": amount,
                    "journal_id": self.journal.id,
                    **values,
                }
            )
            .with_user(self.clerk)
        )

    # === CONSENT TO A DOCUMENT === #

    def test_confirm_asks_and_consent_posts(self):
        """cap 54: sequential steps; the document posts itself after the last."""
        policy = self.policy(
            self.step(self.controller, 10),
            self.step(self.treasurer, 20, amount_from=50000),
            self.step(self.deputy, 30),
            on_customer_invoice=True,
            amount_from=10000,
        )
        small = self.draft(9999.0)
        small.action_post()
        self.assertEqual(small.state, "posted")
        move = self.draft(20000.0)
        result = move.action_post()
        self.assertEqual(result["tag"], "display_notification")
        self.assertEqual(move.state, "draft")
        approval = self.asked(move)
        self.assertEqual(approval.policy_ids, policy)
        self.assertEqual((approval.amount, approval.threshold), (20000.0, 10000.0))
        self.assertEqual(
            [(s.name, s.state) for s in approval.step_ids],
            [("Policy Controller", "to_decide"), ("Policy Deputy", "waiting")],
            "the step for larger amounts is not needed",
        )
        self.assertEqual(move.finance_consent_state, "requested")
        self.assertIn("Policy Controller", move.finance_consent_text)
        self.assertEqual(approval.activity_ids.user_id, self.controller)
        move.action_post()
        self.assertEqual(self.asked(move), approval, "asked once")
        # Not your turn, not your business, and those who made it.
        for user in (self.deputy, self.users["approver"]):
            self.assertFalse(approval.with_user(user).can_decide)
            with self.assertRaises(UserError) as caught:
                self.decide(approval, user=user)
            self.assertIn("Policy Controller", str(caught.exception))
        with self.assertRaises(AccessError):
            self.decide(approval, user=self.clerk)
        mine = self.approvals.with_user(self.controller)
        self.assertIn(approval, mine.search([("is_waiting_for_me", "=", True)]))
        self.decide(approval, user=self.controller, reason="Seen the order")
        self.assertEqual((approval.state, move.state), ("requested", "draft"))
        self.assertEqual(approval.activity_ids.user_id, self.deputy)
        self.assertNotIn(approval, mine.search([("is_waiting_for_me", "=", True)]))
        self.decide(approval, user=self.deputy)
        self.assertEqual((approval.state, move.state), ("approved", "posted"))
        self.assertFalse(approval.activity_ids)
        self.assertFalse(move.finance_post_user_id)
        self.assertEqual(approval.step_ids[0].reason, "Seen the order")
        self.assertFalse(move.finance_consent_text)

    def test_parallel_steps_and_two_people(self):
        """cap 54: one turn for several; nobody decides twice, whatever the step."""
        people = self.controller | self.treasurer | self.deputy
        self.policy(
            self.step(people, 10, consents=2),
            self.step(self.controller | self.users["approver"], 10),
            on_vendor_bill=True,
        )
        bill = self.draft(move_type="in_invoice")
        bill.action_post()
        approval = self.asked(bill)
        self.assertEqual(set(approval.step_ids.mapped("state")), {"to_decide"})
        self.assertEqual(len(approval.step_ids), 3)
        self.decide(approval, user=self.treasurer)
        with self.assertRaises(UserError) as caught:
            self.decide(approval, user=self.treasurer)
        self.assertIn("already", str(caught.exception))
        self.decide(approval, user=self.deputy)
        self.decide(approval, user=self.controller)
        self.assertEqual(bill.state, "posted")

    def test_the_hands_in_it_decide_nothing(self):
        """cap 94: maker, whoever changed it and whoever asked."""
        maker = self.person(
            "maker", "finance_hub.group_approver,account.group_account_invoice"
        )
        changer = self.person(
            "changer", "finance_hub.group_approver,account.group_account_invoice"
        )
        self.policy(
            self.step(maker | changer | self.controller), on_customer_invoice=True
        )
        move = self.made_by_clerk().sudo()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_move SET create_uid = %s WHERE id = %s",
            [maker.id, move.id],
        )
        move.invalidate_recordset()
        move.with_user(changer).ref = "Another order"
        move.with_user(self.clerk).action_post()
        approval = self.asked(move)
        # Who asked wrote last; what was changed before is in the history.
        self.cr.precommit.run()
        move.with_user(changer).partner_id = self.partner_b
        self.cr.precommit.run()
        move.with_user(self.clerk).action_post()
        self.assertEqual(approval.state, "withdrawn")
        approval = self.asked(move)
        for user in (maker, changer):
            with self.subTest(user.name), self.assertRaises(UserError) as caught:
                self.decide(approval, user=user)
            self.assertIn("somebody else", str(caught.exception))
        self.decide(approval, user=self.controller)
        self.assertEqual(move.state, "posted")

    def test_rejection_ends_it_and_a_change_begins_anew(self):
        self.policy(
            self.step(self.controller, 10),
            self.step(self.deputy, 20),
            on_customer_invoice=True,
        )
        move = self.draft()
        move.action_post()
        approval = self.asked(move)
        self.decide(approval, "reject", self.controller, "No order")
        self.assertEqual(approval.state, "rejected")
        self.assertEqual(approval.step_ids[1].state, "ended")
        self.assertEqual(move.finance_consent_state, "rejected")
        self.assertIn("No order", move.finance_consent_text)
        self.assertFalse(move.finance_post_user_id)
        self.assertIn(self.clerk, move.sudo().activity_ids.user_id)
        with self.assertRaises(ConsentMissing) as caught:
            move.action_post()
        self.assertIn("No order", str(caught.exception))
        self.assertFalse(approval.difference)
        move.invoice_line_ids[0].price_unit = 19000.0
        move.action_post()
        again = self.asked(move)
        self.assertIn("20000.00 USD", again.difference)
        self.assertIn("19000.00 USD", again.difference)
        self.assertNotIn("Counterparty", again.difference, "only what changed")
        # Changed while it waits, and after the consent: neither is posted.
        move.invoice_line_ids[0].price_unit = 21000.0
        with self.assertRaises(UserError):
            self.decide(again, user=self.controller)
        self.assertIn("changed", move.finance_consent_text)
        move.action_post()
        self.assertEqual(again.state, "withdrawn")
        last = self.asked(move)
        move.finance_post_user_id = False
        for user in (self.controller, self.deputy):
            self.decide(last, user=user)
        self.assertEqual((last.state, move.state), ("approved", "draft"))
        move.invoice_line_ids[0].price_unit = 99000.0
        with self.assertRaises(ConsentMissing):
            move._post(soft=False)
        move.invoice_line_ids[0].price_unit = 21000.0
        move.action_post()
        self.assertEqual(move.state, "posted", "as it was consented to")

    # === NO WAY AROUND === #

    def test_no_way_around(self):
        self.policy(
            on_customer_invoice=True,
            on_credit_note=True,
            on_journal_entry=True,
            on_payment=True,
        )
        move = self.draft()
        ways = {
            "post": lambda: move._post(soft=False),
            "soft": move._post,
            "su": lambda: move.sudo()._post(soft=False),
            "state": lambda: move.write({"state": "posted"}),
            "context": lambda: move.with_context(
                finance_covered=True, finance_checked=True
            )._post(soft=False),
        }
        payment = self.payment()
        ways["payment"] = lambda: payment.write({"state": "in_process"})
        ways["validate"] = payment.action_validate
        ways["paid at once"] = self.paid_at_once
        payment_move = self.payment(write_off_line_vals=[])
        self.assertEqual(payment_move.move_id.state, "draft")
        ways["its entry"] = lambda: payment_move.move_id._post(soft=False)
        entry = self.entry()
        ways["reversal"] = lambda: posted._reverse_moves(cancel=True)
        self.env["finance.policy"].search([]).state = "retired"
        posted = self.entry()
        posted.action_post()
        self.env["finance.policy"].search([]).state = "active"
        ways["entry"] = lambda: entry._post(soft=False)
        for way, attempt in ways.items():
            with (
                self.subTest(way),
                self.assertRaises(ConsentMissing),
                self.env.cr.savepoint(),
            ):
                attempt()
        # The assistant of many, and the scheduled action, leave it and ask.
        wizard = self.env["validate.account.move"].create(
            {"move_ids": [(6, 0, move.ids)], "force_post": True}
        )
        wizard.with_user(self.clerk).sudo().validate_move()
        self.assertEqual(move.state, "draft")
        self.assertTrue(self.asked(move))
        entry.write({"auto_post": "at_date", "date": "2026-01-10"})
        entry._post()
        self.assertEqual(entry.state, "draft")
        approval = self.asked(entry)
        self.decide(approval, user=self.controller)
        self.assertEqual(entry.state, "draft", "the scheduled action posts it")
        entry._post()
        self.assertEqual(entry.state, "posted")

    def assistant(self, name, records, **values):
        """Return an assistant of Odoo as the clerk opens it for records."""
        return (
            self.env[name]
            .with_user(self.clerk)
            .with_context(active_model=records._name, active_ids=records.ids)
            .create(values)
        )

    def left_draft(self, action, model="account.move"):
        """Return what an assistant left a draft and told of."""
        self.assertEqual((action["tag"], action["type"]), self.NOTICE)
        self.env.flush_all()
        pending = self.approvals.search([("state", "=", "requested")])
        records = self.env[model].browse(pending.mapped("res_id"))
        self.assertEqual(set(pending.mapped("res_model")), {model})
        self.assertEqual(set(records.mapped("state")), {"draft"})
        self.assertEqual(pending.requested_by_id, self.clerk)
        for record in records:
            self.assertIn(record.display_name, action["params"]["message"])
        return records, pending

    NOTICE = ("display_notification", "ir.actions.client")

    def test_assistants_leave_drafts_and_ask(self):
        """What they make and post at once waits for consent; then all goes on."""
        invoice, entry = self.make_invoice(20000.0), self.entry()
        entry.action_post()
        elsewhere = self.company_data["default_account_receivable"].copy()
        bills = self.make_invoice(20000.0, move_type="in_invoice")
        self.clerk.group_ids |= self.env.ref("account.group_account_user")
        self.policy(on_journal_entry=True, on_payment=True, amount_from=10000)

        # A reversal, which is matched with its original once it is posted.
        wizard = self.assistant(
            "account.move.reversal",
            entry,
            journal_id=entry.journal_id.id,
            date="2026-01-20",
        )
        action = wizard.reverse_moves()
        reversal, approval = self.left_draft(action)
        self.assertEqual(action["params"]["next"]["res_id"], reversal.id)
        self.assertEqual(reversal.reversed_entry_id, entry)
        self.decide(approval, user=self.controller)
        self.assertEqual(reversal.state, "posted")

        # Money moved from one account to another, and matched there and here.
        line = invoice.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        wizard = self.assistant(
            "account.automatic.entry.wizard",
            line,
            action="change_account",
            move_line_ids=[(6, 0, line.ids)],
            destination_account_id=elsewhere.id,
            journal_id=self.general.id,
            date="2026-01-20",
        )
        transfer, approval = self.left_draft(wizard.do_action())
        self.assertFalse(line.reconciled)
        self.decide(approval, user=self.controller)
        self.assertEqual((transfer.state, line.reconciled), ("posted", True))
        self.assertFalse(transfer.finance_match_later)

        # A cost moved to another month: two entries, each with its request.
        cost = entry.line_ids.filtered("debit")
        wizard = self.assistant(
            "account.automatic.entry.wizard",
            cost,
            action="change_period",
            move_line_ids=[(6, 0, cost.ids)],
            expense_accrual_account=elsewhere.id,
            journal_id=self.general.id,
            date="2026-01-31",
        )
        moved, approvals = self.left_draft(wizard.do_action())
        self.assertEqual((len(moved), len(approvals)), (2, 2))
        for approval in approvals:
            self.decide(approval, user=self.controller)
        self.assertEqual(set(moved.mapped("state")), {"posted"})

        # A payment; a link leads to the request for those who may read it.
        self.clerk.group_ids |= self.env.ref("finance_hub.group_operator")
        wizard = self.assistant(
            "account.payment.register", bills, journal_id=self.journal.id
        )
        action = wizard.with_context(
            dont_redirect_to_payments=True
        ).action_create_payments()
        _payment, approval = self.left_draft(action, "account.payment")
        self.assertIn(f"/{approval.id}", action["params"]["links"][0]["url"])
        self.assertEqual(
            action["params"]["next"], {"type": "ir.actions.act_window_close"}
        )
        self.decide(approval, user=self.controller)
        self.assertIn(bills.payment_state, ("in_payment", "paid"))

        # What would be set free before anybody consents is refused as before.
        self.env["finance.policy"].search([]).on_vendor_bill = True
        self.env["finance.policy"].search([]).on_credit_note = True
        wizard = self.assistant(
            "account.move.reversal",
            bills,
            journal_id=bills.journal_id.id,
            date="2026-01-20",
        )
        with self.assertRaises(ConsentMissing):
            wizard.modify_moves()

    def paid_at_once(self):
        """Make a payment that is paid from the start, as without any entry.

        Only Odoo's app Accounting, which is not installed here, does without.
        """
        self.journal.outbound_payment_method_line_ids.payment_account_id = False
        moves = type(self.env["account.move"])
        with patch.object(
            moves, "_get_invoice_in_payment_state", lambda _self: "in_payment"
        ):
            self.payment(state="paid")

    def entry(self, amount=20000.0):
        return self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": "2026-01-15",
                "journal_id": self.general.id,
                "line_ids": [
                    (0, 0, {"account_id": self.expense.id, "debit": amount}),
                    (0, 0, {"account_id": self.revenue.id, "credit": amount}),
                ],
            }
        )

    def test_what_follows_needs_no_consent(self):
        """Bank lines, money that came in, and matching in another currency."""
        self.policy(on_journal_entry=True, on_payment=True)
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.journal.id,
                "amount": 30000.0,
                "date": "2026-01-20",
                "payment_ref": "In",
            }
        )
        self.assertEqual(line.move_id.state, "posted")
        payment = self.payment(payment_type="inbound", partner_type="customer")
        payment.action_post()
        self.assertEqual(payment.state, "in_process")
        foreign = self.setup_other_currency("EUR", rates=[("2026-01-01", 2.0)])
        self.env["res.currency.rate"].create(
            {
                "name": "2026-01-18",
                "rate": 4.0,
                "currency_id": foreign.id,
                "company_id": self.company.id,
            }
        )
        invoice = self.make_invoice(100000.0, currency_id=foreign.id)
        paid = self.payment(
            100000.0,
            payment_type="inbound",
            partner_type="customer",
            currency_id=foreign.id,
            date="2026-01-20",
        )
        paid.action_post()
        lines = (invoice | paid.move_id).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        lines.reconcile()
        exchange = lines.matched_debit_ids.exchange_move_id
        exchange |= lines.matched_credit_ids.exchange_move_id
        self.assertEqual(exchange.state, "posted")
        lines.remove_move_reconcile()

    def test_queries(self):
        """Without a policy nothing is asked; with one, not more for more documents."""
        moves = self.env["account.move"].concat(
            *(self.make_invoice(20000.0, post=False) for _index in range(6))
        )

        def cost(records):
            self.env.flush_all()
            self.env.invalidate_all()
            self.env["finance.policy"]._in_force()
            records.mapped("line_ids.tax_ids.name")
            before = self.env.cr.sql_log_count
            records._finance_unmet()
            return self.env.cr.sql_log_count - before

        self.assertEqual(cost(moves), 0)
        self.policy(on_payment=True)
        self.assertEqual(cost(moves), 0, "a policy about other things")
        self.policy(on_customer_invoice=True)
        cost(moves)
        few, many = cost(moves[:2]), cost(moves)
        self.assertGreater(few, 0)
        self.assertEqual(few, many)

    # === CONDITIONS === #

    def test_conditions(self):
        """Company, amount in another currency, counterparty, system, further one."""
        partners = self.partner_a | self.partner_b
        self.partner_b.category_id = self.env["res.partner.category"].create(
            {"name": "Risky"}
        )
        self.partner_b.country_id = self.env.ref("base.fr")
        foreign = self.setup_other_currency("EUR", rates=[("2020-01-01", 2.0)])
        mine, other = (
            self.draft(10000.0, partner_id=partner.id) for partner in partners
        )
        self.env["finance.reference"].create(
            {
                "connector_id": self.connector.id,
                "res_model": "account.move",
                "res_id": other.id,
                "external_id": "S-1",
            }
        )
        elsewhere = self.setup_other_company()["company"]
        for values, expected in (
            ({}, mine | other),
            ({"company_id": elsewhere.id}, mine.browse()),
            ({"amount_from": 10000.0}, mine | other),
            ({"amount_from": 10000.01}, mine.browse()),
            ({"amount_from": 20000.0, "currency_id": foreign.id}, mine | other),
            ({"amount_from": 20002.0, "currency_id": foreign.id}, mine.browse()),
            ({"partner_ids": [(6, 0, self.partner_a.ids)]}, mine),
            ({"category_ids": [(6, 0, self.partner_b.category_id.ids)]}, other),
            ({"country_ids": [(6, 0, self.env.ref("base.fr").ids)]}, other),
            ({"connector_ids": [(6, 0, self.connector.ids)]}, other),
            ({"domain": f"[('partner_id', '=', {self.partner_a.id})]"}, mine),
        ):
            policy = self.policy(on_customer_invoice=True, **values)
            with self.subTest(values):
                unmet = (mine | other)._finance_unmet()
                self.assertEqual(set(unmet), set(expected))
            policy.state = "retired"
        for values in (
            {"domain": "[('no_such_field', '=', 1)]"},
            {"domain": "__import__('os')"},
            {"domain": "[('id', '=', 1)]", "on_payment": True},
        ):
            with self.subTest(values), self.assertRaises(ValidationError):
                self.policy(on_customer_invoice=True, **values)

    def test_preview(self):
        """What was posted in the last 90 days shows what a draft would stop."""
        today = clock.now().date()
        for days, amount in ((1, 900.0), (2, 1200.0), (3, 4800.0), (120, 7000.0)):
            day = today - timedelta(days=days)
            self.make_invoice(amount, invoice_date=day, date=day)
        administrator = self.users["administrator"]
        Policy = self.env["finance.policy"].with_user(administrator)
        with Form(Policy) as form:
            form.name = "Not yet"
            self.assertIn("Tick", form.preview)
            form.on_customer_invoice = True
            form.amount_from = 1000.0
            self.assertIn("2 of 3", form.preview)
            self.assertIn("6,000.00", form.preview)
            form.amount_from = 2000.0
            self.assertIn("1 of 3", form.preview)
            form.partner_ids.add(self.partner_b)
            self.assertIn("0 of 3", form.preview)
        policy = form.save()
        policy.sudo().write({"partner_ids": [(5,)], "on_posting_request": True})
        self.send(self.data(date=str(today - timedelta(days=1))))
        policy.invalidate_recordset()
        self.assertIn("2 of 4", policy.preview)
        poor = self.person("poor", "finance_hub.group_administrator")
        policy.sudo().on_posting_request = False
        self.assertIn("Who may read", policy.with_user(poor).preview)

    def test_verdict_is_waited_for(self):
        """cap 55, 56: a policy holds until the verdict; a change makes it void."""
        self.policy(
            on_customer_invoice=True,
            effect="hold",
            hold_kind="risk",
            hold_topic="fraud",
            expire_hours=4,
        )
        move = self.draft()
        move.action_post()
        hold = self.env["finance.hold"]._active(move)
        self.assertEqual((hold.kind, hold.topic, hold.amount), ("risk", "fraud", 20000))
        self.assertTrue(hold.expires_at)
        with self.assertRaises(RecordHeld):
            move._post(soft=False)
        self.later(hours=5)
        self.env["finance.hold"]._cron_expire()
        self.assertEqual(hold.state, "active", "silence is no verdict")
        hold.with_user(self.controller)._release_by_person("Called the customer")
        self.assertEqual(move.state, "posted")
        second = self.draft()
        second.action_post()
        second.invoice_line_ids[0].price_unit = 80000.0
        hold = self.env["finance.hold"]._active(second)
        hold.with_user(self.controller)._release_by_person("Fine at 20,000")
        self.assertEqual(second.state, "draft", "it is another document now")
        second.action_post()
        self.assertTrue(self.env["finance.hold"]._active(second))

    # === PAYMENTS, AND WHAT OTHER SYSTEMS ASK FOR === #

    def test_treasury(self):
        """cap 59: two people for a payment, which then pays its bill."""
        self.policy(
            self.step(self.controller | self.treasurer, consents=2),
            on_payment=True,
            amount_from=10000,
        )
        bill = self.make_invoice(20000.0, move_type="in_invoice")
        register = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=bill.ids)
            .create({"journal_id": self.journal.id})
        )
        payment = register._create_payments()
        self.assertEqual((payment.state, bill.payment_state), ("draft", "not_paid"))
        approval = self.asked(payment)
        self.assertEqual(approval.amount, 20000.0)
        approval.requested_by_id = self.clerk
        for user in (self.controller, self.treasurer):
            self.decide(approval, user=user)
        self.assertIn(payment.state, ("in_process", "paid"))
        self.assertIn(bill.payment_state, ("in_payment", "paid"))
        small = self.payment(100.0)
        small.action_post()
        self.assertEqual(small.state, "in_process")

    def test_posting_request(self):
        """cap 37, 54: policies and the connector's own threshold say one thing."""
        policy = self.policy(
            self.step(self.controller, external_allowed=True),
            self.step(self.treasurer, 20),
            on_posting_request=True,
            on_journal_entry=True,
            amount_from=50000,
            connector_ids=[(6, 0, self.connector.ids)],
        )
        self.send(self.data("small", "100.00"))
        self.assertEqual(self.request("small").state, "posted")
        command = self.send(self.data())
        request = self.request()
        self.assertEqual((request.state, command.state), ("held", "held"))
        approval = request.approval_id
        self.assertEqual(approval.policy_ids, policy)
        workflow = self.make_connector("workflow")

        def outcome(approver, number):
            body = self.cloud_event(
                {
                    "subject": approval.subject,
                    "version": approval.version,
                    "decision": "approved",
                    "approver": approver,
                    "decided_at": f"2026-02-10T08:15:0{number}Z",
                },
                f"out{number}",
                type="approval.outcome.v1",
            )
            _outcome, message = self.receive(workflow, body, f"out{number}")
            self.process()
            return message.command_ids

        wrong = outcome(self.deputy.login, 1)
        self.assertEqual((wrong.state, wrong.error_code), ("failed", "C-SOD"))
        self.assertEqual(outcome(self.controller.login, 2).state, "applied")
        self.assertEqual(approval.state, "requested")
        late = outcome("somebody@example.com", 3)
        self.assertEqual(late.error_code, "C-SOD", "the last step is decided here")
        self.decide(approval, user=self.treasurer)
        self.process()
        self.assertEqual(request.state, "posted")
        self.assertEqual(request.move_id.state, "posted")
        policy.effect = "hold"
        self.send(self.data("held"))
        held = self.request("held")
        self.assertEqual(held.state, "held")
        hold = self.env["finance.hold"]._active(held)
        hold.with_user(self.controller)._release_by_person("Calculated")
        self.process()
        self.assertEqual(held.state, "posted")

    def test_another_system_names_the_step(self):
        """One of several steps, at once or one after the other, in any order."""
        legal, tax, boss = "legal@example.com", "tax@example.com", "boss@example.com"
        self.policy(
            self.step(self.controller, 10, name="Legal", external_allowed=True),
            self.step(self.treasurer, 10, name="Tax", external_allowed=True),
            self.step(self.deputy, 10, name="Here"),
            self.step(self.controller, 20, name="Board", external_allowed=True),
            on_vendor_bill=True,
        )
        bill = self.made_by_clerk(move_type="in_invoice")
        bill.action_post()
        approval = self.asked(bill)
        workflow = self.make_connector("workflow")
        numbers = iter(range(99))

        def outcome(approver, step=None, decision="approved", subject=None):
            message_id = f"out{next(numbers)}"
            data = {
                "subject": subject or approval.subject,
                "version": approval.version,
                "decision": decision,
                "approver": approver,
                "decided_at": "2026-02-10T08:15:00Z",
                **({"step": step} if step else {}),
            }
            body = self.cloud_event(data, message_id, type="approval.outcome.v1")
            _outcome, message = self.receive(workflow, body, message_id)
            self.process()
            return message.command_ids

        def states():
            return dict(approval.step_ids.mapped(lambda s: (s.planned_name, s.state)))

        steps = {
            step["name"]: step for step in self.events_of(approval)[0].data["steps"]
        }
        self.assertEqual(
            {name: (s["turn"], s["external"]) for name, s in steps.items()},
            {
                "Legal": (10, True),
                "Tax": (10, True),
                "Here": (10, False),
                "Board": (20, True),
            },
        )
        unknown = outcome(tax, "Taxes")
        self.assertEqual((unknown.state, unknown.error_code), ("failed", "D-SCHEMA"))
        for name in ("Legal", "Tax", "Here"):
            self.assertIn(f"“{name}”", unknown.error)
        self.assertNotIn("Board", unknown.error)
        here = outcome(tax, "Here")
        self.assertEqual((here.state, here.error_code), ("failed", "C-SOD"))
        self.assertIn("decided here only", here.error)
        early = outcome(boss, "Board")
        self.assertEqual((early.state, early.error_code), ("waiting", "D-ORPHAN"))
        # The second of those asked at once, before the first; the case is no matter.
        self.assertEqual(outcome(tax, "TAX").state, "applied")
        self.assertEqual(
            states(),
            {
                "Legal": "to_decide",
                "Tax": "approved",
                "Here": "to_decide",
                "Board": "waiting",
            },
        )
        again = outcome("other@example.com", "Tax")
        self.assertEqual((again.state, again.error_code), ("ignored", "D-STALE"))
        self.assertIn(tax, again.error)
        by_id = outcome(legal, steps["Legal"]["id"], subject=f"approval/{approval.id}")
        self.assertEqual(by_id.state, "applied", by_id.error)
        self.decide(approval, user=self.deputy)
        self.process()
        self.assertEqual((early.state, approval.state), ("applied", "approved"))
        self.assertEqual(approval.decided_by, boss)
        self.assertEqual(bill.state, "posted")

    # === LIFE OF A POLICY === #

    def test_second_person_puts_it_in_force(self):
        """cap 98: no change without a second person, and no time without a policy."""
        administrator = self.users["administrator"]
        Policy = self.env["finance.policy"].with_user(administrator)
        with Form(Policy) as form:
            form.name = "Bills from 5,000"
            form.amount_from = 5000.0
        policy = form.save()
        with self.assertRaises(UserError) as caught:
            policy.action_request_review()
        self.assertIn("at least one step", str(caught.exception))
        self.assertIn("what it is about", str(caught.exception))
        policy.write(
            {
                "on_vendor_bill": True,
                "step_ids": [self.step(self.controller, consents=2)],
            }
        )
        with self.assertRaises(UserError) as caught:
            policy.action_request_review()
        self.assertIn("there are 1", str(caught.exception))
        policy.step_ids.consents = 1
        policy.action_request_review()
        with self.assertRaises(UserError):
            policy.step_ids.consents = 3
        administrator.group_ids |= self.env.ref("finance_hub.group_approver")
        with self.assertRaises(UserError) as caught:
            policy.action_approve()
        self.assertIn("somebody else", str(caught.exception))
        policy.with_user(self.treasurer).action_approve()
        self.assertEqual(
            (policy.state, policy.approved_by_id.id), ("active", self.treasurer.id)
        )
        for values in ({"amount_from": 1.0}, {"state": "draft"}):
            with self.assertRaises(UserError):
                policy.write(values)
        with self.assertRaises(UserError):
            policy.unlink()
        newer = policy.browse(policy.action_new_version()["res_id"])
        self.assertEqual(
            (newer.version, newer.state, len(newer.step_ids)), (2, "draft", 1)
        )
        newer.amount_from = 1000000.0
        bill = self.draft(move_type="in_invoice")
        self.assertTrue(bill._finance_unmet(), "the old one counts until then")
        newer.action_request_review()
        newer.with_user(self.treasurer).action_approve()
        self.assertEqual((policy.state, newer.state), ("retired", "active"))
        self.assertFalse(bill._finance_unmet())
        self.end_transaction()
        codes = set(
            self.env["finance.audit.entry"]
            .search([("res_model", "=", "finance.policy")])
            .mapped("action")
        )
        self.assertLessEqual(
            {"policy.create", "policy.change", "policy.approve"}, codes
        )

    # === ABSENCE === #

    def test_delegation(self):
        """cap 99: who decided for whom; no chain, no consent to one's own."""
        self.policy(
            self.step(self.controller, 10),
            self.step(self.treasurer, 20),
            on_customer_invoice=True,
        )
        delegations = self.env["finance.delegation"]
        period = {
            "date_from": clock.naive_now() - timedelta(hours=1),
            "date_to": clock.naive_now() + timedelta(days=5),
            "reason": "On leave",
        }
        own = delegations.with_user(self.controller).create(
            {**period, "delegate_id": self.deputy.id}
        )
        self.assertEqual((own.state, own.is_current), ("active", True))
        with self.assertRaises(UserError):
            own.write({"date_to": clock.naive_now() + timedelta(days=50)})
        # A chain: what the deputy may by delegation goes no further.
        delegations.with_user(self.deputy).create(
            {**period, "delegate_id": self.users["approver"].id}
        )
        move = self.draft()
        move.action_post()
        approval = self.asked(move)
        self.assertEqual(approval.activity_ids.user_id, self.controller | self.deputy)
        with self.assertRaises(UserError):
            self.decide(approval, user=self.users["approver"])
        self.decide(approval, user=self.deputy)
        step = approval.step_ids[0]
        self.assertEqual(
            step.decided_by, "Policy Deputy on behalf of Policy Controller"
        )
        self.assertEqual(
            (step.decided_by_id, step.on_behalf_of_id), (self.deputy, self.controller)
        )
        # For somebody else: an administrator makes it, an approver confirms.
        with self.assertRaises(AccessError):
            delegations.with_user(self.deputy).create(
                {
                    **period,
                    "user_id": self.treasurer.id,
                    "delegate_id": self.deputy.id,
                }
            )
        made = delegations.with_user(self.users["administrator"]).create(
            {
                **period,
                "user_id": self.treasurer.id,
                "delegate_id": self.users["approver"].id,
            }
        )
        self.assertEqual(made.state, "to_confirm")
        with self.assertRaises(UserError):
            self.decide(approval, user=self.users["approver"])
        with self.assertRaises(UserError):
            made.with_user(self.users["approver"]).action_confirm()
        made.with_user(self.deputy).action_confirm()
        # Neither who decided, nor in whose name it was, decides once more.
        for user in (self.deputy, self.controller):
            with self.assertRaises(UserError):
                self.decide(approval, user=user)
        self.decide(approval, user=self.users["approver"])
        self.assertEqual(move.state, "posted")
        # Somebody absent who asked for it has nobody consent in their name.
        again = self.draft(30000.0)
        again.action_post()
        approval = self.asked(again)
        approval.requested_by_id = self.controller
        with self.assertRaises(UserError):
            self.decide(approval, user=self.deputy)
        approval.requested_by_id = self.clerk
        own.action_end()
        with self.assertRaises(UserError):
            self.decide(approval, user=self.deputy)
        self.later(days=10)
        self.assertFalse(delegations.search([("is_current", "=", True)]))
