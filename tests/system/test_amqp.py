"""The AMQP transport against a real RabbitMQ, and real faults of it."""

import asyncio
import json
import signal
import socket
import ssl
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pika
import pytest
import standardwebhooks
from aiohttp.abc import AbstractResolver
from finance_hub.signing import Signer
from finance_hub.transport import parse_networks
from finance_hub.transport.amqp import AmqpTransport, binary_headers
from finance_hub.transport.amqp_sender import AmqpOptions
from finance_hub.transport.constants import AMQP_RECONNECT_PAUSE
from finance_hub.transport.engine import Claim, Destination, Engine, Parcel

from hubtools.broker import (
    MACHINE,
    MAX_MESSAGE_SIZE,
    MEMORY_LIMIT,
    PASSWORD,
    READER,
    STRANGER,
    USER,
    VHOST,
)
from hubtools.certificates import Authority
from hubtools.process import wait_until

LOOPBACK = parse_networks("127.0.0.0/8")
EXCHANGE = "finance.events"
POSTED = "finance.invoice.posted.v1"
BODY = b'{"specversion":"1.0","id":"e-1"}'
STRUCTURED = "application/cloudevents+json; charset=utf-8"


# === THE OTHER SIDE === #


@contextmanager
def channel(broker):
    """A channel of a reader that is not ours."""
    connection = pika.BlockingConnection(
        pika.ConnectionParameters(
            broker.host,
            broker.port,
            VHOST,
            pika.PlainCredentials(USER, PASSWORD),
        )
    )
    try:
        yield connection.channel()
    finally:
        connection.close()


@pytest.fixture
def queue(broker):
    """A durable queue bound to all finance events; gone after the test."""
    name = "books"
    with channel(broker) as books:
        books.exchange_declare(EXCHANGE, "topic", durable=True)
        books.queue_delete(name)
        books.queue_declare(name, durable=True)
        books.queue_bind(name, EXCHANGE, "finance.#")
    yield name
    broker.start()
    with channel(broker) as books:
        books.queue_delete(name)
        books.exchange_delete(EXCHANGE)


def messages(broker, queue):
    """Take everything out of a queue: a list of (properties, body)."""
    found = []
    with channel(broker) as books:
        while True:
            method, properties, body = books.basic_get(queue, auto_ack=True)
            if method is None:
                return found
            found.append((properties, body))


# === OUR SIDE === #


@asynccontextmanager
async def opened(broker, **options):
    values = {
        "host": broker.host,
        "port": broker.port,
        "vhost": VHOST,
        "username": USER,
        "password": PASSWORD,
        "exchange": EXCHANGE,
        "networks": LOOPBACK,
        **options,
    }
    transport = AmqpTransport(**values)
    try:
        yield transport
    finally:
        await transport.close()


async def publish(transport, message_id="e-1", **options):
    values = {
        "routing_key": POSTED,
        "body": BODY,
        "content_type": STRUCTURED,
        "headers": {},
        "timestamp": 1768471200,
        "timeout": 10,
        **options,
    }
    return await transport.publish(message_id=message_id, **values)


def publish_one(broker, *, transport=None, **options):
    """Publish one message over a connection of its own; return the outcome."""

    async def main():
        async with opened(broker, **(transport or {})) as made:
            return await publish(made, **options)

    return asyncio.run(main())


def context(authority, files=None):
    made = ssl.create_default_context(cadata=authority.pem.decode())
    if files:
        made.load_cert_chain(*files)
    return made


@pytest.fixture
def client(authority, tmp_path):
    """A context with a good client certificate."""
    return context(authority, authority.client_files(MACHINE, tmp_path))


# === WHAT ARRIVES === #


def test_a_confirmed_message_arrives_whole(broker, queue):
    outcome = publish_one(
        broker,
        message_id="e-42",
        event_type=POSTED,
        correlation_id="c-7",
        headers={"webhook-id": "e-42", "n": 3, "yes": True, "float": 1.5},
    )
    assert outcome.delivered and outcome.confirmed
    assert (outcome.status, outcome.error) == (None, None)
    assert outcome.remote_ip == broker.host
    assert set(outcome.phases) == {"connect", "confirm"}
    ((properties, body),) = messages(broker, queue)
    assert body == BODY
    assert properties.message_id == "e-42"
    assert properties.type == POSTED
    assert properties.correlation_id == "c-7"
    assert properties.app_id == "finance-hub"
    assert properties.content_type == STRUCTURED
    assert properties.timestamp == 1768471200
    assert properties.delivery_mode == 2
    assert properties.headers == {
        "webhook-id": "e-42",
        "n": 3,
        "yes": True,
        "float": "1.5",
    }


def test_binary_mode(broker, queue):
    attributes = {
        "id": "e-1",
        "source": "/odoo/1/1",
        "specversion": "1.0",
        "type": POSTED,
        "datacontenttype": "application/json",
        "subject": None,
    }
    outcome = publish_one(
        broker, headers=binary_headers(attributes), content_type="application/json"
    )
    assert outcome.delivered
    ((properties, _body),) = messages(broker, queue)
    assert properties.content_type == "application/json"
    assert properties.headers == {
        "cloudEvents:id": "e-1",
        "cloudEvents:source": "/odoo/1/1",
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": POSTED,
    }


def test_many_in_flight_over_one_connection(broker, queue):
    async def main():
        async with opened(broker) as transport:
            slots = asyncio.Semaphore(200)

            async def one(number):
                async with slots:
                    return await publish(transport, f"e-{number}")

            outcomes = await asyncio.gather(*(one(number) for number in range(3000)))
            connections = broker.call("rabbit_networking connection_info_all")
            return outcomes, connections.count("{pid,")

    outcomes, connections = asyncio.run(main())
    assert all(outcome.delivered for outcome in outcomes)
    assert connections == 1
    ids = [properties.message_id for properties, _body in messages(broker, queue)]
    assert len(ids) == 3000 and set(ids) == {f"e-{number}" for number in range(3000)}


def test_names_that_do_not_fit_are_told_and_harm_nobody(broker, queue):
    async def main():
        async with opened(broker) as transport:
            return await asyncio.gather(
                publish(transport, "e-1", routing_key="x" * 256),
                publish(transport, "e" * 256),
                publish(transport, "e-2", headers={"big": "x" * 100_000}),
                publish(transport, "e-3", headers={"\ud800": "\ud800", "n": 2**70}),
                publish(transport, "e-4"),
            )

    key, name, headers, odd, good = asyncio.run(main())
    assert key.error == name.error == headers.error == "too_large"
    assert odd.delivered and good.delivered
    assert len(messages(broker, queue)) == 2


# === WHAT THE BROKER REFUSES === #


def test_an_unroutable_message_comes_back_and_others_do_not(broker, queue):
    async def main():
        async with opened(broker) as transport:
            return await asyncio.gather(
                *(
                    publish(
                        transport,
                        f"e-{number}",
                        routing_key=POSTED if number % 3 else "nobody.listens",
                    )
                    for number in range(300)
                ),
                # Two with one id at a time.
                publish(transport, "twin", routing_key="nobody.listens"),
                publish(transport, "twin", routing_key="nobody.listens"),
            )

    *outcomes, twin, other = asyncio.run(main())
    for number, outcome in enumerate(outcomes):
        assert outcome.error == (None if number % 3 else "amqp_unroutable")
    assert "312 NO_ROUTE" in outcomes[0].detail and not outcomes[0].delivered
    assert twin.error == other.error == "amqp_unroutable"
    assert len(messages(broker, queue)) == 200


def test_a_full_queue_refuses(broker, queue):
    with channel(broker) as books:
        books.queue_declare(
            "small",
            exclusive=False,
            auto_delete=False,
            arguments={"x-max-length": 2, "x-overflow": "reject-publish"},
        )
        books.queue_bind("small", EXCHANGE, "small")

    async def main():
        async with opened(broker) as transport:
            return [
                await publish(transport, f"e-{number}", routing_key="small")
                for number in range(4)
            ] + [await publish(transport, "e-9")]

    try:
        *small, other = asyncio.run(main())
    finally:
        with channel(broker) as books:
            books.queue_delete("small")
    assert [outcome.error for outcome in small] == [
        None,
        None,
        "amqp_nack",
        "amqp_nack",
    ]
    assert other.delivered, "the channel goes on after a nack"


def test_a_missing_exchange(broker):
    outcome = publish_one(broker, transport={"exchange": "not.there"})
    assert outcome.error == "amqp_exchange" and "404 NOT_FOUND" in outcome.detail


def test_an_exchange_that_vanishes(broker, queue):
    async def main():
        async with opened(broker) as transport:
            first = await publish(transport)
            with channel(broker) as books:
                books.exchange_delete(EXCHANGE)
            return first, await publish(transport), await publish(transport)

    first, second, third = asyncio.run(main())
    assert first.delivered
    assert second.error == third.error == "amqp_exchange"


def test_an_exchange_is_declared_where_wanted(broker):
    exchange = "finance.declared"
    options = {"exchange": exchange, "declare": True}
    try:
        # It is there now, without a queue: the message comes back.
        assert publish_one(broker, transport=options).error == "amqp_unroutable"
        with channel(broker) as books:
            books.exchange_declare(exchange, "topic", durable=True)
        assert publish_one(broker, transport=options).error == "amqp_unroutable"
    finally:
        with channel(broker) as books:
            books.exchange_delete(exchange)


def test_an_exchange_of_another_kind_is_not_taken(broker):
    exchange = "finance.fanout"
    with channel(broker) as books:
        books.exchange_declare(exchange, "fanout", durable=True)
    try:
        outcome = publish_one(broker, transport={"exchange": exchange, "declare": True})
        assert outcome.error == "amqp_exchange" and "406" in outcome.detail
    finally:
        with channel(broker) as books:
            books.exchange_delete(exchange)


def test_who_may_not_write_is_denied(broker, queue):
    outcome = publish_one(broker, transport={"username": READER})
    assert outcome.error == "amqp_denied" and "403 ACCESS_REFUSED" in outcome.detail


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"password": "wrong"}, "amqp_login"),
        ({"username": "nobody"}, "amqp_login"),
        ({"vhost": "not-there"}, "amqp_vhost"),
        ({"username": STRANGER}, "amqp_vhost"),
    ],
)
def test_who_may_not_enter(broker, options, error):
    outcome = publish_one(broker, transport=options)
    assert outcome.error == error and PASSWORD not in outcome.detail


def test_a_refused_login_is_not_hammered(broker):
    def refused():
        return broker.server.log.read_text().count("login refused")

    before = refused()

    async def main():
        async with opened(broker, password="wrong") as transport:
            return await asyncio.gather(
                *(publish(transport, f"e-{number}") for number in range(50))
            ) + [await publish(transport)]

    outcomes = asyncio.run(main())
    assert {outcome.error for outcome in outcomes} == {"amqp_login"}
    assert wait_until(lambda: refused() > before, 5) and refused() == before + 1


def test_a_message_beyond_the_brokers_limit_fails_alone(broker, queue):
    async def main():
        async with opened(broker) as transport:
            assert (await publish(transport, "first")).delivered
            together = await asyncio.gather(
                publish(transport, "big", body=b"x" * (MAX_MESSAGE_SIZE + 1)),
                *(publish(transport, f"e-{number}") for number in range(20)),
            )
            again = [await publish(transport, f"e-{number}") for number in range(20)]
            # It is known now, and does not end the connection of all a second time.
            big, small = await asyncio.gather(
                publish(transport, "big", body=b"x" * (MAX_MESSAGE_SIZE + 1)),
                publish(transport, "small"),
            )
            assert big.error == "too_large" and "takes at most" in big.detail
            assert small.delivered
            return together, again

    (big, *others), again = asyncio.run(main())
    assert big.error == "too_large"
    assert {outcome.error for outcome in others} <= {None, "connect"}
    assert all(outcome.delivered for outcome in again)


# === FAULTS === #


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_nothing_is_lost_when_the_broker_is_killed(broker, queue, client, tls):
    """At least once: 1000 events, the broker killed in the middle of them."""
    total, failures = 1000, []
    options = {"port": broker.tls_port, "ssl_context": client} if tls else {}

    async def main():
        loop = asyncio.get_running_loop()
        slots = asyncio.Semaphore(50)
        confirmed = 0
        killed = asyncio.Event()

        async def one(transport, number):
            nonlocal confirmed
            while True:
                async with slots:
                    outcome = await publish(transport, f"e-{number}", timeout=5)
                if outcome.delivered:
                    confirmed += 1
                    if confirmed == total // 3:
                        killed.set()
                    return
                failures.append(outcome.error)
                # As the retry schedule would.
                await asyncio.sleep(0.2)

        async def fault():
            await killed.wait()
            broker.kill()
            await loop.run_in_executor(None, broker.start)

        async with opened(broker, **options) as transport:
            await asyncio.gather(
                fault(), *(one(transport, number) for number in range(total))
            )

    asyncio.run(main())
    assert "connect" in failures, "the fault was felt"
    # A broker that dies while it says hello looks like no broker.
    assert set(failures) <= {"connect", "amqp_protocol"}
    ids = [properties.message_id for properties, _body in messages(broker, queue)]
    assert set(ids) == {f"e-{number}" for number in range(total)}


def test_a_broker_that_is_stopped_politely(broker, queue):
    async def main():
        async with opened(broker) as transport:
            first = await publish(transport)
            broker.stop()
            second = await publish(transport)
            broker.start()
            await asyncio.sleep(AMQP_RECONNECT_PAUSE)
            return first, second, await publish(transport)

    first, second, third = asyncio.run(main())
    assert (first.error, second.error, third.error) == (None, "connect", None)


def test_a_confirm_that_does_not_come_in_time(broker, queue):
    async def main():
        async with opened(broker) as transport:
            first = await publish(transport, "e-1")
            stop(broker)
            try:
                slow = await publish(transport, "e-2", timeout=0.5)
            finally:
                broker.server.signal(signal.SIGCONT)
            # The late confirm of e-2 is nobody's, and e-3 has its own.
            return first, slow, await publish(transport, "e-3")

    first, slow, third = asyncio.run(main())
    assert (first.error, slow.error, third.error) == (None, "amqp_timeout", None)
    assert 450 < slow.duration_ms < 5000
    ids = [properties.message_id for properties, _body in messages(broker, queue)]
    assert ids == ["e-1", "e-2", "e-3"]


def test_heartbeats_find_a_broker_that_hangs(broker, queue):
    async def main():
        async with opened(broker, heartbeat=1) as transport:
            await publish(transport, "e-1")
            stop(broker)
            try:
                return await publish(transport, "e-2", timeout=30)
            finally:
                broker.server.signal(signal.SIGCONT)

    outcome = asyncio.run(main())
    assert outcome.error == "connect" and outcome.duration_ms < 25_000


def test_a_broker_short_of_memory_blocks(broker, queue):
    async def main():
        async with opened(broker) as transport:
            first = await publish(transport, "e-1")
            broker.set_memory_limit(0.0)
            try:
                # It learns that it is blocked by publishing.
                under_way = await publish(transport, "e-2", timeout=1)
                kept_back = await publish(transport, "e-3", timeout=0.5)
                waits = asyncio.ensure_future(publish(transport, "e-4", timeout=20))
                await asyncio.sleep(0)
            finally:
                broker.set_memory_limit(MEMORY_LIMIT)
            return first, under_way, kept_back, await waits

    first, under_way, kept_back, waited = asyncio.run(main())
    assert first.delivered and waited.delivered
    assert under_way.error == kept_back.error == "amqp_blocked"
    assert "memory" in under_way.detail and "may still arrive" in under_way.detail
    ids = [properties.message_id for properties, _body in messages(broker, queue)]
    assert sorted(ids) == ["e-1", "e-2", "e-4"], "what was kept back was not sent"


def test_closing_waits_for_what_is_under_way(broker, queue):
    async def main():
        async with opened(broker) as transport:
            sent = [
                asyncio.ensure_future(publish(transport, f"e-{number}"))
                for number in range(100)
            ]
            while not any(task.done() for task in sent):
                await asyncio.sleep(0)
            await transport.close()
            return await asyncio.gather(*sent), await publish(transport, "late")

    outcomes, late = asyncio.run(main())
    assert all(outcome.delivered for outcome in outcomes)
    assert late.error == "cancelled"


def stop(broker):
    """Stop the broker's processes, and wait until every thread of them stands.

    One that still runs could confirm what is sent after the signal.
    """
    group = broker.server.pid
    broker.server.signal(signal.SIGSTOP)

    def stands() -> bool:
        threads = []
        for path in Path("/proc").glob("[0-9]*/task/*/stat"):
            try:
                state, _parent, member_of = (
                    path.read_text().rpartition(")")[2].split()[:3]
                )
            except OSError:
                continue
            if int(member_of) == group:
                threads.append(state)
        return bool(threads) and set(threads) <= {"T", "Z"}

    assert wait_until(stands, 10, 0.01)


def test_closing_does_not_wait_for_ever(broker, queue, monkeypatch):
    monkeypatch.setattr("finance_hub.transport.amqp.const.AMQP_CLOSE_TIMEOUT", 0.3)

    async def main():
        async with opened(broker) as transport:
            await publish(transport, "e-1")
            stop(broker)
            try:
                hanging = asyncio.ensure_future(publish(transport, "e-2"))
                await asyncio.sleep(0)
                started = time.monotonic()
                await transport.close()
                return await hanging, time.monotonic() - started
            finally:
                broker.server.signal(signal.SIGCONT)

    outcome, seconds = asyncio.run(main())
    assert outcome.error == "cancelled" and seconds < 3


# === TLS === #


def test_tls_with_a_client_certificate(broker, queue, client):
    outcome = publish_one(
        broker, transport={"port": broker.tls_port, "ssl_context": client}
    )
    assert outcome.delivered, outcome.detail
    assert len(messages(broker, queue)) == 1


def test_the_client_certificate_can_be_the_login(broker, queue, client):
    outcome = publish_one(
        broker,
        transport={
            "port": broker.tls_port,
            "ssl_context": client,
            "username": "",
            "password": "",
        },
    )
    assert outcome.delivered, outcome.detail


def test_tls_without_or_with_a_strange_certificate(broker, authority, tmp_path):
    strange = Authority("Somebody Else")
    for made in (
        context(authority),
        context(authority, strange.client_files(MACHINE, tmp_path)),
        context(strange, authority.client_files(MACHINE, tmp_path)),
    ):
        outcome = publish_one(
            broker, transport={"port": broker.tls_port, "ssl_context": made}
        )
        assert outcome.error == "tls", outcome.detail


class Names(AbstractResolver):
    """Answers with the next of its answers, and with the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=socket.AF_INET):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for address in answer
        ]

    async def close(self):
        pass


def test_tls_verifies_the_name_and_not_the_address(broker, queue, client):
    for name, error in (("broker.test", None), ("other.test", "tls")):
        outcome = publish_one(
            broker,
            transport={
                "host": name,
                "port": broker.tls_port,
                "ssl_context": client,
                "resolver": Names(["127.0.0.1"]),
            },
        )
        assert outcome.error == error, outcome.detail


def test_tls_and_plain_text_are_told_apart(broker, client):
    plain = publish_one(broker, transport={"ssl_context": client})
    assert plain.error == "tls"
    secure = publish_one(broker, transport={"port": broker.tls_port})
    assert secure.error in ("amqp_protocol", "connect")


# === THE ADDRESS GUARD === #


def test_the_next_address_is_tried_when_one_is_dead(broker, queue):
    outcome = publish_one(
        broker,
        transport={
            "host": "broker.test",
            # The broker listens on the second one only.
            "resolver": Names(["127.9.9.9", "127.0.0.1"]),
        },
    )
    assert outcome.delivered and outcome.remote_ip == "127.0.0.1"


def test_a_name_that_changes_its_answer_is_checked_each_time(broker, queue):
    names = Names(["127.0.0.1"], ["127.0.0.1", "10.0.0.1"])

    async def main():
        async with opened(broker, host="broker.test", resolver=names) as transport:
            first = await publish(transport)
            broker.kill()
            broker.start()
            lost = await publish(transport)
            await asyncio.sleep(AMQP_RECONNECT_PAUSE)
            return first, lost, await publish(transport)

    first, lost, refused = asyncio.run(main())
    assert first.delivered
    assert {lost.error, refused.error} <= {"connect", "address_refused"}
    assert refused.error == "address_refused" and "10.0.0.1" in refused.detail


# === THROUGH THE ENGINE === #


def run_engine(broker, parcels, **options):
    """Let the engine send parcels (headers, body) in lanes; return its results."""
    url = f"amqp://{broker.host}:{broker.port}/{VHOST}"
    destination = Destination(
        key=1,
        transport="amqp",
        options=AmqpOptions(
            **{
                "url": url,
                "exchange": EXCHANGE,
                "username": USER,
                "password": PASSWORD,
                **options,
            }
        ),
        timeout=10.0,
        concurrency=20,
        window=400,
    )
    waiting = [
        Parcel(destination, f"lane-{number % 50}", f"e-{number}", body, headers)
        for number, (headers, body) in enumerate(parcels)
    ]
    results = []

    def claim(_in_hand):
        return Claim([waiting.pop(0) for _ in range(min(200, len(waiting)))])

    engine = Engine(claim, results.extend, budget=20, networks=LOOPBACK)
    engine.run()
    return sorted(results, key=lambda result: int(result.parcel.message_id[2:]))


def event(number, **more):
    return {
        "id": f"e-{number}",
        "source": "/odoo/1/1",
        "specversion": "1.0",
        "type": POSTED,
        "correlationid": "c-1",
        "legalentity": "7",
        **more,
    }


def structured(number):
    body = json.dumps({**event(number), "data": {"n": number}}).encode()
    return {"Content-Type": STRUCTURED}, body


def test_the_engine_sends_in_order_and_signs(broker, queue):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    results = run_engine(broker, map(structured, range(1000)), signer=Signer([secret]))
    assert len(results) == 1000 and all(r.outcome.delivered for r in results)
    arrived = messages(broker, queue)
    for lane in range(50):
        numbers = [
            int(properties.message_id[2:])
            for properties, _body in arrived
            if int(properties.message_id[2:]) % 50 == lane
        ]
        assert numbers == sorted(numbers) and len(numbers) == 20
    properties, body = arrived[0]
    webhook = standardwebhooks.Webhook(secret)
    verified = webhook.verify(body, properties.headers)
    assert verified["id"] == properties.message_id
    assert (properties.type, properties.correlation_id) == (POSTED, "c-1")
    assert results[0].request_headers["Routing-Key"] == POSTED
    assert results[0].request_headers["Content-Type"] == STRUCTURED


def test_the_engine_sends_binary_events_and_batches(broker, queue):
    attributes = event(0, subject="a%2Fb")
    http = {f"ce-{name}": value for name, value in attributes.items()}
    http["ce-subject"] = "caf%C3%A9/1"
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    results = run_engine(
        broker,
        [
            ({"Content-Type": "application/json", **http}, b'{"n": 1}'),
            (batch, b"[%s]" % structured(1)[1]),
        ],
        routing_key="finance.{company}.{type}",
    )
    assert [r.outcome.error for r in results] == [None, None]
    assert [r.request_headers["Routing-Key"] for r in results] == [
        f"finance.7.{POSTED}",
        "finance..finance.batch",
    ]
    arrived = {p.message_id: (p, body) for p, body in messages(broker, queue)}
    properties, body = arrived["e-0"]
    assert body == b'{"n": 1}' and properties.content_type == "application/json"
    assert properties.headers == {
        **{f"cloudEvents:{name}": value for name, value in attributes.items()},
        "cloudEvents:subject": "café/1",
    }
    assert properties.type == POSTED and arrived["e-1"][0].headers == {}


def test_a_failure_stops_its_lane_only(broker, queue):
    def parcels():
        for number in range(100):
            headers, body = structured(number)
            if number == 7:
                body = body.replace(POSTED.encode(), b"nobody.listens")
            yield headers, body

    results = run_engine(broker, parcels())
    by_lane = {int(r.parcel.message_id[2:]): r.outcome for r in results}
    assert by_lane[7].error == "amqp_unroutable"
    assert by_lane[57] is None, "what comes behind it was not tried"
    others = [outcome for n, outcome in by_lane.items() if n % 50 != 7]
    assert all(outcome.delivered for outcome in others)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"url": "amqps://10.0.0.1/finance"}, "address_refused"),
        ({"url": "amqp://broker.example.com/finance"}, "address_refused"),
        ({"url": "https://broker.example.com/"}, "address_refused"),
        ({"routing_key": "x" * 240 + "{type}"}, "too_large"),
        ({"password": "wrong"}, "amqp_login"),
    ],
)
def test_what_cannot_be_sent_is_an_outcome(broker, queue, options, error):
    (result,) = run_engine(broker, [structured(0)], **options)
    assert result.outcome.error == error and result.outcome.detail
    assert PASSWORD not in repr(result.request_headers)
