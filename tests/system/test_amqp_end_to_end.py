"""From a posted invoice to a queue of a real RabbitMQ, through a real Odoo."""

import json

import pika
import pytest
import standardwebhooks

from hubtools.broker import PASSWORD, USER, VHOST
from hubtools.process import wait_until

POSTED = "finance.invoice.posted.v1"
EXCHANGE, QUEUE = "finance.odoo", "books-odoo"
#: Quick, and long enough for a broker that is killed and started again.
RETRIES = "0," + ",".join(["1"] * 40)


@pytest.fixture
def books(broker):
    """Reads the queue, one connection for each reading."""

    class Books:
        def __init__(self):
            self.messages = {}
            self.arrivals = 0

        def read(self):  # pylint: disable=method-required-super
            """Take out what is there; return all messages so far by their id."""
            connection = pika.BlockingConnection(
                pika.ConnectionParameters(
                    broker.host,
                    broker.port,
                    VHOST,
                    pika.PlainCredentials(USER, PASSWORD),
                )
            )
            channel = connection.channel()
            channel.exchange_declare(EXCHANGE, "topic", durable=True)
            channel.queue_declare(QUEUE, durable=True)
            channel.queue_bind(QUEUE, EXCHANGE, "finance.#")
            while True:
                method, properties, body = channel.basic_get(QUEUE, auto_ack=True)
                if method is None:
                    break
                self.arrivals += 1
                self.messages[properties.message_id] = (method, properties, body)
            connection.close()
            return self.messages

        def about(self, names):
            """The ids of the posted events about documents, by name."""
            found = {}
            for message_id, (_method, _properties, body) in self.read().items():
                event = json.loads(body)
                number = event["data"].get("number")
                if event["type"].startswith("finance.invoice.posted.") and (
                    number in names
                ):
                    found.setdefault(number, set()).add(message_id)
            return found

    reader = Books()
    reader.read()
    return reader


@pytest.fixture
def endpoint(hub, broker, books):
    """A live connector whose endpoint is the broker: id and signing secret."""
    api = hub.rpc("hub_admin")
    company = api.read(
        "finance.connector", [("code", "=", "warehouse")], ["company_id"]
    )[0]["company_id"][0]
    number = api.count("finance.connector", [("active", "in", (True, False))])
    connector = api.create(
        "finance.connector",
        {
            "name": f"Broker {number}",
            "code": f"broker-{number}",
            "company_id": company,
            "runbook": "<p>Call the broker's team.</p>",
        },
    )
    signing = api.create(
        "finance.credential",
        {"name": "Signs", "connector_id": connector, "direction": "outbound"},
    )
    shown = api.call("finance.credential", "action_generate", [signing])
    login = api.create(
        "finance.credential",
        {
            "name": "Login",
            "connector_id": connector,
            "direction": "outbound",
            "scheme": "basic",
            "username": USER,
            "secret_input": PASSWORD,
        },
    )
    made = api.create(
        "finance.endpoint",
        {
            "name": "Broker",
            "connector_id": connector,
            "transport": "amqp",
            "url": f"amqp://{broker.host}:{broker.port}/{VHOST}",
            "amqp_exchange": EXCHANGE,
            "credential_id": signing,
            "auth_credential_id": login,
            "retry_schedule": RETRIES,
        },
    )
    api.create(
        "finance.subscription",
        {"name": "Invoices", "endpoint_id": made, "patterns": "finance.invoice.*"},
    )
    # The queue is bound before the test event that going live asks for.
    books.read()
    api.call("finance.endpoint", "action_test", [made])
    books.read()
    books.arrivals = 0
    api.call("finance.connector", "action_request_review", [connector])
    hub.rpc("hub_approver").call("finance.connector", "action_approve", [connector])
    yield made, shown["params"]["secret"]
    hub.rpc("hub_approver").call("finance.connector", "action_suspend", [connector])


def post_invoices(hub, count, label):
    """Post invoices in one transaction; return their numbers."""
    api = hub.rpc("hub_operator")
    partner = api.search("res.partner", [("customer_rank", ">", 0)], limit=1)[0]
    ids = api.call(
        "account.move",
        "create",
        [
            {
                "move_type": "out_invoice",
                "partner_id": partner,
                "ref": f"{label} {index}",
                "invoice_date": "2026-01-15",
                "invoice_line_ids": [
                    (0, 0, {"name": label, "quantity": 1, "price_unit": 10.0})
                ],
            }
            for index in range(count)
        ],
    )
    api.call("account.move", "action_post", ids)
    return {
        row["name"] for row in api.read("account.move", [("id", "in", ids)], ["name"])
    }


def states(hub, endpoint_id):
    rows = hub.sql(
        "SELECT state, count(*) AS number FROM finance_delivery "
        "WHERE endpoint_id = %s GROUP BY state",
        [endpoint_id],
    )
    return {row["state"]: row["number"] for row in rows}


def test_an_invoice_reaches_the_queue(hub, endpoint, books):
    endpoint_id, secret = endpoint
    (name,) = post_invoices(hub, 1, "To the broker")
    assert wait_until(lambda: books.about({name}), 60, pause=0.3)
    (message_id,) = books.about({name})[name]
    method, properties, body = books.messages[message_id]
    assert method.exchange == EXCHANGE
    assert method.routing_key == properties.type == json.loads(body)["type"]
    assert properties.delivery_mode == 2
    assert properties.content_type.startswith("application/cloudevents+json")
    assert properties.correlation_id == json.loads(body)["correlationid"]
    verified = standardwebhooks.Webhook(secret).verify(body, properties.headers)
    assert verified["id"] == properties.message_id
    attempt = "SELECT count(*) FROM finance_attempt WHERE outcome = 'delivered'"
    assert wait_until(lambda: states(hub, endpoint_id).get("delivered"), 10)
    assert hub.value(attempt)
    assert PASSWORD not in hub.log
    shown = hub.sql("SELECT row_to_json(a)::text AS row FROM finance_attempt a")
    assert not [row for row in shown if PASSWORD in row["row"]]


def test_no_invoice_is_lost_when_the_broker_is_killed(hub, endpoint, broker, books):
    """At least once, to the end: the broker dies while a burst is under way."""
    endpoint_id, _secret = endpoint
    names = post_invoices(hub, 60, "Before the fault")
    broker.kill()
    names |= post_invoices(hub, 60, "During the fault")
    broken = "SELECT count(*) FROM finance_attempt WHERE error_code = 'T-CONNECT'"
    assert wait_until(lambda: hub.value(broken), 60), "the fault was felt"
    broker.start()
    assert wait_until(lambda: set(books.about(names)) == names, 180, pause=1), states(
        hub, endpoint_id
    )
    # The same event keeps its id, however often it arrives.
    assert all(len(ids) == 1 for ids in books.about(names).values())
    assert wait_until(lambda: set(states(hub, endpoint_id)) == {"delivered"}, 60), (
        states(hub, endpoint_id)
    )


def test_a_message_that_nobody_asks_for_is_a_failure_that_can_be_cured(
    hub, endpoint, books
):
    endpoint_id, _secret = endpoint
    api = hub.rpc("hub_admin")
    api.write("finance.endpoint", endpoint_id, {"amqp_routing_key": "nobody.{type}"})
    (name,) = post_invoices(hub, 1, "Unroutable")
    refused = (
        "SELECT count(*) FROM finance_attempt a JOIN finance_delivery d "
        "ON d.id = a.delivery_id WHERE d.endpoint_id = %s AND a.error LIKE %s"
    )
    wanted = [endpoint_id, "%no queue%NO_ROUTE%"]
    assert wait_until(lambda: hub.value(refused, wanted), 60)
    assert not books.about({name})
    api.write("finance.endpoint", endpoint_id, {"amqp_routing_key": "{type}"})
    assert wait_until(lambda: books.about({name}), 60, pause=0.3)
