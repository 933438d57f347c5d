# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the AMQP transport does where there is no broker.

What a real broker says is tested in ``tests/system/test_amqp.py``.
"""

import asyncio
import socket
import ssl
import sys
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver
from finance_hub.transport import Gate, Outcome, explain, parse_networks, verdict
from finance_hub.transport.amqp import (
    AmqpTransport,
    binary_headers,
    classify,
    is_available,
)
from finance_hub.transport.constants import THROTTLE_DELAY
from pika import exceptions

LOOPBACK = parse_networks("127.0.0.0/8")


@asynccontextmanager
async def opened(port, **options):
    values = {
        "host": "127.0.0.1",
        "vhost": "/",
        "username": "hub",
        "password": "hub-password",
        "exchange": "finance.events",
        "networks": LOOPBACK,
        **options,
    }
    transport = AmqpTransport(port=port, **values)
    try:
        yield transport
    finally:
        await transport.close()


async def publish(transport, timeout=5.0, **options):
    values = {
        "routing_key": "finance.invoice.posted.v1",
        "message_id": "e-1",
        "body": b"{}",
        "content_type": "application/cloudevents+json",
        "headers": {},
        "timestamp": 1768471200,
        **options,
    }
    return await transport.publish(timeout=timeout, **values)


def publish_one(port, *, timeout=5.0, **options):
    async def main():
        async with opened(port, **options) as transport:
            return await publish(transport, timeout)

    return asyncio.run(main())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_nobody_listens():
    outcome = publish_one(free_port())
    assert outcome.error == "connect" and not outcome.delivered
    assert "refused" in outcome.detail and outcome.remote_ip is None
    assert outcome.started_at > 0 and outcome.duration_ms > 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"AMQP\x00\x01\x00\x00",  # AMQP 1.0
        b"\x00" * 100,
        b"\x01\x00\x00\xff\xff\xff\xff\xce",
        b"",
    ],
)
def test_something_else_listens(answer):
    async def main():
        async def talk(reader, writer):
            await reader.read(8)
            writer.write(answer)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with opened(port) as transport:
                return await publish(transport)

    assert asyncio.run(main()).error == "amqp_protocol"


@pytest.mark.parametrize("context", [None, ssl.create_default_context()])
def test_a_listener_that_says_nothing(context):
    async def main():
        done = asyncio.Event()

        async def talk(_reader, writer):
            await done.wait()
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with opened(port, ssl_context=context) as transport:
                outcomes = await asyncio.gather(
                    publish(transport, 0.2), publish(transport, 0.3)
                )
            done.set()
        return outcomes

    for outcome in asyncio.run(main()):
        assert outcome.error == "connect" and 150 < outcome.duration_ms < 4000


class Names(AbstractResolver):
    def __init__(self, *addresses):
        self.addresses = addresses
        self.asked = 0

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked += 1
        if not self.addresses:
            raise OSError("no such name")
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for address in self.addresses
        ]

    async def close(self):
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"networks": ()},
        {"host": "169.254.169.254"},
        {"host": "::1"},
        {"host": "broker.test", "resolver": Names("127.0.0.1", "10.0.0.1")},
        {"host": "broker.test", "resolver": Names("127.0.0.1"), "networks": ()},
        {"host": "broker.test", "resolver": Names("169.254.169.254")},
    ],
)
def test_the_address_guard(options):
    async def main():
        touched = []

        async def talk(_reader, writer):
            touched.append(True)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with opened(port, **options) as transport:
                return await publish(transport), touched

    outcome, touched = asyncio.run(main())
    assert outcome.error == "address_refused" and not touched
    assert explain(outcome).code == "T-ADDRESS"


def test_a_name_that_is_not_known():
    outcome = publish_one(1, host="broker.test", resolver=Names())
    assert outcome.error == "dns" and "broker.test" in outcome.detail


def test_a_broker_that_refused_is_not_asked_by_everybody():
    names = Names()

    async def main():
        async with opened(1, host="broker.test", resolver=names) as transport:
            many = await asyncio.gather(*(publish(transport) for _ in range(20)))
            return [*many, await publish(transport)]

    assert {outcome.error for outcome in asyncio.run(main())} == {"dns"}
    assert names.asked == 1


def test_without_the_library(monkeypatch):
    assert is_available()
    monkeypatch.setitem(sys.modules, "pika", None)
    assert not is_available()
    outcome = publish_one(free_port())
    assert outcome.error == "amqp_library"
    assert "pika" in explain(outcome).next_step


def test_closing_while_connecting():
    async def main():
        done = asyncio.Event()

        async def talk(_reader, writer):
            await done.wait()
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with opened(port) as transport:
                sent = asyncio.ensure_future(publish(transport))
                while not server.sockets or transport._connecting is None:
                    await asyncio.sleep(0)
                await transport.close()
                outcome = await sent
            done.set()
        return outcome

    assert asyncio.run(main()).error == "cancelled"


def test_an_exchange_needs_a_name():
    for name in ("", "x" * 256, "a b", "ü", "a/b"):
        with pytest.raises(ValueError, match="exchange"):
            AmqpTransport("h", 1, "/", "u", "p", exchange=name)


def test_the_password_is_not_shown():
    transport = AmqpTransport("h", 1, "/", "u", "sesame", exchange="x")
    assert "sesame" not in repr(transport)


def test_a_blocked_broker_gets_a_pause_and_a_full_queue_does_not():
    gate = Gate()
    gate.note(Outcome(error="amqp_nack"), 1000.0)
    assert gate.admits(1000.0)
    gate.note(Outcome(error="amqp_blocked"), 1000.0)
    assert not gate.admits(1000.0 + THROTTLE_DELAY - 1) and gate.changed
    assert gate.admits(1000.0 + THROTTLE_DELAY)


def test_what_an_outcome_says_of_the_broker():
    assert verdict(Outcome(confirmed=True)) is True
    assert verdict(Outcome(error="amqp_unroutable")) is True
    for error in ("amqp_nack", "amqp_blocked", "cancelled"):
        assert verdict(Outcome(error=error)) is None
    for error in ("connect", "amqp_login", "amqp_exchange", "amqp_timeout"):
        assert verdict(Outcome(error=error)) is False


def test_binary_headers():
    attributes = {"id": 1, "datacontenttype": "x", "subject": None, "type": "t"}
    assert binary_headers(attributes) == {
        "cloudEvents:id": "1",
        "cloudEvents:type": "t",
    }


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED"), "amqp_denied"),
        (exceptions.ChannelClosedByBroker(404, "NOT_FOUND"), "amqp_exchange"),
        (exceptions.ChannelClosedByBroker(406, "inequivalent arg"), "amqp_exchange"),
        (
            exceptions.ChannelClosedByBroker(
                406, "message size 9 is larger than configured max size 8"
            ),
            "connect",
        ),
        (exceptions.ChannelClosedByBroker(540, "NOT_IMPLEMENTED"), "amqp_channel"),
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED"), "connect"),
        (exceptions.ConnectionClosedByBroker(403, "ACCESS_REFUSED"), "amqp_login"),
        (exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED"), "amqp_vhost"),
        (exceptions.ConnectionClosedByBroker(541, "INTERNAL_ERROR"), "amqp_channel"),
        (exceptions.AuthenticationError("EXTERNAL"), "amqp_login"),
        (
            exceptions.ProbableAuthenticationError("ConnectionClosedByBroker: (403)"),
            "amqp_login",
        ),
        (exceptions.ProbableAuthenticationError("StreamLostError: EOF"), "connect"),
        (
            exceptions.ProbableAccessDeniedError("ConnectionClosedByBroker: (530)"),
            "amqp_vhost",
        ),
        (exceptions.ProbableAccessDeniedError("StreamLostError: EOF"), "connect"),
        (exceptions.AMQPHeartbeatTimeout("No activity"), "connect"),
        (exceptions.StreamLostError("EOF"), "connect"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "tls"),
        (ssl.SSLEOFError(8, "EOF"), "connect"),
        (ConnectionResetError(104, "reset"), "connect"),
    ],
)
def test_what_exceptions_mean(error, key):
    failure = classify(error)
    assert failure.key == key and failure.detail
