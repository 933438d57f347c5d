import base64
import json
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from standardwebhooks import Webhook

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..contracts import EVENT_TYPES
from ..models import constants
from ..models.inbox.finance_refusal import TALLY
from ..signing import sign_headers
from .common import FinanceHubCommon

SECRET = "whsec_" + "A" * 32
OTHER_SECRET = "whsec_" + "B" * 32


class InboundCase(FinanceHubCommon, HttpCase):
    """A live connector that is called by real HTTP."""

    def setUp(self):
        super().setUp()
        TALLY.clear()
        self.addCleanup(TALLY.clear)
        self.connector = self.make_connector("shop")
        self.credential = self.make_credential(self.connector, "inbound", SECRET)
        self.env.flush_all()

    # === HELPERS === #

    def sign(self, body, secret=SECRET, message_id="msg_1", at=None):
        """Return headers made by the reference library, as a sender would."""
        moment = at or datetime.now(timezone.utc)
        return {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret).sign(
                message_id, moment, body.decode()
            ),
        }

    def post(self, body, headers, code="shop"):
        self.env.flush_all()
        response = self.url_open(
            f"/finance/v1/inbound/{code}", data=body, headers=headers, method="POST"
        )
        self.env.invalidate_all()
        return response

    def send(self, body, code="shop", **signing):
        return self.post(body, self.sign(body, **signing), code)

    def messages(self):
        return self.env["finance.message"].search(
            [("connector_id", "=", self.connector.id)]
        )

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("connector_id", "=", self.connector.id)]
        )

    def process_all(self):
        self.env.flush_all()
        while self.env["finance.message"]._process_next():
            pass
        self.env.invalidate_all()

    def assertProblem(self, response, status, code):
        """Check the whole shape of RFC 9457, and return the body."""
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(response.headers["Content-Type"], "application/problem+json")
        problem = response.json()
        self.assertEqual(problem["status"], status)
        self.assertEqual(problem["code"], code)
        self.assertTrue(problem["type"].endswith(code.lower()))
        self.assertIn(":", problem["type"], "a type is a URI")
        self.assertTrue(problem["title"])
        self.assertTrue(problem["detail"])
        self.assertIs(type(problem["retryable"]), bool)
        return problem

    def refusals(self):
        return self.env["finance.refusal"].search(
            [("connector_id", "in", (self.connector.id, False))], order="id"
        )


@tagged("post_install", "-at_install")
class TestInbound(InboundCase):
    """cap 38, 41, 80, 96: nothing gets in unsigned, nothing is taken twice."""

    # === THE GOOD CASE === #

    def test_accepted_and_stored_byte_for_byte(self):
        body = self.cloud_event(self.captured("INV/1"), spaces="   kept ")
        headers = {
            **self.sign(body),
            "Authorization": "Bearer top-secret-token",
            "X-Api-Key": "top-secret-key",
            "X-Shop-Region": "north",
        }
        response = self.post(body, headers)
        self.assertEqual(response.status_code, 202)
        self.assertEqual(response.json(), {"id": "msg_1", "duplicate": False})
        message = self.messages()
        self.assertEqual(message.external_id, "msg_1")
        self.assertEqual(
            base64.b64decode(message.with_context(bin_size=False).body), body
        )
        self.assertEqual(message.size, len(body))
        self.assertEqual(message.state, "received")
        self.assertEqual(message.company_id, self.company)
        self.assertEqual(message.verified_by, self.credential.name)
        self.assertEqual(message.remote_addr, "127.0.0.1")
        self.assertTrue(message.correlation_id)
        self.assertEqual(message.headers["X-Shop-Region"], "north")
        self.assertEqual(message.headers["Authorization"], "Bearer ****")
        self.assertEqual(message.headers["X-Api-Key"], "****")
        self.assertNotIn("top-secret", json.dumps(message.headers))
        self.assertIn("Webhook-Signature", message.headers)

    def test_accepted_means_paid(self):
        """The whole way in: signed, stored, understood, booked, matched."""
        invoice = self.make_invoice(100.0)
        body = self.cloud_event(self.captured(invoice.name))
        self.assertEqual(self.send(body).status_code, 202)
        self.assertEqual(
            invoice.payment_state, "not_paid", "answered before it is done"
        )
        self.process_all()
        self.assertEqual(self.messages().state, "processed")
        self.assertEqual(self.messages().command_ids.state, "applied")
        self.assertEqual(invoice.payment_state, "paid")

    def test_content_type_never_eats_the_body(self):
        """What curl or a form sends by default is kept byte for byte, too."""
        body = b"a=1&b=%20two"
        for index, content_type in enumerate(
            (
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "application/octet-stream",
            )
        ):
            with self.subTest(content_type):
                headers = {
                    **self.sign(body, message_id=f"msg_{index}"),
                    "Content-Type": content_type,
                }
                response = self.post(body, headers)
                self.assertEqual(response.status_code, 202, response.text)
        for message in self.messages().with_context(bin_size=False):
            self.assertEqual(base64.b64decode(message.body), body)

    def test_svix_headers_are_read_too(self):
        body = self.cloud_event(self.captured("INV/1"))
        headers = {
            name.replace("webhook-", "svix-"): value
            for name, value in self.sign(body).items()
        }
        self.assertEqual(self.post(body, headers).status_code, 202)
        self.assertEqual(self.messages().external_id, "msg_1")

    def test_no_session_is_made(self):
        body = self.cloud_event(self.captured("INV/1"))
        for response in (
            self.send(body),
            self.post(body, {}),
            self.url_open("/finance/v1/health"),
            self.url_open("/finance/v1/event-types"),
        ):
            self.assertNotIn("Set-Cookie", response.headers, response.url)

    # === DUPLICATES === #

    def test_duplicate_is_acknowledged_and_counted(self):
        invoice = self.make_invoice(100.0)
        body = self.cloud_event(self.captured(invoice.name))
        self.send(body)
        for _index in range(2):
            response = self.send(body)
            self.assertEqual(response.status_code, 202)
            self.assertEqual(response.json(), {"id": "msg_1", "duplicate": True})
        message = self.messages()
        self.assertEqual(len(message), 1)
        self.assertEqual(len(message.duplicate_ids), 2)
        self.assertEqual(message.duplicate_count, 2)
        self.process_all()
        # After processing as well as before.
        self.assertTrue(self.send(body).json()["duplicate"])
        self.process_all()
        self.assertEqual(
            self.env["account.payment"].search_count(
                [("finance_provider_ref", "=", "pay_1")]
            ),
            1,
        )

    def test_same_id_with_another_body_is_refused(self):
        first = self.cloud_event(self.captured("INV/1", amount="100.00"))
        second = self.cloud_event(self.captured("INV/1", amount="999.00"))
        self.send(first)
        problem = self.assertProblem(self.send(second), 409, "C-IDEMP-MISUSE")
        self.assertIn("id", problem["detail"])
        message = self.messages().filtered(lambda m: m.external_id == "msg_1")
        self.assertEqual(message._raw(), first)
        self.assertFalse(message.duplicate_ids)
        apart = self.messages() - message
        self.assertEqual((apart.state, apart.conflict_id), ("set_aside", message))
        self.assertEqual(apart._raw(), second)
        exception = self.exceptions("C-IDEMP-MISUSE")
        self.assertEqual(
            (exception.res_model, exception.res_id), ("finance.message", apart.id)
        )
        self.send(second)
        self.assertEqual(exception.occurrences, 2, "folded, not doubled")
        self.assertEqual(len(self.messages()), 2)

    def test_a_refused_id_is_not_sent_for_ever(self):
        """What is refused often enough is kept, and the sender told to stop."""
        invoice = self.make_invoice(100.0)
        first = self.cloud_event(self.captured(invoice.name, amount="1.00"))
        second = self.cloud_event(self.captured(invoice.name, "pay_2", "99.00"))
        self.send(first)
        statuses = [self.send(second).status_code for _index in range(5)]
        self.assertEqual(statuses, [409, 409, 409, 202, 202])
        self.process_all()
        self.assertEqual(invoice.amount_residual, 99.0, "set aside is not booked")
        apart = self.messages().filtered("conflict_id")
        self.assertEqual(apart.duplicate_count, 4)
        apart.with_user(self.users["operator"]).action_retry()
        self.process_all()
        self.assertEqual(apart.state, "processed")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(self.exceptions("C-IDEMP-MISUSE").state, "resolved")

    def test_ids_belong_to_a_connector(self):
        """Two senders may use one id without knowing of each other."""
        other = self.make_connector("other")
        self.make_credential(other, "inbound", OTHER_SECRET)
        body = self.cloud_event(self.captured("INV/1"))
        self.send(body)
        response = self.send(body, code="other", secret=OTHER_SECRET)
        self.assertEqual(response.json(), {"id": "msg_1", "duplicate": False})

    # === SIGNATURES === #

    def test_refused_signatures(self):
        """Each refusal says what to do, and stores nothing."""
        body = self.cloud_event(self.captured("INV/1"))
        now = datetime.now(timezone.utc)
        good = self.sign(body)
        cases = {
            "nothing": ({}, "Standard Webhooks"),
            "no id": ({**good, "webhook-id": None}, "webhook-id"),
            "no signature": ({**good, "webhook-signature": None}, "webhook-signature"),
            "too old": (self.sign(body, at=now - timedelta(minutes=6)), "clock"),
            "future": (self.sign(body, at=now + timedelta(minutes=6)), "clock"),
            "other secret": (self.sign(body, secret=OTHER_SECRET), "same secret"),
            "other body": (self.sign(body + b" "), "byte for byte"),
            "other id": ({**good, "webhook-id": "msg_2"}, "same secret"),
            "time without signature": (
                {**good, "webhook-timestamp": str(int(now.timestamp()) - 9)},
                "same secret",
            ),
            "unknown scheme": ({**good, "webhook-signature": "v9,AAAA"}, "same secret"),
            "no scheme": ({**good, "webhook-signature": "AAAA"}, "v1,"),
            "no number": ({**good, "webhook-timestamp": "soon"}, "Unix seconds"),
        }
        for label, (headers, hint) in cases.items():
            with self.subTest(label):
                response = self.post(body, headers)
                # What is signed rightly and old was good once.
                code = "C-REPLAYED" if label == "too old" else "C-SIGNATURE"
                problem = self.assertProblem(response, 401, code)
                self.assertIn(hint, problem["detail"])
                self.assertNotIn(SECRET, response.text)
        self.assertFalse(self.messages())

    def test_tolerance(self):
        now = datetime.now(timezone.utc)
        for index, delta in enumerate((timedelta(minutes=-4), timedelta(minutes=4))):
            body = self.cloud_event(self.captured("INV/1"))
            response = self.send(body, message_id=f"msg_{index}", at=now + delta)
            self.assertEqual(response.status_code, 202)

    def test_connector_without_credential_is_closed(self):
        self.make_connector("bare")
        body = self.cloud_event(self.captured("INV/1"))
        self.assertProblem(self.send(body, code="bare"), 401, "C-SIGNATURE")

    def test_revoked_credential_is_closed(self):
        self.credential.action_revoke()
        body = self.cloud_event(self.captured("INV/1"))
        self.assertProblem(self.send(body), 401, "C-SIGNATURE")

    def test_unreadable_secret_is_closed(self):
        """An encryption key that was lost shuts the door, with a log entry."""
        self.env.cr.execute(
            "UPDATE finance_credential SET secret_token = 'garbage' WHERE id = %s",
            [self.credential.id],
        )
        self.env.invalidate_all()
        body = self.cloud_event(self.captured("INV/1"))
        with self.assertLogs("odoo.addons.finance_hub", "ERROR"):
            self.assertProblem(self.send(body), 401, "C-SIGNATURE")

    def test_unusable_keys_of_the_server_are_closed(self):
        """A wrong setting of the encryption keys is no crash, and lets nobody in."""
        body = self.cloud_event(self.captured("INV/1"))
        with (
            patch.dict("os.environ", {"FINANCE_HUB_ENCRYPTION_KEYS": "no-key"}),
            mute_logger(
                "odoo.addons.finance_hub.models.connector.finance_connector_inbound"
            ),
        ):
            response = self.send(body)
        self.assertIn(response.status_code, (401, 503), response.text)
        self.assertEqual(response.headers["Content-Type"], "application/problem+json")
        self.assertFalse(self.messages())

    def test_only_its_own_inbound_secret_counts(self):
        """Neither what signs our events nor another sender's secret opens it."""
        outgoing, foreign = "whsec_" + "C" * 32, "whsec_" + "D" * 32
        self.make_credential(self.connector, "outbound", outgoing)
        self.make_credential(self.make_connector("other"), "inbound", foreign)
        body = self.cloud_event(self.captured("INV/1"))
        for secret in (outgoing, foreign):
            self.assertProblem(self.send(body, secret=secret), 401, "C-SIGNATURE")

    def test_rotation_overlaps(self):
        """cap 90: both secrets count for a day, then only the new one."""
        self.credential._set_secret(OTHER_SECRET)
        body = self.cloud_event(self.captured("INV/1"))
        for index, secret in enumerate((SECRET, OTHER_SECRET)):
            response = self.send(body, secret=secret, message_id=f"msg_{index}")
            self.assertEqual(response.status_code, 202)
        self.later(hours=25)
        later = datetime.now(timezone.utc) + timedelta(hours=25)
        response = self.send(body, secret=SECRET, message_id="msg_8", at=later)
        self.assertProblem(response, 401, "C-SIGNATURE")
        response = self.send(body, secret=OTHER_SECRET, message_id="msg_9", at=later)
        self.assertEqual(response.status_code, 202)

    # === STATES OF THE CONNECTOR === #

    def test_unknown_and_unready_connectors_look_alike(self):
        body = self.cloud_event(self.captured("INV/1"))
        unknown = self.assertProblem(self.send(body, code="nope"), 404, "NOT-FOUND")
        for state in ("draft", "in_review"):
            self.connector.state = state
            problem = self.assertProblem(self.send(body), 404, "NOT-FOUND")
            self.assertEqual(problem, unknown)
        self.assertFalse(self.messages())

    def test_suspended_says_when_to_come_back(self):
        # As it is configured now it went live.
        self.connector.state = "live"
        self.connector.action_suspend()
        body = self.cloud_event(self.captured("INV/1"))
        response = self.send(body)
        problem = self.assertProblem(response, 503, "SUSPENDED")
        self.assertTrue(problem["retryable"])
        self.assertEqual(
            response.headers["Retry-After"], str(constants.SUSPENDED_RETRY_AFTER)
        )
        self.assertFalse(self.messages())
        self.connector.action_resume()
        self.assertEqual(self.send(body).status_code, 202)

    def test_retired_is_gone(self):
        self.connector.action_retire()
        body = self.cloud_event(self.captured("INV/1"))
        problem = self.assertProblem(self.send(body), 410, "GONE")
        self.assertFalse(problem["retryable"])

    def test_archived_is_not_found(self):
        self.connector.active = False
        body = self.cloud_event(self.captured("INV/1"))
        self.assertProblem(self.send(body), 404, "NOT-FOUND")

    # === HOSTILE INPUT === #

    def test_too_large(self):
        body = b"x" * (constants.MAX_BODY_BYTES + 1)
        self.assertProblem(self.send(body), 413, "D-SCHEMA")
        self.assertFalse(self.messages())

    def test_chunked_bodies(self):
        """A sender that does not say how long its body is, is held to the same."""

        def chunks(body):
            yield body[:1000]
            yield body[1000:]

        body = b"x" * 3000
        response = self.post(chunks(body), self.sign(body))
        self.assertEqual(response.status_code, 202, response.text)
        self.assertEqual(
            base64.b64decode(self.messages().with_context(bin_size=False).body), body
        )
        body = b"x" * (constants.MAX_BODY_BYTES + 1)
        response = self.post(chunks(body), self.sign(body, message_id="msg_2"))
        self.assertProblem(response, 413, "D-SCHEMA")

    def test_largest_body_fits(self):
        body = b"x" * constants.MAX_BODY_BYTES
        self.assertEqual(self.send(body).status_code, 202)

    def test_other_methods(self):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            with self.subTest(method):
                response = self.url_open("/finance/v1/inbound/shop", method=method)
                self.assertEqual(response.status_code, 405)

    def test_addresses_that_are_none(self):
        for code in ("%00", "shop%00", "%ff%fe", "x" * 3000, "shop%27--", "..%2f"):
            with self.subTest(code[:20]):
                response = self.post(b"{}", {}, code)
                self.assertEqual(response.status_code, 404)

    def test_garbage_in_the_body(self):
        """What is signed is taken; what makes no sense is a person's to see."""
        bodies = {
            "binary": bytes(range(256)) * 16,
            "empty": b"",
            "not quite too deep": b"[" * constants.MAX_NESTING,
            "huge number": b'{"a":' + b"9" * 10_000 + b"}",
            "not a number": b'{"data":NaN}',
            "nul": b'{"specversion":"1.0","id":"a\\u0000b"}',
            "lone surrogate": b'{"specversion":"1.0","id":"\\ud800"}',
            "utf-16": '{"id":1}'.encode("utf-16"),
        }
        for label, body in bodies.items():
            with self.subTest(label):
                response = self.post(
                    body, self.signed(body, SECRET, message_id=label.replace(" ", "_"))
                )
                self.assertEqual(response.status_code, 202, response.text)
        self.process_all()
        messages = self.messages()
        self.assertEqual(len(messages), len(bodies))
        self.assertEqual(set(messages.mapped("state")), {"failed"})
        self.assertEqual(set(messages.mapped("error_code")), {"D-SCHEMA"})
        self.assertEqual(len(self.exceptions("D-SCHEMA")), len(bodies))
        # The screen shows each of them.
        for message in messages.with_user(self.users["auditor"]):
            message.read(["body_text", "headers_text", "error"])

    def test_garbage_in_signed_headers(self):
        """Headers that are not signed can hold anything."""
        body = self.cloud_event(self.captured("INV/1"))
        for index, headers in enumerate(
            (
                {"X-Binary": b"\x00\x01\xff"},
                {"Content-Type": b"application/\x00json"},
                {"User-Agent": b"\xff\xfe"},
                {"X-Long": "x" * 20_000},
                {f"X-Many-{n}": "x" for n in range(50)},
                {"Content-Type": "x" * 20_000},
            )
        ):
            with self.subTest(index), mute_logger("werkzeug"):
                signed = sign_headers(
                    [SECRET],
                    f"msg_{index}",
                    int(datetime.now(timezone.utc).timestamp()),
                    body,
                )
                response = self.post(body, {**signed, **headers})
                self.assertLess(response.status_code, 500, response.text)

    def test_hostile_signature_headers(self):
        body = self.cloud_event(self.captured("INV/1"))
        good = self.sign(body)
        for label, headers in {
            "long id": {"webhook-id": "x" * 300},
            "huge id": {"webhook-id": "x" * 30_000},
            "binary id": {"webhook-id": b"\xff\x00"},
            "huge time": {"webhook-timestamp": "9" * 5_000},
            "negative time": {"webhook-timestamp": "-1"},
            "unicode time": {"webhook-timestamp": "١٢٣".encode()},
            "huge signature": {"webhook-signature": "v1,A " * 6_000},
            "binary signature": {"webhook-signature": b"v1,\xff\x00"},
            "unicode signature": {"webhook-signature": "v1,ä".encode()},
        }.items():
            with self.subTest(label):
                response = self.post(body, {**good, **headers})
                self.assertProblem(response, 401, "C-SIGNATURE")
        self.assertFalse(self.messages())

    # === THE OTHER ADDRESSES === #

    def test_health(self):
        response = self.url_open("/finance/v1/health")
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json(), {"status": "ok"})
        self.assertEqual(response.headers["Cache-Control"], "no-store")

    def test_event_types_and_their_schemas(self):
        """cap 26: the catalogue is published with a schema for each type."""
        response = self.url_open("/finance/v1/event-types")
        self.assertEqual(response.status_code, 200)
        listed = response.json()["event_types"]
        self.assertEqual([entry["type"] for entry in listed], list(EVENT_TYPES))
        for entry in listed:
            self.assertTrue(entry["title"] and entry["description"], entry["type"])
            self.assertTrue(entry["owner"], entry["type"])
        schema = self.url_open(listed[0]["schema"])
        self.assertEqual(schema.status_code, 200)
        self.assertEqual(schema.json()["type"], "object")
        self.assertIn("properties", schema.json())
        self.assertIn("max-age", schema.headers["Cache-Control"])

    def test_event_names_its_schema(self):
        """``dataschema`` of an event leads to the schema that its data fits."""
        self.make_endpoint("http://127.0.0.1:8069/")
        event = self.events_of(self.make_invoice())
        uri = json.loads(event.delivery_ids._body())["dataschema"]
        path = uri[uri.index("/finance/v1/") :]
        schema = self.url_open(path).json()
        self.assertLessEqual(set(event.data), set(schema["properties"]))
        self.assertLessEqual(set(schema["required"]), set(event.data))

    def test_schema_of_an_unknown_type(self):
        for name in ("finance.nothing.v1", "%00", "x" * 500):
            with self.subTest(name[:20]):
                response = self.url_open(f"/finance/v1/event-types/{name}/schema")
                self.assertEqual(response.status_code, 404)
                self.assertEqual(
                    response.headers["Content-Type"], "application/problem+json"
                )
