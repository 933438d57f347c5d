"""The main job on real parts: server, runner, database, receiver, and real faults."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from hubtools.mainjob import CAPTURED, SHOP, WAREHOUSE, Desk, captured

POSTED, PAID = "finance.invoice.posted.v2", "finance.invoice.paid.v2"


@pytest.fixture
def desk(hub, receiver, settings) -> Desk:
    """The demo's people and systems, with both connectors live."""
    desk = Desk(
        hub.url, hub.database, receiver, settings.run / "system-test-secrets.json"
    )
    desk.go_live()
    return desk


def invoices(desk: Desk, number: int, label: str) -> list[dict]:
    """Create and post many invoices, posting them in one transaction."""
    api = desk.operator
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
            for index in range(number)
        ],
    )
    api.call("account.move", "action_post", ids)
    fields = ["name", "amount_total", "currency_id", "payment_state"]
    return api.read("account.move", [("id", "in", ids)], fields)


def undelivered(hub) -> list[dict]:
    """What is on its way to the warehouse still, or was given up."""
    return hub.sql(
        "SELECT e.type, e.label, d.state, d.due_at, d.attempt_count, d.last_error "
        "FROM finance_delivery d JOIN finance_event e ON e.id = d.event_id "
        "JOIN finance_endpoint n ON n.id = d.endpoint_id "
        "JOIN finance_connector c ON c.id = n.connector_id "
        "WHERE d.state NOT IN ('delivered', 'cancelled') AND c.code = %s "
        "ORDER BY d.id",
        [WAREHOUSE],
    )


def subjects(receiver, event_type: str) -> set[str]:
    """The subjects of the genuine events of a type that arrived."""
    return {
        item["subject"]
        for item in receiver.received(type=event_type, limit="10000")["items"]
        if item["verified"]
    }


def test_invoice_out_payment_in(desk, hub):
    """cap 16, 30, 80: from posting to paid and back out, under one correlation id."""
    invoice = desk.invoice("End to end", 120.0)
    posted = desk.await_event(POSTED, invoice["name"])
    assert posted["verified"]
    answer = desk.shop().send(CAPTURED, captured(invoice, "pay_e2e"))
    assert answer.status == 202
    desk.await_event(PAID, invoice["name"])
    assert desk.read_invoice(invoice["id"])["payment_state"] in ("paid", "in_payment")
    correlation = hub.value(
        "SELECT finance_correlation_id FROM account_move WHERE id = %s",
        [invoice["id"]],
    )
    steps = desk.operator.read(
        "finance.trace.step", [("correlation_id", "=", correlation)], ["kind"]
    )
    assert {step["kind"] for step in steps} >= {
        "document",
        "payment",
        "event",
        "delivery",
        "message",
        "command",
        "transition",
    }


def test_same_message_a_thousand_times(desk, hub):
    """cap 38: a thousand arrivals, many at once, pay once."""
    invoice = desk.invoice("A thousand times", 75.0)
    shop, data = desk.shop(), captured(invoice, "pay_thousand")
    body = shop.envelope(CAPTURED, data, "msg_thousand")

    def send(_number):
        return shop.send(CAPTURED, data, identifier="msg_thousand", body=body)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(1000)))
    refused = [answer for answer in answers if answer.status != 202]
    assert not refused, refused[:3]
    assert sum(not answer.content["duplicate"] for answer in answers) == 1
    desk.await_event(PAID, invoice["name"])
    assert (
        hub.value(
            "SELECT count(*) FROM finance_message WHERE external_id = 'msg_thousand'"
        )
        == 1
    )
    paid = "SELECT count(*) FROM account_payment WHERE finance_provider_ref = %s"
    assert hub.value(paid, ["pay_thousand"]) == 1


def test_same_payment_under_many_ids(desk, hub):
    """cap 38: the business key holds where the message ids differ."""
    invoice = desk.invoice("Many ids", 33.0)
    shop, data = desk.shop(), captured(invoice, "pay_many_ids")
    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(lambda _n: shop.send(CAPTURED, data).status, range(40)))
    assert statuses == {202}
    assert hub.wait_until(
        lambda: (
            hub.value("SELECT count(*) FROM finance_message WHERE state = 'received'")
            == 0
        )
    )
    states = hub.sql(
        "SELECT state, count(*) AS number FROM finance_command "
        "WHERE business_key = 'payment.captured:pay_many_ids' GROUP BY state"
    )
    assert {row["state"]: row["number"] for row in states} == {
        "applied": 1,
        "ignored": 39,
    }


def test_broken_receiver_to_solved_exception(desk, hub, receiver):
    """cap 69, 70: retries end with a person, who solves it from the screen."""
    receiver.control("fail", status=503)
    endpoint = desk.administrator.search("finance.endpoint", [], limit=1)
    before = desk.administrator.read(
        "finance.endpoint", [("id", "in", endpoint)], ["retry_schedule"]
    )[0]["retry_schedule"]
    desk.administrator.write("finance.endpoint", endpoint, {"retry_schedule": "0,1,1"})
    try:
        invoice = desk.invoice("Broken receiver", 12.0)
        opened = [("code", "=", "T-DEADLETTER"), ("state", "=", "open")]
        assert hub.wait_until(
            lambda: desk.operator.count("finance.exception", opened), timeout=150
        )
    finally:
        receiver.control("ok")
        desk.administrator.write(
            "finance.endpoint", endpoint, {"retry_schedule": before}
        )
    exception = desk.operator.search("finance.exception", opened)
    desk.operator.call("finance.exception", "action_retry", exception)
    desk.await_event(POSTED, invoice["name"])
    assert hub.wait_until(
        lambda: (
            desk.operator.read(
                "finance.exception", [("id", "in", exception)], ["state"]
            )[0]["state"]
            == "resolved"
        )
    )
    attempts = hub.value(
        "SELECT count(*) FROM finance_attempt a JOIN finance_delivery d "
        "ON d.id = a.delivery_id JOIN finance_event e ON e.id = d.event_id "
        "WHERE e.label = %s",
        [invoice["name"]],
    )
    assert attempts == 4


def test_refused_transaction_leaves_no_event(desk, hub):
    """cap 16: what is rolled back was never announced."""
    good = desk.operator.create(
        "account.move",
        {
            "move_type": "out_invoice",
            "partner_id": desk.operator.search("res.partner", [], limit=1)[0],
            "invoice_line_ids": [(0, 0, {"name": "x", "price_unit": 1.0})],
        },
    )
    bad = desk.operator.create("account.move", {"move_type": "out_invoice"})
    with pytest.raises(Exception, match=r"UserError|ValidationError|RedirectWarning"):
        desk.operator.call("account.move", "action_post", [good, bad])
    query = (
        "SELECT count(*) FROM finance_event WHERE res_model = 'account.move' "
        "AND res_id = ANY(%s)"
    )
    assert hub.value(query, [[good, bad]]) == 0


def test_sigkill_in_the_middle_of_a_drain(desk, hub, receiver):
    """cap 105: a server that dies while sending loses nothing."""
    receiver.control("slow", delay=0.4)
    sent = invoices(desk, 200, "Killed while sending")
    expected = {f"invoice/{invoice['id']}" for invoice in sent}
    assert hub.wait_until(
        lambda: len(subjects(receiver, POSTED) & expected) >= 20, pause=0.05
    )
    hub.kill()
    arrived = len(subjects(receiver, POSTED) & expected)
    assert arrived < len(expected), "killed too late to prove anything"
    receiver.control("ok")
    hub.resume()
    assert hub.wait_until(
        lambda: subjects(receiver, POSTED) >= expected, timeout=150
    ), f"{len(expected - subjects(receiver, POSTED))} events are lost"
    assert hub.wait_until(lambda: not undelivered(hub)), undelivered(hub)
    ids = hub.value(
        "SELECT count(DISTINCT event_id) FROM finance_event WHERE type = %s "
        "AND subject = ANY(%s)",
        [POSTED, list(expected)],
    )
    assert ids == len(expected), "one event each, however often it was sent"


def test_sigkill_in_the_middle_of_the_inbox(desk, hub):
    """cap 38, 40: a server that dies while booking books each payment once."""
    sent = invoices(desk, 40, "Killed while booking")
    shop = desk.shop()
    for invoice in sent:
        data = captured(invoice, f"pay_kill_{invoice['id']}")
        assert shop.send(CAPTURED, data).status == 202
    booked = (
        "SELECT count(*) FROM account_payment WHERE finance_provider_ref LIKE "
        "'pay_kill_%%'"
    )
    assert hub.wait_until(lambda: hub.value(booked) >= 5, pause=0.02)
    hub.kill()
    at_kill = hub.value(booked)
    assert at_kill < len(sent), "killed too late to prove anything"
    hub.resume()
    assert hub.wait_until(lambda: hub.value(booked) >= len(sent), timeout=150)
    assert hub.value(booked) == len(sent)
    unpaid = "SELECT count(*) FROM account_move WHERE id = ANY(%s) AND "
    ids = [invoice["id"] for invoice in sent]
    assert hub.value(unpaid + "payment_state NOT IN ('paid', 'in_payment')", [ids]) == 0


def test_names_of_the_demo(hub):
    """The connectors that these tests use are those of the demo data."""
    codes = {row["code"] for row in hub.sql("SELECT code FROM finance_connector")}
    assert codes >= {WAREHOUSE, SHOP}
