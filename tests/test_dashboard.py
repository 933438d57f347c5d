from datetime import datetime, timedelta, timezone

from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..models import clock
from .common import FinanceHubCommon, ok, status

NOW = datetime(2026, 3, 10, 10, 30, tzinfo=timezone.utc)


@tagged("post_install", "-at_install")
class TestDashboard(FinanceHubCommon):
    """cap 82, 83, 84: what needs somebody, what moves, what is stuck."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(self.sink.url, retry_schedule="0")
        self.operator = self.users["operator"]

    def board(self, user=None, period="day"):
        self.env.flush_all()
        self.env["finance.tally"]._count()
        model = self.env["finance.dashboard"].with_user(user or self.operator)
        return model.load(period)

    def tile(self, board, key, part="needs"):
        tiles = board[part] if part == "needs" else board[part]["tiles"]
        (tile,) = [tile for tile in tiles if tile["key"] == key]
        return tile

    def behind(self, tile, user=None):
        """Return what the list behind a figure shows."""
        action = tile["action"]
        rows = self.env[action["res_model"]]
        return (rows.with_user(user) if user else rows).search(action["domain"])

    def test_what_was_given_up_is_seen_and_can_be_opened(self):
        before = self.tile(self.board(), "dead", "stuck")["number"]
        self.sink.answers = [status(500)]
        self.make_invoice()
        self.dispatch()
        board = self.board()
        dead = self.tile(board, "dead", "stuck")
        self.assertGreater(dead["number"], before)
        self.assertEqual(len(self.behind(dead)), dead["number"])
        self.assertEqual(dead["level"], "danger")
        nobodys = self.tile(board, "unassigned")
        self.assertEqual(len(self.behind(nobodys)), nobodys["number"])

    def test_mine_and_overdue(self):
        self.sink.answers = [status(500)]
        self.make_invoice()
        self.dispatch()
        exception = self.env["finance.exception"].search(
            [("connector_id", "=", self.endpoint.connector_id.id)], limit=1
        )
        exception.with_user(self.operator).action_assign_to_me()
        board = self.board()
        self.assertIn(exception, self.behind(self.tile(board, "mine")))
        self.assertNotIn(exception, self.behind(self.tile(board, "overdue")))
        self.set_clock(clock.now() + timedelta(days=2))
        self.assertIn(exception, self.behind(self.tile(self.board(), "overdue")))

    def test_decisions_of_others_wait_for_an_approver(self):
        """cap 57, 93: what is one's turn, and nothing one asked for oneself."""
        approver, operator = self.users["approver"], self.operator
        invoice = self.make_invoice(post=False)
        approval = self.env["finance.approval"].with_user(operator).sudo()
        approval = approval._request(invoice, title="Post it")
        policy = self.env["finance.policy"].create(
            {
                "name": "Large bills",
                "company_id": self.company.id,
                "on_vendor_bill": True,
                "step_ids": [(0, 0, {"name": "One"})],
            }
        )
        glass = self.env["finance.break.glass"].create(
            {
                "user_id": operator.id,
                "company_id": self.company.id,
                "reason": "Because",
            }
        )
        policy.write(
            {"state": "in_review", "requested_by_id": self.users["administrator"].id}
        )
        glass.state = "ended"
        board = self.board(approver)
        for key, row in (
            ("approvals", approval),
            ("policies", policy),
            ("emergencies", glass),
        ):
            tile = self.tile(board, key)
            self.assertIn(row, self.behind(tile, approver).sudo(), key)
        policy.requested_by_id = glass.user_id = approver
        keys = {tile["key"] for tile in self.board(approver)["needs"]}
        self.assertFalse({"policies", "emergencies"} & keys)
        keys = {tile["key"] for tile in self.board(operator)["needs"]}
        self.assertNotIn("approvals", keys)

    def test_the_most_urgent_are_shown_themselves(self):
        """One's own and nobody's, the worst first; not what others work on."""

        def make(name, code="B-UNMATCHED", **values):
            exception = self.env["finance.exception"]._open(
                code,
                company=self.env.company,
                record=self.endpoint,
                fingerprint=name,
                summary=name,
                cause="It fits nothing.",
                amount=10.5,
                currency=self.env.company.currency_id,
            )
            exception.write(values)
            return exception

        mine = make("mine", user_id=self.operator.id)
        worst = make("worst", "C-SIGNATURE")
        late = make("late", due_at="2020-01-01 00:00:00")
        make("another's", user_id=self.users["approver"].id)
        make("put off", snoozed_until="2099-01-01 00:00:00")
        make("tried again", state="in_progress")
        rows = self.board()["urgent"]
        self.assertEqual([row["id"] for row in rows], [worst.id, late.id, mine.id])
        self.assertEqual([row["overdue"] for row in rows], [False, True, False])
        self.assertIn("10.50", rows[1]["amount"])
        self.assertEqual(rows[0]["level"], "danger")

    def test_what_moved_is_counted_by_hour(self):
        board = self.board()
        events = {s["key"]: s["numbers"] for s in board["trends"]["series"]}
        before = sum(events["event"])
        self.sink.answers = [ok]
        self.make_invoice()
        self.end_transaction()
        told = self.env["finance.event"].search_count(
            [("res_model", "=", "account.move")], limit=1
        )
        self.assertTrue(told)
        after = {s["key"]: s["numbers"] for s in self.board()["trends"]["series"]}
        self.assertGreater(sum(after["event"]), before)
        self.assertEqual(len(after["event"]), 24)
        self.assertEqual(
            len(self.board(period="month")["trends"]["series"][0]["numbers"]), 30
        )
        self.assertEqual(
            len(self.board(period="week")["trends"]["series"][0]["numbers"]), 28
        )

    def test_counting_twice_counts_once(self):
        self.make_invoice()
        self.end_transaction()
        tally = self.env["finance.tally"]
        tally._count()
        first = tally.search([("kind", "=", "event")]).mapped("number")
        tally._count()
        self.assertEqual(tally.search([("kind", "=", "event")]).mapped("number"), first)

    def test_connectors_show_their_health(self):
        board = self.board()
        names = [connector["name"] for connector in board["connectors"]]
        self.assertIn(self.endpoint.connector_id.name, names)

    def test_the_money_at_stake_is_added_up(self):
        before = {row["key"]: row["text"] for row in self.board()["stuck"]["money"]}
        self.env["finance.exception"]._open(
            "B-UNMATCHED",
            company=self.env.company,
            record=self.endpoint,
            fingerprint="dashboard",
            summary="A payment fits nothing",
            cause="It fits nothing.",
            amount=1234.5,
            currency=self.env.company.currency_id,
        )
        after = {row["key"]: row["text"] for row in self.board()["stuck"]["money"]}
        name = self.env.company.currency_id.name
        self.assertNotEqual(after[name], before.get(name))

    def test_an_approver_sees_what_waits_for_consent(self):
        connector = self.make_connector("dash-review", state="draft")
        connector.sudo().write(
            {"state": "in_review", "requested_by_id": self.env.ref("base.user_root").id}
        )
        tile = self.tile(self.board(self.users["approver"]), "connectors")
        self.assertIn(connector, self.behind(tile))
        keys = {tile["key"] for tile in self.board()["needs"]}
        self.assertNotIn("connectors", keys)

    def test_the_checklist_is_for_administrators_until_it_works(self):
        self.sink.answers = [ok]
        self.make_invoice()
        self.dispatch()
        self.assertEqual(self.board(self.users["administrator"])["checklist"], [])
        self.assertEqual(self.board()["checklist"], [])

    def test_not_for_others(self):
        outsider = self.env["res.users"].create(
            {"name": "Outsider", "login": "outsider-dash"}
        )
        with self.assertRaises(AccessError):
            self.board(outsider)
