from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from odoo.tests import TransactionCase, tagged

from ..models import constants
from ..models.inbox.finance_refusal import TALLY, Tally
from .test_inbound import OTHER_SECRET, SECRET, InboundCase


@tagged("post_install", "-at_install")
class TestInboundRefusals(InboundCase):
    """cap 41, 96: who is refused leaves a trace that no flood can blow up."""

    def setUp(self):
        super().setUp()
        self.body = self.cloud_event(self.captured("INV/1"))
        self.wrong = self.sign(self.body, secret=OTHER_SECRET)

    def refuse(self, number=1, headers=None, body=None):
        """Have calls refused, each written at once."""
        for _index in range(number):
            TALLY.clear()
            response = self.post(
                self.body if body is None else body,
                self.wrong if headers is None else headers,
            )
            self.assertEqual(response.status_code, 401)

    # === RECORDS === #

    def test_record(self):
        self.refuse()
        row = self.refusals()
        self.assertEqual(row.code, "no_matching_signature")
        self.assertEqual(row.connector_id, self.connector)
        self.assertEqual(row.company_id, self.company)
        self.assertEqual((row.remote_addr, row.called), ("127.0.0.1", "shop"))
        self.assertEqual((row.number, row.size), (1, len(self.body)))
        self.assertEqual(len(row.sha256), 64)
        self.assertIn("same secret", row.detail)
        self.assertIn("Webhook-Signature", row.header_names)
        # Nothing of what was sent.
        text = str(row.read())
        for secret in (SECRET, OTHER_SECRET, "INV/1", self.wrong["webhook-signature"]):
            self.assertNotIn(secret, text)

    def test_one_row_a_minute_and_reason(self):
        moment = datetime.now(timezone.utc).replace(second=5)
        self.set_clock(moment)
        self.wrong = self.sign(self.body, secret=OTHER_SECRET, at=moment)
        self.refuse(3)
        self.assertEqual(self.refusals().mapped("number"), [3])
        self.refuse(headers={})
        self.assertEqual(
            {row.code: row.number for row in self.refusals()},
            {"no_matching_signature": 3, "missing_header": 1},
        )
        self.set_clock(moment + timedelta(minutes=1))
        self.refuse()
        self.assertEqual(len(self.refusals()), 3)

    def test_unknown_connector(self):
        self.post(self.body, self.wrong, "nope")
        row = self.refusals()
        self.assertEqual((row.code, row.called), ("unknown_connector", "nope"))
        self.assertFalse(row.connector_id or row.company_id)
        self.assertFalse(self.exceptions("C-SIGNATURE"))

    def test_flood_is_counted_and_not_written(self):
        """Between two writings nothing but a number in memory grows."""
        # However slow the machine is.
        with patch.object(TALLY, "_interval", 3600):
            self.post(self.body, self.wrong)
            for _index in range(30):
                self.post(self.body, self.wrong)
        self.assertEqual(sum(self.refusals().mapped("number")), 1)
        with patch.object(TALLY, "_interval", 0):
            self.post(self.body, self.wrong)
        self.assertEqual(sum(self.refusals().mapped("number")), 32, "none is lost")
        self.assertLessEqual(len(self.refusals()), 2)

    def test_addresses_are_capped(self):
        refusals = self.env["finance.refusal"]
        gate = self.env["finance.connector"]._inbound_gate("shop")
        with self.enter_registry_test_mode(), patch.object(TALLY, "_interval", 0):
            for number in range(constants.REFUSAL_ADDRESSES + 20):
                refusals._note(
                    gate, "shop", f"2001:db8::{number:x}", "missing_header", "x"
                )
        rows = self.refusals()
        minutes = len(set(rows.mapped("minute")))
        self.assertLessEqual(len(rows), (constants.REFUSAL_ADDRESSES + 1) * minutes)
        self.assertEqual(sum(rows.mapped("number")), constants.REFUSAL_ADDRESSES + 20)
        self.assertTrue(rows.filtered(lambda row: not row.remote_addr))

    def test_rows_go_after_their_time(self):
        self.refuse()
        row = self.refusals()
        row._gc_refusals()
        self.assertTrue(row.exists())
        self.later(days=constants.REFUSAL_KEPT.days + 1)
        row._gc_refusals()
        self.assertFalse(row.exists())

    # === EXCEPTIONS === #

    def test_a_stray_call_is_no_exception(self):
        """An address on the internet is found by anybody."""
        self.refuse(constants.REFUSAL_THRESHOLD - 1, headers={})
        self.assertFalse(self.exceptions("C-SIGNATURE"))
        self.refuse(headers={})
        exception = self.exceptions("C-SIGNATURE")
        self.assertEqual(exception.occurrences, constants.REFUSAL_THRESHOLD)
        self.refuse(2)
        self.assertEqual(exception.occurrences, constants.REFUSAL_THRESHOLD + 2)
        self.assertEqual(len(self.exceptions("C-SIGNATURE")), 1)
        self.assertEqual(
            (exception.res_model, exception.res_id),
            ("finance.credential", self.credential.id),
            "the secret, which is what to compare or rotate",
        )
        self.assertIn("127.0.0.1", exception.cause)

    def test_slow_refusals_are_not_many(self):
        moment = datetime.now(timezone.utc)
        for number in range(constants.REFUSAL_THRESHOLD + 1):
            self.set_clock(moment + number * 2 * constants.REFUSAL_WINDOW)
            self.refuse(headers={})
        self.assertFalse(self.exceptions("C-SIGNATURE"))

    def test_who_was_verified_before_is_told_of_at_once(self):
        self.assertEqual(self.send(self.body).status_code, 202)
        self.refuse(headers={})
        self.assertFalse(self.exceptions("C-SIGNATURE"), "not even signed")
        self.refuse()
        self.assertEqual(self.exceptions("C-SIGNATURE").occurrences, 2)
        self.assertEqual(self.connector.refusal_count, 2)

    def test_replayed(self):
        """A message that was taken in comes again with its old signature."""
        old = datetime.now(timezone.utc) - timedelta(minutes=4)
        headers = self.sign(self.body, at=old)
        self.assertEqual(self.post(self.body, headers).status_code, 202)
        self.later(minutes=30)
        TALLY.clear()
        response = self.post(self.body, headers)
        self.assertProblem(response, 401, "C-REPLAYED")
        exception = self.exceptions("C-REPLAYED")
        self.assertEqual(exception.occurrences, 1)
        self.assertFalse(self.exceptions("C-SIGNATURE"))
        self.assertEqual(self.refusals().code, "timestamp_too_old")
        self.assertEqual(len(self.messages()), 1)

    def test_old_and_never_seen_is_no_replay(self):
        old = datetime.now(timezone.utc) - timedelta(hours=1)
        response = self.post(self.body, self.sign(self.body, OTHER_SECRET, at=old))
        self.assertProblem(response, 401, "C-SIGNATURE")
        self.assertFalse(self.exceptions("C-REPLAYED"))


@tagged("post_install", "-at_install")
class TestTally(TransactionCase):
    """What a server process counts in memory is bounded."""

    def test_entries_are_bounded(self):
        tally = Tally(0, 10)
        for number in range(1000):
            tally.add("db", ("minute", 1, f"10.0.0.{number}", "x"), {})
        entries = tally.take("db")
        self.assertLessEqual(len(entries), 11)
        self.assertEqual(sum(number for number, _facts in entries.values()), 1000)

    def test_given_back(self):
        tally = Tally(0, 10)
        tally.add("db", ("minute", 1, "a", "x"), {"detail": "one"})
        taken = tally.take("db")
        tally.add("db", ("minute", 1, "a", "x"), {"detail": "two"})
        tally.give_back("db", taken)
        self.assertEqual(tally.take("db")["minute", 1, "a", "x"][0], 2)
        self.assertFalse(tally.take("db"))

    def test_databases_are_apart(self):
        tally = Tally(60, 10)
        tally.add("one", ("minute", 1, "a", "x"), {})
        self.assertFalse(tally.take("two"))
        self.assertTrue(tally.take("one"))
        tally.add("one", ("minute", 1, "a", "x"), {})
        self.assertFalse(tally.take("one"), "not so soon again")
