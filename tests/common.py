"""What the tests of the ORM rooms share."""

import json
import os
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

from odoo.fields import Command

from odoo.addons.account.tests.common import AccountTestInvoicingCommon

from ..models import clock
from ..models.capture import memory
from ..models.outbox.dispatcher import Dispatcher
from ..signing import sign_headers
from ..transport import constants as transport_constants

# What most tests subscribe to: the documents they make, not what else happens to the
# partners and accounts behind them.
DOCUMENTS = (
    "finance.invoice.*, finance.bill.*, finance.credit_note.*, finance.payment.*"
)
LOOPBACK = "127.0.0.0/8"
GROUPS = ("operator", "approver", "administrator", "auditor")


class Receiver(ThreadingHTTPServer):
    """A real HTTP server on loopback whose answers a test chooses.

    :ivar requests: list of (headers, body) in order of arrival
    :ivar answers: callables ``(headers, body) -> (status, headers)`` used one after
        the other, the last one for ever
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.answers = [ok]
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def events(self):
        """The bodies of what arrived, as JSON."""
        return [json.loads(body) for _headers, body in self.requests]

    def close(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are written apart; otherwise each answer takes 40 ms.
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        server.requests.append((dict(self.headers), body))
        answers = server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        status, headers = answer(self.headers, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args):
        """Nothing: the test's own output is enough."""


def ok(_headers, _body):
    return 200, {}


def status(code, **headers):
    """Return an answer with a status and headers (``_`` stands for ``-``)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _headers, _body: (code, named)


class FinanceHubCommon(AccountTestInvoicingCommon):
    """A company with a chart of accounts, one user of each role, and connectors."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Tests set up as the system does; what a person may do is tested with_user.
        cls.env = cls.env(su=True)
        cls.startClassPatcher(
            patch.dict(os.environ, {"FINANCE_HUB_ALLOWED_NETWORKS": LOOPBACK})
        )
        cls.company = cls.company_data["company"]
        cls.journal = cls.company_data["default_journal_bank"]
        cls.outstanding = cls.env["account.account"].create(
            {
                "name": "Outstanding Receipts (test)",
                "code": "109998",
                "account_type": "asset_current",
                "reconcile": True,
            }
        )
        cls.journal.inbound_payment_method_line_ids.payment_account_id = cls.outstanding
        cls.users = {
            group: cls.env["res.users"].create(
                {
                    "name": f"Test {group}",
                    "login": f"test_{group}",
                    "password": f"test_{group}_password",
                    "company_id": cls.company.id,
                    "company_ids": [(6, 0, cls.company.ids)],
                    "group_ids": [
                        (
                            6,
                            0,
                            (
                                cls.env.ref("base.group_user")
                                | cls.env.ref(f"finance_hub.group_{group}")
                                | cls.env.ref("account.group_account_readonly")
                            ).ids,
                        )
                    ],
                }
            )
            for group in GROUPS
        }

    @classmethod
    def setup_independent_company(cls, **kwargs):
        """Take the company that the template of a test database has, if it has one.

        A chart of accounts for each class is half of what its tests take.
        """
        made = not kwargs and cls.env["res.company"].search(
            [("name", "=", "company_1_data"), ("chart_template", "!=", False)], limit=1
        )
        if not made:
            return super().setup_independent_company(**kwargs)
        # As whoever makes a company may work in it.
        cls.env.user.company_ids = [Command.link(made.id)]
        return made

    # === BUILDERS === #

    @classmethod
    def make_connector(cls, code="test", state="live", **values):
        connector = cls.env["finance.connector"].create(
            {
                "name": f"Connector {code}",
                "code": code,
                "company_id": cls.company.id,
                "runbook": "<p>Call the owner.</p>",
                "payment_journal_id": cls.journal.id,
                **values,
            }
        )
        connector.state = state
        return connector

    @classmethod
    def make_tested(cls, connector):
        """Have the connector's tests succeed, as the gate asks before it goes live."""
        tests = cls.env["finance.test.call"]
        for endpoint in connector.sudo().endpoint_ids:
            tests._note_sent(endpoint, True, "It arrived")
        tests._note_read(connector.sudo(), True, "Understood")

    @classmethod
    def make_credential(cls, connector, direction="outbound", secret=None, **values):
        credential = cls.env["finance.credential"].create(
            {
                "name": f"Secret {direction}",
                "connector_id": connector.id,
                "direction": direction,
                **values,
            }
        )
        if secret:
            credential._set_secret(secret)
        else:
            credential.action_generate()
        return credential

    @classmethod
    def make_endpoint(cls, url, connector=None, patterns=DOCUMENTS, **values):
        """Return an endpoint with a credential and a subscription."""
        connector = connector or cls.make_connector()
        endpoint = cls.env["finance.endpoint"].create(
            {
                "name": "Endpoint",
                "connector_id": connector.id,
                "url": url,
                "credential_id": cls.make_credential(connector).id,
                **values,
            }
        )
        if patterns:
            cls.env["finance.subscription"].create(
                {
                    "name": "Subscription",
                    "endpoint_id": endpoint.id,
                    "patterns": patterns,
                }
            )
        return endpoint

    @classmethod
    def make_subscription(cls, endpoint, patterns=DOCUMENTS, **values):
        """Return a further subscription of an endpoint."""
        return cls.env["finance.subscription"].create(
            {
                "name": "Subscription",
                "endpoint_id": endpoint.id,
                "patterns": patterns,
                **values,
            }
        )

    @classmethod
    def make_feed(cls, connector=None, patterns="*", **values):
        """Return an endpoint that is fetched from, with a subscription."""
        connector = connector or cls.make_connector("feed")
        return cls.make_endpoint(
            False, connector, patterns, transport="feed", credential_id=False, **values
        )

    @classmethod
    def make_client(cls, connector, *scopes, **values):
        """Return (client, key): a client of the REST API that holds ``scopes``."""
        client = cls.env["finance.client"].create(
            {
                "name": "Client",
                "connector_id": connector.id,
                "scope_ids": [
                    (
                        6,
                        0,
                        cls.env["finance.scope"].search([("name", "in", scopes)]).ids,
                    )
                ],
                **values,
            }
        )
        return client, client.action_generate()["params"]["secret"]

    @classmethod
    def make_invoice(cls, amount=100.0, post=True, **values):
        invoice = cls.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": cls.partner_a.id,
                "invoice_date": "2026-01-15",
                "date": "2026-01-15",
                "invoice_line_ids": [
                    (
                        0,
                        0,
                        {
                            "name": "Line",
                            "quantity": 1,
                            "price_unit": amount,
                            "tax_ids": [],
                        },
                    )
                ],
                **values,
            }
        )
        if post:
            invoice.action_post()
        return invoice

    @classmethod
    def make_mapping(cls, domain, code, record, connector=None, **values):
        """Return an approved mapping of an external code to a record."""
        mapping = cls.env["finance.mapping"].create(
            {
                "company_id": cls.company.id,
                "connector_id": connector and connector.id,
                "domain_id": cls.env["finance.mapping.domain"]._named(domain).id,
                "code": code,
                "res_id": record.id,
                **values,
            }
        )
        mapping._put_in_force(cls.env.user)
        return mapping

    @classmethod
    def make_json_mapping(cls, connector, **values):
        """Return a mapping of a paid order to ``payment.captured``."""
        lines = (
            ("provider_ref", "@.id", "text"),
            ("amount", "@.cents", "minor_units"),
            ("currency", "@.currency", "upper"),
            ("captured_at", "@.at", "unix_seconds"),
            ("document_ref", "@.invoice", "as_is"),
        )
        return cls.env["finance.json.mapping"].create(
            {
                "name": "Paid orders",
                "connector_id": connector.id,
                "command": "payment.captured",
                "line_ids": [
                    (0, 0, {"field_name": name, "path": path, "convert": convert})
                    for name, path, convert in lines
                ],
                **values,
            }
        )

    # === TIME === #

    def set_clock(self, moment):
        """Have the hub believe it is ``moment`` (aware)."""
        for patcher in (
            patch.object(clock, "now", lambda: moment),
            # A clock that stands never comes to what is due soon.
            patch.object(transport_constants, "IDLE_WAIT", 0),
        ):
            self.startPatcher(patcher)

    def later(self, **delta):
        """Move the hub's clock on from the real present."""
        self.set_clock(datetime.now(timezone.utc) + timedelta(**delta))

    # === STAGES === #

    def end_transaction(self):
        """Run what runs when a transaction is about to be committed.

        What happens afterwards counts as a transaction of its own.
        """
        self.env.cr.flush()
        memory.forget(self.env.cr)

    def events_of(self, record):
        """Return the events of a record in order."""
        self.end_transaction()
        return self.env["finance.event"].search(
            [("res_model", "=", record._name), ("res_id", "in", record.ids)],
            order="id",
        )

    def verbs_of(self, record):
        return [event.type.split(".")[2] for event in self.events_of(record)]

    def dispatch(self, lane="standard"):
        """Run a dispatcher inside the test's transaction.

        :return: its statistics
        """
        self.end_transaction()
        with self.enter_registry_test_mode():
            dispatcher = Dispatcher(self.env.registry, lane, threads=False)
            return dispatcher.run()

    def run_lane(self, lane="standard", **values):
        """Run a dispatcher as its job does.

        :return: (its statistics, when the next one is to be woken)
        """
        self.end_transaction()
        with self.enter_registry_test_mode():
            dispatcher = Dispatcher(self.env.registry, lane, threads=False, **values)
            statistics = dispatcher.run()
            wake = dispatcher.next_wake()
        self.env.invalidate_all()
        return statistics, wake

    def health_of(self, endpoint):
        """Return the health row of an endpoint as it is in the database."""
        self.env.flush_all()
        health = endpoint.health_ids
        health.invalidate_recordset()
        return health

    def receiver(self):
        """Start a receiver that is stopped when the test ends."""
        receiver = Receiver()
        self.addCleanup(receiver.close)
        return receiver

    # === MESSAGES === #

    @staticmethod
    def captured(document_ref, provider_ref="pay_1", amount="100.00", **values):
        """Return the data of a ``payment.captured``."""
        return {
            "provider_ref": provider_ref,
            "amount": amount,
            "currency": "USD",
            "captured_at": "2026-01-20T10:00:00Z",
            "document_ref": document_ref,
            **values,
        }

    @staticmethod
    def cloud_event(data, message_id="msg_1", type="payment.captured.v1", **values):
        """Return the body of a structured CloudEvent."""
        return json.dumps(
            {
                "specversion": "1.0",
                "id": message_id,
                "source": "/shop",
                "type": type,
                "time": "2026-01-20T10:00:00Z",
                "datacontenttype": "application/json",
                "data": data,
                **values,
            }
        ).encode()

    @staticmethod
    def signed(body, secret, message_id="msg_1", at=None):
        """Return the headers of a signed request."""
        moment = at or datetime.now(timezone.utc)
        return {
            "Content-Type": "application/cloudevents+json",
            **sign_headers([secret], message_id, int(moment.timestamp()), body),
        }

    def receive(self, connector, body, message_id="msg_1"):
        """Put a message into the inbox as if it had been verified."""
        outcome = self.env["finance.message"]._receive(
            connector,
            message_id,
            body,
            {"Content-Type": "application/cloudevents+json"},
            "127.0.0.1",
            "test",
        )
        message = self.env["finance.message"].search(
            [("connector_id", "=", connector.id), ("external_id", "=", message_id)]
        )
        return outcome, message

    def process(self):
        """Process everything in the inbox inside the test's transaction."""
        self.end_transaction()
        with self.enter_registry_test_mode():
            while self.env["finance.message"]._process_next():
                pass
        self.env.invalidate_all()
