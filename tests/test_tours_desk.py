import json

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.inbox.finance_refusal import TALLY
from .common import ok, status
from .touring import TourCase

SECRET = "whsec_" + "A" * 32
WRONG_SECRET = "whsec_" + "B" * 32
INBOUND = "/finance/v1/inbound/tour-shop"
# The exceptions that a shop meets most, each of which the tours below solve.
COMMONEST = {
    "T-DEADLETTER",
    "T-GONE",
    "D-SCHEMA",
    "D-UNMAPPED",
    "D-DUPLICATE-PARTY",
    "B-UNMATCHED",
    "B-SHORTPAY",
    "B-RETURNED",
    "B-DISPUTE",
    "C-SIGNATURE",
}


@tagged("post_install", "-at_install")
class TestToursDesk(TourCase):
    """cap 66, 69, 94: the ten commonest exceptions, each in five clicks at most.

    All of them arise as they do in a shop: from signed calls over HTTP, and from
    receivers that fail.
    """

    def setUp(self):
        super().setUp()
        TALLY.clear()
        self.addCleanup(TALLY.clear)
        disputes = self.env["account.account"].create(
            {
                "name": "Disputes",
                "code": "109997",
                "account_type": "asset_current",
                "reconcile": True,
            }
        )
        self.shop = self.make_connector(
            "tour-shop", name="Tour Shop", dispute_account_id=disputes.id
        )
        self.secret = self.make_credential(self.shop, "inbound", SECRET)
        self.calls = 0
        self.fail_to_deliver()
        self.receive_what_does_not_fit()
        self.receive_what_goes_wrong_with_payments()
        self.process()
        self.call(self.captured("TOUR/9"), secret=WRONG_SECRET, expect=401)
        self.opened = self.env["finance.exception"].search(
            [("company_id", "=", self.company.id), ("is_open", "=", True)]
        )

    # === HOW THEY ARISE === #

    def fail_to_deliver(self):
        """One receiver is broken, the other has moved."""
        self.broken, self.moved = self.receiver(), self.receiver()
        self.endpoints = []
        for sink, name, code, answer in (
            (self.broken, "Tour Warehouse", "tour-warehouse", status(500)),
            (self.moved, "Tour Ledger", "tour-ledger", status(410)),
        ):
            sink.answers = [answer]
            connector = self.make_connector(code, name=name)
            self.endpoints.append(
                self.make_endpoint(
                    sink.url,
                    connector,
                    patterns="finance.invoice.posted",
                    name=name,
                    retry_schedule="0",
                )
            )
        self.unmatched = self.make_invoice(130.0, name="TOUR/2026/0001")
        self.dispatch()
        self.broken.answers = self.moved.answers = [ok]

    def receive_what_does_not_fit(self):
        """A message that says nothing, a code without a meaning, a party known."""
        self.known = self.env["res.partner"].create(
            {
                "name": "Tour & Sons",
                "is_company": True,
                "vat": "DE 123 456 788",
                "country_id": self.env.ref("base.de").id,
            }
        )
        self.terms = self.pay_terms_b
        self.call(b"this is no message")
        self.upsert("C-1", name="Tour Customer", payment_terms=self.terms.name)
        self.upsert("C-2", name="Harbour Trading", vat="DE123456788")

    def receive_what_goes_wrong_with_payments(self):
        """One without an invoice, one too small, one returned, one disputed."""
        self.short, self.returned, self.disputed = (
            self.make_invoice(amount, name=f"TOUR/2026/{number}")
            for amount, number in ((100.0, "0002"), (210.0, "0003"), (220.0, "0004"))
        )
        self.call(self.captured("ORDER-4711", "pay_unmatched", "130.00"))
        self.call(self.captured(self.short.name, "pay_short", "80.00"))
        self.call(self.captured(self.returned.name, "pay_returned", "210.00"))
        self.call(self.captured(self.disputed.name, "pay_disputed", "220.00"))
        self.call(
            {
                "provider_ref": "pay_returned",
                "outcome": "returned",
                "reason_code": "AM04",
                "reason": "Insufficient funds",
                "failed_at": "2026-01-24T10:00:00Z",
            },
            "payment.failed",
        )
        self.call(
            {
                "parent_ref": "pay_disputed",
                "dispute_ref": "dp_1",
                "stage": "open",
                "amount": "220.00",
                "currency": "USD",
                "disputed_at": "2026-01-26T10:00:00Z",
                "due": "2036-02-20T23:59:59Z",
            },
            "payment.disputed",
        )

    def upsert(self, external_id, **values):
        self.call(
            {
                "external_id": external_id,
                "changed_at": "2026-02-10T08:15:00Z",
                **values,
            },
            "counterparty.upsert",
        )

    def call(self, data, name="payment.captured", secret=SECRET, expect=202):
        """Call the hub as the shop does."""
        self.calls += 1
        message_id = f"tour_{self.calls}"
        body = data
        if not isinstance(data, bytes):
            body = self.cloud_event(data, message_id, f"{name}.v1")
        self.env.flush_all()
        response = self.url_open(
            INBOUND,
            data=body,
            headers=self.signed(body, secret, message_id),
            method="POST",
        )
        self.env.invalidate_all()
        self.assertEqual(response.status_code, expect, response.text)

    # === HOW THEY ARE SOLVED === #

    def test_five_clicks(self):
        """Each role does its part, beginning at the dashboard; the tours count."""
        self.assertEqual(set(self.opened.mapped("code")), COMMONEST)
        self.assertEqual(len(self.opened), len(COMMONEST))
        self.check_auditor_is_refused()
        before = self.opened.read(["state", "user_id", "write_date"])
        self.walk("finance_hub_desk_auditor", "auditor", "finance_dashboard_action")
        self.assertEqual(
            self.opened.read(["state", "user_id", "write_date"]),
            before,
            "an auditor changed nothing",
        )
        for group in ("administrator", "operator", "approver"):
            self.walk(
                f"finance_hub_desk_{group}",
                group,
                "finance_dashboard_action",
                timeout=120,
            )
        self.process()
        self.dispatch()
        self.assertEqual(
            {row.code: row.state for row in self.opened},
            {
                **dict.fromkeys(COMMONEST, "resolved"),
                "D-SCHEMA": "cancelled",
                "B-SHORTPAY": "cancelled",
            },
        )
        self.assertEqual(self.unmatched.payment_state, "paid")
        for sink, endpoint in zip(
            (self.broken, self.moved), self.endpoints, strict=True
        ):
            self.assertIn(
                self.unmatched.name,
                [event["data"]["number"] for event in sink.events[1:]],
                endpoint.name,
            )
        self.assertTrue(self.endpoints[1].url.endswith("/moved"))
        self.assertEqual(len(self.secret._secrets()), 2, "rotated")
        reference = self.env["finance.reference"].search(
            [("connector_id", "=", self.shop.id), ("external_id", "=", "C-2")]
        )
        self.assertEqual(reference.res_id, self.known.id)
        mapping = self.env["finance.mapping"].search(
            [("connector_id", "=", self.shop.id)]
        )
        self.assertEqual((mapping.state, mapping.res_id), ("approved", self.terms.id))
        waived = self.opened.filtered(lambda row: row.code == "B-SHORTPAY")
        self.assertEqual(waived.waiver_state, "granted")
        self.assertEqual(waived.waiver_requested_by_id, self.users["operator"])
        self.assertEqual(waived.resolved_by_id, self.users["approver"])

    def check_auditor_is_refused(self):
        """Whatever the screens show: the server says no, to every method there is."""
        auditor = self.users["auditor"]
        self.end_transaction()
        self.authenticate(auditor.login, auditor.login)
        exceptions = self.env["finance.exception"]
        reading = {
            f"action_open_{what}"
            for what in ("record", "trace", "audit", "payload", "same_cause")
        }
        actions = {
            name
            for name in dir(exceptions)
            if name.startswith("action_")
            and "finance_hub" in getattr(exceptions, name).__module__
        } - reading
        self.assertGreater(len(actions), 10)
        calls = [(action, []) for action in sorted(actions)]
        calls += [("write", [{"state": "resolved"}]), ("unlink", [])]
        before = self.rows()
        for exception in self.opened:
            for method, arguments in calls:
                with self.subTest(code=exception.code, method=method):
                    error = self.rpc(exception, method, *arguments)
                    self.assertEqual(
                        error["data"]["name"], "odoo.exceptions.AccessError", error
                    )
        self.assertEqual(self.rows(), before)

    @mute_logger("odoo.http", "odoo.addons.base.models.ir_model")
    def rpc(self, record, method, *arguments):
        """Call a method as a browser does; return the error it ends in."""
        response = self.url_open(
            f"/web/dataset/call_kw/{record._name}/{method}",
            data=json.dumps(
                {
                    "jsonrpc": "2.0",
                    "method": "call",
                    "params": {
                        "model": record._name,
                        "method": method,
                        "args": [record.ids, *arguments],
                        "kwargs": {},
                    },
                }
            ),
            headers={"Content-Type": "application/json"},
        )
        return response.json().get("error")

    def rows(self):
        self.env.flush_all()
        self.env.cr.execute("SELECT t::text FROM finance_exception t ORDER BY id")
        return self.env.cr.fetchall()
