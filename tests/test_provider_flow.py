import copy
import json
import random

from odoo.tests import tagged

from ..providers import ADAPTERS
from .test_payments_capture import PaymentsCommon

AT = 1_768_900_000  # 2026-01-20


def stripe(number, kind, thing, after):
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": kind,
        "created": AT + after,
        "livemode": False,
        "pending_webhooks": 1,
        "data": {"object": thing},
    }


@tagged("post_install", "-at_install")
class TestProviderFlow(PaymentsCommon):
    """cap 31, 32: a provider's events, in any order and number, book once."""

    def deliver(self, connector, bodies):
        """Receive bodies as they come over HTTP, and process them."""
        adapter = ADAPTERS[connector.adapter]
        for body in bodies:
            raw = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            self.env["finance.message"]._receive(
                connector,
                adapter.external_id(headers, raw),
                raw,
                headers,
                "127.0.0.1",
                "test",
                fingerprint=adapter.fingerprint(headers, raw),
            )
        self.process()

    def provider(self, adapter, **values):
        type(self).counter += 1
        return self.make_connector(
            f"{adapter}-{self.counter}",
            adapter=adapter,
            fee_account_id=self.fees.id,
            dispute_account_id=self.disputes.id,
            adjustment_account_id=self.adjustments.id,
            **values,
        )

    def life_of_a_stripe_payment(self, invoice, ref):
        charge = {
            "id": f"ch_{ref}",
            "object": "charge",
            "amount": 10000,
            "amount_captured": 10000,
            "captured": True,
            "currency": "usd",
            "metadata": {"invoice": invoice.name},
            "payment_intent": f"pi_{ref}",
            "status": "succeeded",
        }
        intent = {
            "id": f"pi_{ref}",
            "object": "payment_intent",
            "amount": 10000,
            "amount_received": 10000,
            "currency": "usd",
            "latest_charge": f"ch_{ref}",
            "metadata": {"invoice": invoice.name},
            "status": "succeeded",
        }
        refund = {
            "id": f"re_{ref}",
            "object": "refund",
            "amount": 3000,
            "charge": f"ch_{ref}",
            "created": AT + 50,
            "currency": "usd",
            "payment_intent": f"pi_{ref}",
            "status": "succeeded",
        }
        listed = {**charge, "refunds": {"object": "list", "data": [refund]}}
        created = {**intent, "amount_received": 0, "status": "requires_action"}
        return [
            stripe(f"{ref}1", "payment_intent.created", created, 0),
            stripe(f"{ref}2", "charge.succeeded", charge, 10),
            stripe(f"{ref}3", "payment_intent.succeeded", intent, 10),
            stripe(f"{ref}4", "refund.created", refund, 50),
            stripe(f"{ref}5", "charge.refunded", listed, 51),
            stripe(f"{ref}6", "customer.created", {"id": "c", "object": "customer"}, 1),
        ]

    def state(self, connector, ref):
        """Return what a payment came to: statuses, bookings, open commands."""
        transaction = self.env["finance.transaction"].search(
            [("connector_id", "=", connector.id), ("provider_ref", "=", ref)]
        )
        payments = self.env["account.payment"].search(
            [("finance_provider_ref", "=like", f"%{ref.partition('_')[2]}")]
        )
        commands = self.env["finance.command"].search(
            [("connector_id", "=", connector.id)]
        )
        return {
            "execution": transaction.execution,
            "refund": transaction.refund,
            "payments": sorted(
                (payment.payment_type, payment.amount) for payment in payments
            ),
            "states": set(commands.mapped("state")),
            "faults": sorted(
                f"{command.type}: {command.error}"
                for command in commands
                if command.state not in ("applied", "ignored")
            ),
        }

    def test_stripe_books_once_in_any_order(self):
        states = []
        for seed in range(4):
            invoice = self.make_invoice(100.0)
            connector = self.provider("stripe")
            bodies = self.life_of_a_stripe_payment(invoice, f"s{seed}")
            again = copy.deepcopy(bodies)
            for body in again:
                body["pending_webhooks"] = 0
            order = [*bodies, *again]
            if seed:
                random.Random(seed).shuffle(order)
            self.deliver(connector, order)
            self.assertEqual(
                self.env["finance.message"].search_count(
                    [("connector_id", "=", connector.id)]
                ),
                len(bodies),
            )
            states.append(self.state(connector, f"pi_s{seed}"))
        self.assertEqual(states[0]["faults"], [])
        self.assertEqual(states[0]["execution"], "captured")
        self.assertEqual(states[0]["refund"], "partial")
        self.assertEqual(
            states[0]["payments"], [("inbound", 100.0), ("outbound", 30.0)]
        )
        self.assertEqual(states[0]["states"], {"applied", "ignored"})
        for state in states[1:]:
            self.assertEqual(state, states[0])

    def test_adyen_books_once_in_any_order(self):
        states = []
        for seed in range(3):
            invoice = self.make_invoice(100.0)
            connector = self.provider("adyen")
            item = {
                "amount": {"currency": "USD", "value": 10000},
                "eventCode": "AUTHORISATION",
                "eventDate": "2026-01-20T10:00:00+01:00",
                "merchantAccountCode": "Shop",
                "merchantReference": invoice.name,
                "pspReference": f"psp_a{seed}",
                "success": "true",
            }
            capture = {
                **item,
                "eventCode": "CAPTURE",
                "eventDate": "2026-01-20T11:00:00+01:00",
                "originalReference": f"psp_a{seed}",
                "pspReference": f"cap_a{seed}",
            }
            refund = {
                **capture,
                "amount": {"currency": "USD", "value": 3000},
                "eventCode": "REFUND",
                "eventDate": "2026-01-21T11:00:00+01:00",
                "pspReference": f"ref_a{seed}",
            }
            items = [item, capture, refund, capture]
            if seed:
                random.Random(seed).shuffle(items)
            self.deliver(
                connector,
                [
                    {
                        "live": "false",
                        "notificationItems": [{"NotificationRequestItem": each}],
                    }
                    for each in items
                ],
            )
            states.append(self.state(connector, f"psp_a{seed}"))
        self.assertEqual(states[0]["faults"], [])
        self.assertEqual(states[0]["execution"], "captured")
        self.assertEqual(states[0]["refund"], "partial")
        self.assertEqual(
            states[0]["payments"], [("inbound", 100.0), ("outbound", 30.0)]
        )
        self.assertEqual(states[0]["states"], {"applied"})
        for state in states[1:]:
            self.assertEqual(state, states[0])

    def test_paypal_brings_payment_and_fee(self):
        invoice = self.make_invoice(100.0)
        connector = self.provider("paypal")

        def money(value):
            return {"currency_code": "USD", "value": value}

        capture = {
            "id": "CAP_p1",
            "status": "COMPLETED",
            "amount": money("100.00"),
            "invoice_id": invoice.name,
            "seller_receivable_breakdown": {
                "gross_amount": money("100.00"),
                "paypal_fee": money("3.20"),
                "net_amount": money("96.80"),
            },
            "create_time": "2026-01-20T10:00:00Z",
        }
        body = {
            "id": "WH-p1",
            "create_time": "2026-01-20T10:00:05Z",
            "event_type": "PAYMENT.CAPTURE.COMPLETED",
            "resource": capture,
        }
        self.deliver(connector, [body, body])
        state = self.state(connector, "CAP_p1")
        self.assertEqual(state["payments"], [("inbound", 100.0)])
        self.assertEqual(state["states"], {"applied"})
        self.assertEqual(self.balance(self.fees), 3.20)

    def test_gocardless_without_an_amount_asks_a_person(self):
        connector = self.provider("gocardless")
        event = {
            "id": "EV1",
            "created_at": "2026-01-20T10:00:00.000Z",
            "resource_type": "payments",
            "action": "confirmed",
            "links": {"payment": "PM_g1"},
        }
        webhook = {"events": [event], "meta": {"webhook_id": "WB1"}}
        self.deliver(connector, [webhook])
        state = self.state(connector, "PM_g1")
        self.assertEqual(state["faults"], [])
        self.assertEqual((state["execution"], state["payments"]), ("unknown", []))
        # With the amount, it is booked.
        invoice = self.make_invoice(100.0)
        known = {
            **event,
            "id": "EV2",
            "resource_metadata": {
                "invoice": invoice.name,
                "amount": "100.00",
                "currency": "USD",
            },
        }
        self.deliver(connector, [{"events": [known], "meta": {"webhook_id": "WB2"}}])
        state = self.state(connector, "PM_g1")
        self.assertEqual(state["execution"], "captured")
        self.assertEqual(state["payments"], [("inbound", 100.0)])
