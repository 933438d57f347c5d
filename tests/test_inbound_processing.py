import json
from contextlib import contextmanager
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..models import constants
from ..models.inbox import processing
from ..models.inbox.aggregates import aggregate_of, track_of
from ..models.inbox.wakeup import Waker
from ..models.ledger.errors import CommandWaits
from ..providers import ADAPTERS, Adapter, ParsedCommand
from ..providers.canonical import ADAPTER
from .common import FinanceHubCommon

LOGGER = "odoo.addons.finance_hub.models.inbox.processing"
SECRET_TEXT = "Payer Of Great Privacy"


class ProcessingCase(FinanceHubCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("shop")
        cls.handler = type(cls.env["finance.handler.payment.captured"])

    def take(self, number, connector=None, provider_ref=None, **values):
        """Receive a message ``msg_<number>`` about a payment of its own."""
        message_id = f"msg_{number}"
        data = self.captured(f"REF-{number}", provider_ref or f"pay_{number}", **values)
        body = self.cloud_event(data, message_id)
        _outcome, message = self.receive(connector or self.connector, body, message_id)
        return message

    @contextmanager
    def handling(self, handle=None):
        """Replace what a capture does; give the references in the order of it."""
        seen = []

        def _handle(handler, command, content):
            seen.append(content.document_ref)
            if handle:
                handle(handler, command, content)

        with patch.object(self.handler, "_handle", _handle):
            yield seen

    def round(self):
        self.end_transaction()
        with self.enter_registry_test_mode():
            busy = processing.Processor(self.env.registry).round()
        self.env.invalidate_all()
        return busy


@tagged("post_install", "-at_install")
class TestInboundProcessing(ProcessingCase):
    """cap 38, 39, 40: in order, in batches, and nobody waits for what is stuck."""

    # === ORDER === #

    def test_aggregates(self):
        self.assertEqual(aggregate_of({"provider_ref": "a"}), "a")
        self.assertEqual(aggregate_of({"provider_ref": "b", "parent_ref": "a"}), "a")
        self.assertEqual(aggregate_of({"account": {"iban": "X"}}), '{"iban": "X"}')
        self.assertTrue(aggregate_of({"account": "x" * 900}).startswith("sha256:"))
        for data in ({}, {"amount": "1"}, {"provider_ref": ""}, [], None):
            self.assertIsNone(aggregate_of(data))
        self.assertEqual(track_of("a", 1), track_of("a", 2))
        self.assertEqual(
            {track_of(f"pay_{number}", 0) for number in range(200)},
            set(range(constants.TRACKS)),
        )

    def test_one_object_in_order(self):
        for number in range(1, 9):
            self.take(number, parent_ref="order_1")
        with self.handling() as seen:
            self.process()
        self.assertEqual(seen, [f"REF-{number}" for number in range(1, 9)])

    @mute_logger(LOGGER)
    def test_what_is_tried_again_is_not_overtaken(self):
        """Those of the same object wait for it; all others go on."""
        for number in range(1, 4):
            self.take(number, parent_ref="order_1")
        others = [self.take(number) for number in range(10, 20)]

        def fail(_handler, _command, content):
            if content.document_ref == "REF-1":
                raise ZeroDivisionError

        with self.handling(fail) as seen:
            self.process()
        self.assertNotIn("REF-2", seen)
        self.assertNotIn("REF-3", seen)
        self.assertEqual(
            {message.state for message in others}, {"processed"}, "held up"
        )
        self.later(minutes=1)
        with self.handling() as seen:
            self.process()
        self.assertEqual(seen, ["REF-1", "REF-2", "REF-3"])

    def test_waiting_holds_nobody_up(self):
        """What waits for something else steps aside, also for its own object."""
        for number in range(1, 4):
            self.take(number, parent_ref="order_1")

        def wait(_handler, _command, content):
            if content.document_ref == "REF-1":
                raise CommandWaits("D-ORPHAN", "Wait.", "thing", constants.ORPHAN_GRACE)

        with self.handling(wait) as seen:
            self.process()
        self.assertEqual(seen, ["REF-1", "REF-2", "REF-3"])

    # === BATCHES === #

    def test_many_in_one_transaction(self):
        messages = [self.take(number, parent_ref="one") for number in range(10)]
        with self.handling() as seen:
            self.assertTrue(self.round())
        self.assertEqual(len(seen), 10)
        self.assertEqual({message.state for message in messages}, {"processed"})
        self.assertFalse(self.round())

    def test_one_bad_apple(self):
        """An unexpected failure undoes what it did, and nothing else."""
        messages = [self.take(number) for number in range(10)]

        def fail(handler, _command, content):
            handler.env["res.partner"].create({"name": content.document_ref})
            if content.document_ref == "REF-5":
                raise ZeroDivisionError("bad apple")

        with self.handling(fail), mute_logger(LOGGER):
            self.process()
        states = [message.state for message in messages]
        self.assertEqual(states.count("received"), 1)
        self.assertEqual(messages[5].state, "received")
        self.assertIn("bad apple", messages[5].command_ids.error)
        made = self.env["res.partner"].search([("name", "like", "REF-")])
        self.assertEqual(len(made), 9)

    def test_a_batch_that_fails_as_a_whole_is_tried_one_by_one(self):
        messages = [self.take(number, parent_ref="one") for number in range(5)]
        sizes = []
        apply_batch = processing.Processor._apply_batch

        def fail_together(env, ids):
            sizes.append(len(ids))
            result = apply_batch(env, ids)
            if len(ids) > 1:
                raise ZeroDivisionError("at the end of the transaction")
            return result

        with (
            self.handling(),
            patch.object(
                processing.Processor, "_apply_batch", staticmethod(fail_together)
            ),
        ):
            self.process()
        self.assertEqual(sizes, [5, 1, 1, 1, 1, 1])
        self.assertEqual({message.state for message in messages}, {"processed"})

    def test_time_of_a_batch_is_bounded(self):
        """Others who post in the same journal wait for a batch's end."""
        for number in range(6):
            self.take(number, parent_ref="one")
        with (
            patch.object(constants, "PROCESS_BATCH_TIME", constants.PROCESS_BUDGET * 0),
            self.handling() as seen,
        ):
            self.assertTrue(self.round())
            self.assertEqual(len(seen), 1)
            left = self.env["finance.command"].search([("state", "=", "received")])
            self.assertEqual(len(left), 5)
            self.assertFalse(left.filtered("started_at"), "not begun, so not marked")
            self.process()
        self.assertEqual(len(seen), 6)

    def test_connectors_take_turns(self):
        """A backlog of one does not hold up another."""
        other = self.make_connector("other")
        for number in range(60):
            self.take(number, parent_ref="one")
        late = self.take(99, other)
        with patch.object(constants, "READ_BATCH", 10), self.handling():
            self.round()
        self.assertEqual(late.state, "processed")

    def test_a_message_of_many_commands(self):
        """It is done when all of them are, and belongs to no single case."""
        events = [
            json.loads(self.cloud_event(self.captured(f"REF-{n}", f"pay_{n}"), f"e{n}"))
            for n in range(12)
        ]
        self.env["finance.message"]._receive(
            self.connector,
            "batch",
            json.dumps(events).encode(),
            {"Content-Type": "application/cloudevents-batch+json"},
            "127.0.0.1",
            "test",
        )
        message = self.env["finance.message"].search([("external_id", "=", "batch")])
        case = message.correlation_id

        def join(_handler, command, _content):
            command._join_case("some-case")

        with self.handling(join):
            self.round()
            self.process()
        self.assertEqual((message.state, message.command_count), ("processed", 12))
        self.assertEqual(message.correlation_id, case)
        self.assertIn("12", message.outcome)

    # === CRASHES === #

    def crash(self, model, ids):
        """Leave the marks of a process that died."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            return processing.Processor(self.env.registry)._mark(model, ids)

    def test_what_crashes_is_tried_alone_and_then_parked(self):
        messages = [self.take(number, parent_ref="one") for number in range(4)]
        self.end_transaction()
        with self.enter_registry_test_mode():
            processing.Processor(self.env.registry)._read(self.connector.id)
        self.env.invalidate_all()
        commands = self.env["finance.command"].search(
            [("state", "=", "received")], order="id"
        )
        # All four were under way, and then the first one alone, twice.
        self.crash("finance.command", commands.ids)
        for _death in range(constants.PROCESS_MAX_CRASHES - 1):
            self.crash("finance.command", commands[:1].ids)
        with self.handling() as seen, mute_logger(LOGGER):
            self.process()
        self.assertEqual(seen, ["REF-1", "REF-2", "REF-3"])
        poison = commands[0]
        self.assertEqual((poison.state, poison.error_code), ("failed", "T-INTERNAL"))
        self.assertEqual(messages[0].state, "processed")
        exception = self.env["finance.exception"].search([("code", "=", "T-INTERNAL")])
        self.assertEqual(exception.command_id, poison)
        exception.with_user(self.users["operator"]).action_retry()
        self.assertEqual(poison.crash_count, 0, "a person gives it its tries anew")
        with self.handling() as seen:
            self.process()
        self.assertEqual((seen, poison.state), (["REF-0"], "applied"))

    def test_a_message_that_crashes_its_reader_is_parked(self):
        message, other = self.take(1), self.take(2)
        for _death in range(constants.PROCESS_MAX_CRASHES):
            self.crash("finance.message", message.ids)
        with self.handling(), mute_logger(LOGGER):
            self.process()
        self.assertEqual((message.state, message.error_code), ("failed", "T-INTERNAL"))
        self.assertEqual(other.state, "processed")

    def test_read_and_left_behind_is_finished(self):
        """Two jobs that end at one moment may each leave the end to the other."""
        message = self.take(1)
        message.write({"read_at": "2026-01-20 10:00:00", "command_count": 0})
        self.env.flush_all()
        with self.enter_registry_test_mode():
            self.assertTrue(processing.Processor.has_work(self.env.cr))
        self.process()
        self.assertEqual(message.state, "processed")

    # === WAKING === #

    def test_waker_shares(self):
        """Many messages, one job at once and one for what came after it."""
        woken = []
        waker = Waker(3600, woken.append)
        with patch("threading.Timer") as timer:
            for _number in range(50):
                waker.request("db")
            self.assertEqual(timer.call_count, 1)
            self.assertEqual(timer.call_args.args[0], 0, "at once")
            waker._fire("db")
            self.assertEqual(woken, ["db"])
            for _number in range(50):
                waker.request("db")
            self.assertEqual(timer.call_count, 2)
            self.assertGreater(timer.call_args.args[0], 3000)

    # === SCREENS === #

    def test_ignored_events_are_kept_and_can_be_learned(self):
        """What the hub has no use for is visible, and processed when it has."""
        ignoring = Adapter(
            name="canonical",
            title="Test",
            parse=lambda _headers, _body, _options: [
                ParsedCommand(
                    type="shop:customer.created",
                    external_id="evt_1",
                    occurred_at=None,
                    data={"id": "cus_1"},
                    ignored="The hub has no use for customers.",
                )
            ],
            external_id=ADAPTER.external_id,
        )
        with patch.dict(ADAPTERS, {"canonical": ignoring}):
            message = self.take(1)
            self.process()
        command = message.command_ids
        self.assertEqual((message.state, command.state), ("processed", "ignored"))
        self.assertIn("no use", command.error)
        message.with_user(self.users["operator"]).action_retry()
        with self.handling() as seen:
            self.process()
        self.assertEqual(seen, ["REF-1"])
        self.assertEqual(
            message.command_ids.sorted("id").mapped("state"), ["superseded", "applied"]
        )
        self.assertIn("Applied", message.outcome)
        with self.assertRaises(UserError):
            message.with_user(self.users["operator"]).action_retry()

    def test_process_again_retries_failed_commands(self):
        message = self.take(1)
        self.process()
        self.assertEqual(message.command_ids.state, "failed")
        self.assertIn("Failed", message.outcome)
        message.with_user(self.users["operator"]).action_retry()
        with self.handling() as seen:
            self.process()
        self.assertEqual((seen, message.command_ids.state), (["REF-1"], "applied"))

    # === DUPLICATES === #

    def test_a_flood_of_duplicates_is_folded(self):
        message = self.take(1)
        for _number in range(100):
            self.take(1)
        rows = self.env["finance.message.duplicate"]
        self.assertEqual(message.duplicate_count, 100)
        rows._fold()
        message.invalidate_recordset()
        self.assertEqual(message.duplicate_count, 100, "counted, not forgotten")
        self.assertEqual(
            rows.search_count([("message_ref", "=", message.id)]),
            constants.DUPLICATES_KEPT,
        )
        for _number in range(50):
            self.take(1)
        rows._fold()
        message.invalidate_recordset()
        self.assertEqual(message.duplicate_count, 150)
        self.assertEqual(
            rows.search_count([("message_ref", "=", message.id)]),
            constants.DUPLICATES_KEPT,
        )

    def test_few_duplicates_stay_rows(self):
        message = self.take(1)
        for _number in range(constants.DUPLICATES_KEPT):
            self.take(1)
        self.env["finance.message.duplicate"]._fold()
        self.assertEqual(len(message.duplicate_ids), constants.DUPLICATES_KEPT)
        self.assertEqual(set(message.duplicate_ids.mapped("number")), {1})


@tagged("post_install", "-at_install")
class TestInboundEncryption(ProcessingCase):
    """cap 94: personal data is kept encrypted, and shown to whom it concerns."""

    def setUp(self):
        super().setUp()
        self.connector.encrypt_bodies = True
        self.message = self.take(1, payer_name=SECRET_TEXT)
        self.users["confidential"] = new_test_user(
            self.env,
            "test_confidential",
            "finance_hub.group_auditor,finance_hub.group_confidential",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )

    def test_at_rest(self):
        self.env.cr.execute(
            "SELECT encode(body, 'escape'), t::text FROM finance_message t "
            "WHERE id = %s",
            [self.message.id],
        )
        kept, row = self.env.cr.fetchone()
        self.assertNotIn(SECRET_TEXT, row)
        self.assertTrue(kept.startswith("gAAAA"), "a Fernet token")
        self.assertIn(SECRET_TEXT, self.message._raw().decode())

    def test_processed_and_compared_as_any_other(self):
        self.take(1, payer_name=SECRET_TEXT)
        self.assertEqual(self.message.duplicate_count, 1)
        with self.handling() as seen:
            self.process()
        self.assertEqual((seen, self.message.state), (["REF-1"], "processed"))

    def test_who_sees_what(self):
        for group in ("operator", "administrator", "approver", "auditor"):
            message = self.message.with_user(self.users[group])
            self.assertTrue(message.content_hidden)
            self.assertFalse(message.content)
            self.assertNotIn(SECRET_TEXT, message.body_text)
            self.assertIn('"payer_name": "****"', message.body_text, "its shape")
        message = self.message.with_user(self.users["confidential"])
        self.assertIn(SECRET_TEXT, message.body_text)
        self.assertTrue(message.content)

    def test_what_is_not_json_is_hidden_whole(self):
        message = self.receive(self.connector, SECRET_TEXT.encode(), "raw")[1]
        shown = message.with_user(self.users["operator"]).body_text
        self.assertNotIn(SECRET_TEXT, shown)
        self.assertIn("encrypted", shown)

    def test_lost_key_is_told(self):
        self.env.flush_all()
        other = "A" * 43 + "="
        with (
            patch.dict("os.environ", {"FINANCE_HUB_ENCRYPTION_KEYS": other}),
            mute_logger(LOGGER),
        ):
            self.assertIn("decrypted", self.message.body_text)
            self.process()
        self.assertEqual(self.message.state, "received")
        self.assertIn("decrypted", self.message.error)
        self.later(minutes=1)
        with self.handling():
            self.process()
        self.assertEqual(self.message.state, "processed")


@tagged("post_install", "-at_install")
class TestInboundTracks(ProcessingCase):
    """Two jobs at once, on connections of their own."""

    def test_a_track_is_worked_on_by_one_job(self):
        """The lock is a real one, held on a second connection."""
        message = self.take(1)
        self.end_transaction()
        with self.enter_registry_test_mode():
            processing.Processor(self.env.registry)._read(self.connector.id)
        self.env.invalidate_all()
        command = message.command_ids
        key = self.connector.id * (constants.TRACKS + 1) + command.track
        arguments = [constants.INBOX_LOCK_CLASS, key]
        other = self.env.registry.cursor()
        self.addCleanup(other.close)
        other.execute("SELECT pg_advisory_lock(%s, %s)", arguments)
        with self.handling() as seen:
            self.process()
            self.assertFalse(seen, "somebody else is at work on it")
            other.execute("SELECT pg_advisory_unlock(%s, %s)", arguments)
            self.process()
        self.assertEqual(seen, ["REF-1"])
