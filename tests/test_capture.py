import uuid
from unittest.mock import patch

from psycopg2.errors import ForeignKeyViolation

from odoo.tests import Form, tagged
from odoo.tools import SQL, mute_logger

from ..contracts import EVENT_TYPES
from ..models.capture import payload
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestCapture(FinanceHubCommon):
    """cap 16, 17, 18, 25, 80: what happens becomes events, once, in order."""

    # === INVOICES === #

    def test_posting_writes_one_event(self):
        invoice = self.make_invoice()
        event = self.events_of(invoice)
        self.assertEqual(event.mapped("type"), ["finance.invoice.posted.v2"])
        self.assertFalse(event.problem)
        self.assertEqual(event.label, invoice.name)
        self.assertEqual(event.company_id, self.company)
        self.assertEqual(event.correlation_id, invoice.finance_correlation_id)
        self.assertEqual(event.data["total_amount"], "100.00")
        self.assertEqual(event.data["residual_amount"], "100.00")
        self.assertEqual(event.data["counterparty"]["name"], self.partner_a.name)

    def test_draft_announces_nothing(self):
        self.assertFalse(self.events_of(self.make_invoice(post=False)))

    def test_each_way_to_post(self):
        """A form and a batch raise the same event, one for each document."""
        by_screen = self.make_invoice(post=False)
        with Form(by_screen) as form:
            form.ref = "by screen"
        by_screen.action_post()
        batch = self.env["account.move"].browse()
        for _index in range(3):
            batch |= self.make_invoice(post=False)
        batch.action_post()
        for invoice in by_screen | batch:
            self.assertEqual(self.verbs_of(invoice), ["posted"], invoice.name)

    def test_cron_posts_too(self):
        invoice = self.make_invoice(post=False, auto_post="at_date")
        self.end_transaction()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            self.env(cr=cr)["account.move"]._autopost_draft_entries()
        self.env.invalidate_all()
        self.assertEqual(invoice.state, "posted")
        self.assertEqual(self.verbs_of(invoice), ["posted"])

    def test_import_posts_too(self):
        result = self.env["account.move"].load(
            [
                "move_type",
                "partner_id/.id",
                "invoice_date",
                "invoice_line_ids/name",
                "invoice_line_ids/price_unit",
            ],
            [["out_invoice", str(self.partner_a.id), "2026-01-15", "Imported", "70"]],
        )
        self.assertFalse(result["messages"])
        invoice = self.env["account.move"].browse(result["ids"])
        invoice.action_post()
        self.assertEqual(self.verbs_of(invoice), ["posted"])

    def test_objects(self):
        """Bills and credit notes are objects of their own, entries are silent."""
        for move_type, expected in payload.OBJECTS.items():
            move = self.make_invoice(move_type=move_type)
            self.assertEqual(
                self.events_of(move).type, f"finance.{expected}.posted.v2", move_type
            )
        entry = self.env["account.move"].create({"move_type": "entry"})
        self.assertFalse(self.events_of(entry))

    def test_rollback_leaves_none(self):
        invoice = self.make_invoice(post=False)
        self.end_transaction()
        before = self.env["finance.event"].search_count([])
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            invoice.action_post()
            raise ZeroDivisionError
        self.end_transaction()
        self.assertEqual(self.env["finance.event"].search_count([]), before)

    def test_nested_savepoints(self):
        """What a rolled back savepoint undid is silent, what stands is not."""
        kept, undone = self.make_invoice(post=False), self.make_invoice(post=False)
        with self.env.cr.savepoint():
            kept.action_post()
            with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
                undone.action_post()
                raise ZeroDivisionError
        self.assertEqual(self.verbs_of(kept), ["posted"])
        self.assertEqual(self.verbs_of(undone), [])

    def test_partly_and_fully_paid(self):
        invoice = self.make_invoice(100.0)
        self.events_of(invoice)
        self._pay(invoice, 40.0)
        self._pay(invoice, 60.0)
        self.assertEqual(self.verbs_of(invoice), ["posted", "partially_paid", "paid"])
        paid = self.events_of(invoice)[-1]
        self.assertEqual(paid.data["residual_amount"], "0.00")
        self.assertEqual(len(paid.data["payments"]), 2)
        self.assertEqual(
            [event.sequence for event in self.events_of(invoice)], [1, 2, 3]
        )

    def test_payment_taken_off(self):
        invoice = self.make_invoice(100.0)
        self._pay(invoice, 100.0)
        self.end_transaction()
        invoice.line_ids.remove_move_reconcile()
        self.assertEqual(self.verbs_of(invoice), ["posted", "paid", "payment_reversed"])

    def test_transient_change_is_silent(self):
        """Paid and taken off within one transaction is as if nothing was."""
        invoice = self.make_invoice(100.0)
        self.events_of(invoice)
        payment = self.env["account.payment"].create(
            self._payment_values(invoice, 100.0)
        )
        payment.action_post()
        self.end_transaction()
        lines = (payment.move_id.line_ids | invoice.line_ids).filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        before = self.verbs_of(invoice)
        lines.reconcile()
        lines.remove_move_reconcile()
        self.assertEqual(self.verbs_of(invoice), before)

    def test_reset_and_cancel(self):
        invoice = self.make_invoice()
        self.events_of(invoice)
        invoice.button_draft()
        self.assertEqual(self.verbs_of(invoice)[-1], "reset_to_draft")
        invoice.button_cancel()
        self.assertEqual(self.verbs_of(invoice)[-1], "cancelled")

    def test_cancelling_a_posted_one_is_one_event(self):
        invoice = self.make_invoice()
        self.events_of(invoice)
        invoice.button_cancel()
        self.assertEqual(self.verbs_of(invoice), ["posted", "cancelled"])

    def test_told_of_before_it_was_posted(self):
        """The first place in an aggregate is guessed, and put right if it is taken."""
        self.make_endpoint("http://127.0.0.1:8999/a", patterns="*")
        draft, other = (self.make_invoice(post=False) for _index in range(2))
        draft.button_cancel()
        self.end_transaction()
        draft.button_draft()
        self.end_transaction()
        (other | draft).action_post()
        events = self.events_of(draft)
        self.assertEqual(
            self.verbs_of(draft), ["cancelled", "reset_to_draft", "posted"]
        )
        self.assertEqual(events.mapped("sequence"), [1, 2, 3])
        self.assertEqual(self.events_of(other).mapped("sequence"), [1])
        for event in events | self.events_of(other):
            self.assertEqual(len(event.delivery_ids), 1, event.type)

    def test_deleted_in_the_same_transaction(self):
        invoice = self.make_invoice(post=False)
        self.env["finance.capture"]._note(invoice, "posted")
        invoice.unlink()
        self.end_transaction()

    # === PAYMENTS === #

    def test_payment_lifecycle(self):
        invoice = self.make_invoice(100.0)
        payment = self.env["account.payment"].create(
            self._payment_values(invoice, 30.0)
        )
        self.assertEqual(self.verbs_of(payment), ["created"])
        payment.action_post()
        self.assertEqual(self.verbs_of(payment)[-1], "in_process")
        payment.action_cancel()
        self.assertEqual(self.verbs_of(payment)[-1], "cancelled")

    # === CONTENT === #

    def test_identity_of_events(self):
        """Ids are UUIDs of their own, and nobody can make up or change an event."""
        invoices = self.make_invoice() | self.make_invoice()
        ids = self.events_of(invoices).mapped("event_id")
        self.assertEqual(len(set(ids)), 2)
        for event_id in ids:
            self.assertEqual(uuid.UUID(event_id).version, 5)

    def test_broken_content_never_stops_posting(self):
        """A contract violation is kept as an exception; accounting goes on."""
        self.make_endpoint("http://127.0.0.1:8999/x")
        broken = {"id": 17}
        with (
            patch.object(payload, "document", return_value=broken),
            self.assertLogs("odoo.addons.finance_hub", "ERROR"),
        ):
            invoice = self.make_invoice()
            event = self.events_of(invoice)
        self.assertEqual(invoice.state, "posted")
        self.assertIn("/id", event.problem)
        self.assertFalse(event.delivery_ids)
        exception = self.env["finance.exception"].search(
            [("res_model", "=", "finance.event"), ("res_id", "=", event.id)]
        )
        self.assertEqual(exception.code, "D-SCHEMA")

    def test_documents_from_before_have_a_case_too(self):
        """Documents of before the addon get a correlation id that never changes."""
        invoice = self.make_invoice(post=False)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE account_move SET finance_correlation_id = NULL WHERE id = %s",
            [invoice.id],
        )
        invoice.invalidate_recordset()
        invoice.action_post()
        event = self.events_of(invoice)
        invoice.invalidate_recordset()
        self.assertEqual(event.correlation_id, invoice.finance_correlation_id)

    def test_language_does_not_matter(self):
        """What is announced does not depend on who acts in which language."""
        self.env["res.lang"]._activate_lang("fr_FR")
        invoice = self.make_invoice(post=False)
        invoice.with_context(lang="fr_FR").action_post()
        self.assertFalse(self.events_of(invoice).problem)

    def test_queries_are_constant(self):
        """cap 16: capture costs the same number of queries for one and for many."""
        self.make_endpoint("http://127.0.0.1:8999/x")
        counts = {}
        for number in (1, 20):
            moves = self.env["account.move"].browse()
            for _index in range(number):
                moves |= self.make_invoice(post=False)
            self.end_transaction()
            self.env.invalidate_all()
            moves.action_post()
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.end_transaction()
            counts[number] = self.env.cr.sql_log_count - before
        self.assertLessEqual(counts[20], counts[1] + 3, counts)

    def test_every_verb_is_published(self):
        """No hook can raise a type that has no contract."""
        for kind in set(payload.OBJECTS.values()):
            for verb in (
                "posted",
                "partially_paid",
                "paid",
                "payment_reversed",
                "reversed",
                "cancelled",
                "reset_to_draft",
            ):
                self.assertIn(f"finance.{kind}.{verb}.v2", EVENT_TYPES)

    # === ROUTING === #

    def test_routing(self):
        """cap 24, 29: served to each subscriber by itself; types are chosen."""
        all_of_it = self.make_endpoint("http://127.0.0.1:8999/a", patterns="*")
        payments = self.make_endpoint(
            "http://127.0.0.1:8999/b",
            connector=all_of_it.connector_id,
            patterns="finance.payment.*, finance.invoice.paid",
        )
        event = self.events_of(self.make_invoice())
        self.assertEqual(event.delivery_ids.endpoint_id, all_of_it)
        invoice = self.make_invoice(100.0)
        self._pay(invoice, 100.0)
        paid = self.events_of(invoice)[-1]
        self.assertEqual(paid.delivery_ids.endpoint_id, all_of_it | payments)

    def test_two_subscriptions_one_delivery(self):
        endpoint = self.make_endpoint("http://127.0.0.1:8999/a", patterns="*")
        self.env["finance.subscription"].create(
            {
                "name": "Again",
                "endpoint_id": endpoint.id,
                "patterns": "finance.invoice.*",
            }
        )
        self.assertEqual(len(self.events_of(self.make_invoice()).delivery_ids), 1)

    def test_what_deliveries_point_to(self):
        """It can't be deleted; and what was deleted unseen gets nothing."""
        endpoint = self.make_endpoint("http://127.0.0.1:8999/a")
        delivery = self.events_of(self.make_invoice()).delivery_ids
        self.env.cr.execute("SET LOCAL finance_hub.purge = 'on'")
        for row in (delivery.event_id, delivery.subscription_id, endpoint):
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(ForeignKeyViolation) as caught,
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(
                    SQL("DELETE FROM %s WHERE id = %s", SQL(row._table), row.id)
                )
            self.assertEqual(caught.exception.diag.table_name, "finance_delivery")
        self.env.cr.execute("SET LOCAL finance_hub.purge = 'off'")
        unused = self.make_endpoint(
            "http://127.0.0.1:8999/b", connector=endpoint.connector_id
        )
        routes = self.env["finance.subscription"]._routes(
            self.company.id, "finance.invoice.posted.v2"
        )
        self.assertEqual(len(routes), 2)
        self.env.cr.execute(
            "DELETE FROM finance_subscription WHERE endpoint_id = %s", [unused.id]
        )
        event = self.events_of(self.make_invoice())
        self.assertEqual(event.delivery_ids.endpoint_id, endpoint)

    def test_only_live_connectors_get_events(self):
        endpoint = self.make_endpoint("http://127.0.0.1:8999/a")
        expected = {
            "draft": 0,
            "in_review": 0,
            "live": 1,
            "suspended": 1,
            "retired": 0,
        }
        for state, number in expected.items():
            endpoint.connector_id.state = state
            event = self.events_of(self.make_invoice())
            self.assertEqual(len(event.delivery_ids), number, state)

    def test_other_company_is_not_told(self):
        """cap 89: an endpoint gets the events of its own company only."""
        self.make_endpoint("http://127.0.0.1:8999/a")
        other = self.setup_other_company()
        invoice = (
            self.env["account.move"]
            .with_company(other["company"])
            .create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner_a.id,
                    "invoice_date": "2026-01-15",
                    "journal_id": other["default_journal_sale"].id,
                    "invoice_line_ids": [
                        (0, 0, {"name": "x", "price_unit": 5, "tax_ids": []})
                    ],
                }
            )
        )
        invoice.action_post()
        event = self.events_of(invoice)
        self.assertEqual(event.company_id, other["company"])
        self.assertFalse(event.delivery_ids)

    # === HELPERS === #

    def _payment_values(self, invoice, amount):
        return {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": invoice.partner_id.id,
            "amount": amount,
            "date": "2026-01-20",
            "journal_id": self.journal.id,
        }

    def _pay(self, invoice, amount):
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create(
                {
                    "amount": amount,
                    "payment_date": "2026-01-20",
                    "journal_id": self.journal.id,
                    "payment_difference_handling": "open",
                }
            )
        )
        wizard.action_create_payments()
        self.end_transaction()
