import random
from collections import Counter

from psycopg2.errors import SerializationFailure

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.capture.insertion import EventRow, allot
from ..models.capture.memory import memory_of
from .common import FinanceHubCommon

SEEDS = range(4)
DEPTH = 3
SETTLED = ("paid", "in_payment")


class _Undo(Exception):
    """Rolls a savepoint back."""


@tagged("post_install", "-at_install")
class TestCaptureSavepoints(FinanceHubCommon):
    """cap 16: what is announced is what a transaction changed in the end.

    Random play with documents, payments and savepoints, against an oracle that only
    compares what the database held before and after.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.make_endpoint("http://127.0.0.1:8999/x", patterns="*")
        # Rolled back with a savepoint, as it is in the database: which documents
        # were posted in the transaction.
        cls.env.cr.execute("CREATE TEMP TABLE finance_test_posted (move_id int)")

    def test_random_play(self):
        self.told = Counter()
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.dice = random.Random(seed)
                self.moves = self.env["account.move"]
                for amount in (100.0, 200.0, 300.0):
                    self.moves |= self.make_invoice(amount, post=False)
                self.moves[0].action_post()
                self.moves[1].action_post()
                self._pay(self.moves[1])
                for _transaction in range(3):
                    self._one_transaction()
        # It was not quiet all the time.
        for verb in ("posted", "reset_to_draft", "cancelled", "paid", "completed"):
            self.assertGreater(self.told[verb], 3, self.told)

    # === PLAY === #

    def _one_transaction(self):
        self.end_transaction()
        self.env.cr.execute("TRUNCATE finance_test_posted")
        documents, payments, partials = self._documents(), self._payments(), self._all()
        self.env.cr.execute("SELECT coalesce(max(id), 0) FROM finance_event")
        [last] = self.env.cr.fetchone()
        self._play(0)
        self.end_transaction()
        self._check_documents(last, documents)
        self._check_payments(last, payments)
        self._check_reconciliations(last, partials)
        self._check_rows(last)

    def _play(self, depth):
        for _step in range(self.dice.randint(1, 4)):
            if depth < DEPTH and self.dice.random() < 0.45:
                undo = self.dice.random() < 0.5
                try:
                    with self.env.cr.savepoint():
                        self._play(depth + 1)
                        if undo:
                            raise _Undo
                except _Undo:
                    self.moves = self.moves.exists()
            else:
                self._act()

    def _act(self):
        move = self.dice.choice(list(self.moves))
        if move.state == "draft":
            self.dice.choice([self._post, self._post, self._cancel, self._new])(move)
        elif move.state == "cancel":
            move.button_draft()
        elif move.payment_state in SETTLED:
            self.dice.choice([self._unpay, self._unpay, self._draft])(move)
        else:
            actions = [self._pay, self._pay_half, self._pay, self._draft, self._cancel]
            if move.payment_state == "partial":
                actions.append(self._unpay)
            self.dice.choice(actions)(move)

    def _new(self, _move):
        self.moves |= self.make_invoice(50.0, post=False)

    def _post(self, move):
        move.action_post()
        self.env.cr.execute("INSERT INTO finance_test_posted VALUES (%s)", [move.id])

    def _draft(self, move):
        move.button_draft()

    def _cancel(self, move):
        move.button_cancel()

    def _unpay(self, move):
        move.line_ids.remove_move_reconcile()

    def _pay_half(self, move):
        self._pay(move, move.amount_residual / 2)

    def _pay(self, move, amount=None):
        wizard = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        wizard.create(
            {
                "amount": amount or move.amount_residual,
                "payment_date": "2026-01-20",
                "journal_id": self.journal.id,
                "payment_difference_handling": "open",
            }
        ).action_create_payments()

    # === ORACLE === #

    def _query(self, query, *params):
        self.env.flush_all()
        self.env.cr.execute(query, params)
        return self.env.cr.fetchall()

    def _documents(self):
        rows = self._query(
            "SELECT id, state, payment_state FROM account_move"
            " WHERE move_type = 'out_invoice'"
        )
        return {row[0]: row[1:] for row in rows}

    def _payments(self):
        return dict(self._query("SELECT id, state FROM account_payment"))

    def _all(self):
        return {
            row[0] for row in self._query("SELECT id FROM account_partial_reconcile")
        }

    def _told(self, last, model):
        told = {}
        for record, name in self._query(
            "SELECT res_id, type FROM finance_event WHERE id > %s AND res_model = %s"
            " ORDER BY id",
            last,
            model,
        ):
            verb = name.split(".")[2]
            self.told[verb] += 1
            told.setdefault(record, []).append(verb)
        return told

    def _check_documents(self, last, before):
        posted = {row[0] for row in self._query("SELECT * FROM finance_test_posted")}
        expected = {}
        for move, (state, paid) in self._documents().items():
            was_state, was_paid = before.get(move, (None, "not_paid"))
            verbs = []
            if state == "posted":
                if was_state != "posted" or move in posted:
                    verbs.append("posted")
                    was_paid = "not_paid"
                if was_paid != paid and not (was_paid in SETTLED and paid in SETTLED):
                    verbs.append(
                        "paid"
                        if paid in SETTLED
                        else "partially_paid"
                        if (was_paid, paid) == ("not_paid", "partial")
                        else "payment_reversed"
                    )
            elif state == "cancel" and was_state != "cancel":
                verbs.append("cancelled")
            elif state == "draft" and was_state in ("posted", "cancel"):
                verbs.append("reset_to_draft")
            if verbs:
                expected[move] = verbs
        told = self._told(last, "account.move")
        documents = self._documents()
        told = {move: verbs for move, verbs in told.items() if move in documents}
        self.assertEqual(told, expected)

    def _check_payments(self, last, before):
        words = {"in_process": "in_process", "paid": "paid", "canceled": "cancelled"}
        expected = {}
        for payment, state in self._payments().items():
            verbs = [] if payment in before else ["created"]
            if state in words and before.get(payment) != state:
                verbs.append(words[state])
            if verbs:
                expected[payment] = verbs
        self.assertEqual(self._told(last, "account.payment"), expected)

    def _check_reconciliations(self, last, before):
        after = self._all()
        told = Counter(
            verb
            for verbs in self._told(last, "account.partial.reconcile").values()
            for verb in verbs
        )
        groups = self._query(
            """
            SELECT DISTINCT line.matching_number
              FROM account_partial_reconcile partial
              JOIN account_move_line line ON line.id = partial.debit_move_id
             WHERE partial.id = ANY(%s)
            """,
            list(after - before),
        )
        self.assertEqual(told["completed"], len(groups))
        self.assertEqual(bool(told["undone"]), bool(before - after))
        self.assertLessEqual(told["undone"], len(before - after))

    def _check_rows(self, last):
        """Each event is the next of its aggregate, is delivered, and is up to date."""
        [(wrong,)] = self._query(
            """
            SELECT count(*) FROM (
                SELECT sequence, row_number() OVER (
                    PARTITION BY aggregate, company_id ORDER BY id) AS expected
                  FROM finance_event) numbered
             WHERE sequence != expected
            """
        )
        self.assertFalse(wrong)
        [(lonely,)] = self._query(
            """
            SELECT count(*) FROM finance_event event
             WHERE id > %s AND company_id = %s
               AND 1 != (SELECT count(*) FROM finance_delivery
                          WHERE event_id = event.id)
            """,
            last,
            self.company.id,
        )
        self.assertFalse(lonely)
        [(outdated,)] = self._query(
            """
            SELECT count(*) FROM finance_event event
              JOIN account_move move ON move.id = event.res_id
             WHERE event.id > %s AND event.res_model = 'account.move'
               AND (event.data->>'residual_amount')::numeric != move.amount_residual
            """,
            last,
        )
        self.assertFalse(outdated)

    # === CASES OF THEIR OWN === #

    def test_passed_through_in_a_savepoint(self):
        """Posted in a savepoint, taken back after it: nothing happened."""
        invoice = self.make_invoice(post=False)
        self.end_transaction()
        with self.env.cr.savepoint():
            invoice.action_post()
        invoice.button_draft()
        self.assertEqual(self.verbs_of(invoice), [])

    def test_posted_again_is_told_with_its_new_content(self):
        invoice = self.make_invoice(100.0)
        self.end_transaction()
        invoice.button_draft()
        with self.env.cr.savepoint():
            invoice.invoice_line_ids.price_unit = 70.0
        invoice.action_post()
        self.assertEqual(self.verbs_of(invoice), ["posted", "posted"])
        self.assertEqual(self.events_of(invoice)[-1].data["total_amount"], "70.00")

    def test_taken_back_with_a_savepoint_is_told_again(self):
        """A rolled back savepoint restores events that were taken back inside."""
        invoice = self.make_invoice(post=False)
        self.end_transaction()
        with self.env.cr.savepoint():
            invoice.action_post()
        with self.assertRaises(_Undo), self.env.cr.savepoint():
            invoice.button_draft()
            with self.env.cr.savepoint():
                invoice.ref = "changed"
            raise _Undo
        self.assertEqual(self.verbs_of(invoice), ["posted"])

    def test_committed_events_stay(self):
        """Only events of the running transaction can be taken back."""
        # Connections of their own: it is about what is committed.
        with self.registry.cursor() as cr:
            cr.execute(
                """
                INSERT INTO finance_event (event_id, type, aggregate, sequence,
                    company_id, source, subject, label, occurred_at, correlation_id,
                    actor, data, res_model, res_id)
                SELECT 'committed', 'finance.connector.ping.v1', 'test/1', 1, min(id),
                    '/', 'x', 'x', now(), 'x', 'test', '{}', 'res.partner', 1
                  FROM res_company RETURNING id
                """
            )
            [event] = cr.fetchone()
        self.addCleanup(self._purge, event)
        with self.registry.cursor() as cr, mute_logger("odoo.sql_db"):
            for query in (
                "DELETE FROM finance_event WHERE id = %s",
                "UPDATE finance_event SET label = 'y' WHERE id = %s",
            ):
                with self.assertRaisesRegex(Exception, "append-only"):
                    cr.execute(query, [event])
                cr.rollback()

    def test_the_same_number_twice_is_tried_again(self):
        """Two transactions with the same next event: the later one is to be retried.

        Odoo and queue_job do so for serialization failures, not for a violated index.
        """
        first, second = self.registry.cursor(), self.registry.cursor()
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        second.execute("SELECT 1")
        [(event, row)] = self._insert(first)
        self.addCleanup(self._purge, event)
        first.commit()
        with mute_logger("odoo.sql_db"), self.assertRaises(SerializationFailure):
            self._insert(second)
        self.assertEqual(row.label, "x")

    def test_ids_belong_to_a_transaction_that_is_known(self):
        """A reader of what was under way must know of those who have an id."""
        with self.registry.cursor() as cr:
            [event] = allot(cr, memory_of(cr), 1)
            cr.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
            self.assertEqual(cr.fetchone(), (True,))
            self.assertLess(event, allot(cr, memory_of(cr), 2)[0])

    def _insert(self, cr):
        cr.execute("SELECT min(id) FROM res_company")
        [company] = cr.fetchone()
        row = EventRow(
            event_id="twice",
            type="finance.connector.ping.v1",
            aggregate="test/2",
            sequence=1,
            company_id=company,
            source="/",
            subject="x",
            label="x",
            occurred_at="2026-01-15 00:00:00",
            correlation_id="x",
            causation_id=None,
            actor="test",
            data="{}",
            problem=None,
            res_model="res.partner",
            res_id=1,
        )
        env = self.env(cr=cr)
        return env["finance.capture"]._insert_events([row])

    def _purge(self, event):
        with self.registry.cursor() as cr:
            cr.execute("SET LOCAL finance_hub.purge = 'on'")
            cr.execute("DELETE FROM finance_event WHERE id = %s", [event])
