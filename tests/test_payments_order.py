import random
from itertools import permutations

from odoo.tests import tagged

from .test_payments_back import BackCommon

# Orders of arrival that are tried of all there are; the seed makes them the same each
# time.
SAMPLE, SEED = 5, 7
AXES = (
    "execution",
    "settlement",
    "refund",
    "dispute",
    "accounting",
    "reconciliation",
)


@tagged("post_install", "-at_install")
class TestAnyOrder(BackCommon):
    """Any order and any repetition gives the same statuses and the same books."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.invoice = cls.make_invoice(100.0)

    def life(self):
        """Return what is reported of one payment, in the order in which it happened."""
        moment = "2026-01-{:02d}T10:00:00Z".format
        payment = {"provider_ref": "pay_1", "currency": "USD"}
        refund = {
            "parent_ref": "pay_1",
            "refund_ref": "re_1",
            "amount": "30.00",
            "currency": "USD",
        }
        dispute = {
            "parent_ref": "pay_1",
            "dispute_ref": "dp_1",
            "amount": "70.00",
            "currency": "USD",
        }
        return [
            (
                "payment.authorised",
                {
                    **payment,
                    "amount": "100.00",
                    "authorised_at": moment(18),
                    "document_ref": self.invoice.name,
                },
            ),
            (
                "payment.failed",
                {
                    "provider_ref": "pay_1",
                    "outcome": "failed",
                    "reason_code": "51",
                    "failed_at": moment(17),
                },
            ),
            (
                "payment.captured",
                self.captured(self.invoice.name, "pay_1", "100.00"),
            ),
            (
                "payment.settled",
                {
                    **payment,
                    "gross": "100.00",
                    "fee": "2.00",
                    "net": "98.00",
                    "settled_at": moment(21),
                    "value_date": "2026-01-22",
                },
            ),
            (
                "payment.refunded",
                {**refund, "refunded_at": moment(23), "status": "pending"},
            ),
            ("payment.refunded", {**refund, "refunded_at": moment(24)}),
            (
                "payment.refunded",
                {**refund, "refunded_at": moment(27), "status": "failed"},
            ),
            (
                "payment.disputed",
                {**dispute, "stage": "open", "disputed_at": moment(25)},
            ),
            (
                "payment.disputed",
                {**dispute, "stage": "won", "disputed_at": moment(29)},
            ),
            (
                "payout.released",
                self.payout_data(
                    [
                        self.line("pay_1", "100.00", "2.00"),
                        self.line("re_1", "-30.00", kind="refund", parent_ref="pay_1"),
                        self.line(
                            "dp_1",
                            "-70.00",
                            "5.00",
                            kind="chargeback",
                            parent_ref="pay_1",
                        ),
                    ],
                    net="-7.00",
                ),
            ),
            (
                "payout.released",
                self.payout_data(
                    [
                        self.line("re_1", "30.00", kind="refund_reversal"),
                        self.line("dp_1", "70.00", kind="chargeback_reversal"),
                    ],
                    ref="po_0002",
                    released_at="2026-02-20T06:00:00Z",
                    value_date="2026-02-20",
                ),
            ),
            ("bank", {"amount": -7.0, "text": "po_0001", "date": "2026-02-12"}),
            ("bank", {"amount": 100.0, "text": "po_0002", "date": "2026-02-20"}),
        ]

    def outcome(self, steps):
        """Report ``steps`` and return what came of them; all is undone after."""
        savepoint = self.env.cr.savepoint()
        try:
            for name, data in steps:
                if name == "bank":
                    self.bank_line(**data)
                else:
                    self.apply(name, **data)
            self.process()
            transactions = self.env["finance.transaction"].search([])
            return (
                {
                    transaction.provider_ref: tuple(transaction[axis] for axis in AXES)
                    for transaction in transactions
                },
                self.trial_balance(),
                self.open_items(self.outstanding),
                self.env["finance.payout"].search([]).mapped("state"),
                self.env["finance.command"].search_count(
                    [("state", "not in", ("applied", "ignored"))]
                ),
            )
        finally:
            savepoint.close(rollback=True)
            self.env.invalidate_all()
            self.end_transaction()

    def test_any_order(self):
        life = self.life()
        expected = self.outcome(life)
        statuses, balance, pending, payouts, left = expected
        self.assertEqual(
            statuses["pay_1"],
            ("captured", "paid_out", "failed", "won", "posted", "reconciled"),
        )
        self.assertEqual((pending, left), ([], 0))
        self.assertEqual(payouts, ["reconciled", "reconciled"])
        self.assertEqual(balance[self.fees.code], 7.0)
        self.assertEqual(balance[self.bank.code], 93.0)
        draw = random.Random(SEED)
        orders = [life[::-1]]
        for _index in range(SAMPLE):
            order = life + draw.sample(
                [step for step in life if step[0] != "bank"], k=4
            )
            draw.shuffle(order)
            orders.append(order)
        for order in orders:
            with self.subTest(order=[name for name, _data in order]):
                self.assertEqual(self.outcome(order), expected)

    def test_every_order_of_what_takes_money_back(self):
        life = [step for step in self.life() if step[0].startswith("payment.")]
        first, rest = life[2], [life[5], life[7], life[8]]
        expected = None
        for order in permutations(rest):
            found = self.outcome([first, *order])
            expected = expected or found
            with self.subTest(order=[data.get("stage", name) for name, data in order]):
                self.assertEqual(found, expected)
