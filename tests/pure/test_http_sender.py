# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import asyncio
import contextlib
import socket
import ssl

import pytest
from aiohttp.abc import AbstractResolver
from certificates import Authority
from finance_hub.transport import (
    Basic,
    ClientCredentials,
    client_context,
    parse_networks,
    parse_proxy,
)
from finance_hub.transport import constants as const
from finance_hub.transport.engine import Destination, Parcel
from finance_hub.transport.http import HttpOptions, HttpSender
from finance_hub.transport.resolver import GuardedResolver

LOOPBACK = parse_networks("127.0.0.0/8")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.asynccontextmanager
async def server(answer, ssl_context=None):
    """A server that says exactly what a test wants, whatever HTTP says.

    :param answer: bytes, or ``async (request, writer)``
    """
    requests, writers = [], []

    async def handle(reader, writer):
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                body = await reader.readexactly(length)
                requests.append((head.decode(), body))
                if callable(answer):
                    await answer(requests, writer)
                else:
                    writer.write(answer)
                    await writer.drain()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=ssl_context)
    try:
        yield listening.sockets[0].getsockname()[1], requests
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()
        # What is aborted ends in the next turns of the loop.
        for _turn in range(3):
            await asyncio.sleep(0)


def parcel(url, timeout=2.0, headers=None, **options):
    target = Destination(1, "https", HttpOptions(url, {}, **options), timeout, 1, 2)
    return Parcel(target, "lane", "msg_1", b'{"a": 1}', headers or {})


def send(answer, path="/hook", timeout=2.0, **options):
    """Send one message; return (outcome, headers that were sent, requests)."""

    async def main():
        async with server(answer) as (port, requests):
            sender = HttpSender(LOOPBACK)
            try:
                outcome, headers = await sender.send(
                    parcel(f"http://127.0.0.1:{port}{path}", timeout, **options)
                )
            finally:
                await sender.close()
            return outcome, headers, requests

    return asyncio.run(main())


def test_what_is_sent_and_kept():
    outcome, headers, requests = send(OK, headers={"Ce-Id": "1"})
    assert outcome.delivered and outcome.status == 200 and outcome.body == b"{}"
    assert outcome.remote_ip == "127.0.0.1"
    assert set(outcome.phases) == {"connect", "answer", "body"}
    assert all(value >= 0 for value in outcome.phases.values())
    assert sum(outcome.phases.values()) == pytest.approx(outcome.duration_ms, abs=1)
    assert headers == {"Ce-Id": "1"}
    (head, body) = requests[0]
    assert head.startswith("POST /hook HTTP/1.1\r\n") and body == b'{"a": 1}'


def test_a_connection_is_used_again():
    async def main():
        async with server(OK) as (port, _requests):
            sender = HttpSender(LOOPBACK)
            message = parcel(f"http://127.0.0.1:{port}/")
            outcomes = [(await sender.send(message))[0] for _index in range(3)]
            await sender.close()
            return outcomes

    outcomes = asyncio.run(main())
    assert {outcome.remote_ip for outcome in outcomes} == {"127.0.0.1"}
    assert outcomes[0].phases["connect"] > outcomes[1].phases["connect"]


def test_a_redirect_is_not_followed():
    elsewhere = b"HTTP/1.1 307 X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"
    outcome, _headers, requests = send(elsewhere)
    assert (outcome.status, outcome.error) == (307, "redirect")
    assert not outcome.delivered and len(requests) == 1


@pytest.mark.parametrize(
    "extra, kept", [(-1, False), (0, False), (1, True), (10**6, True)]
)
def test_long_bodies_are_cut(extra, kept):
    size = const.BODY_KEPT_BYTES + extra
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size
    outcome, _headers, _requests = send(answer)
    assert outcome.delivered and outcome.truncated is kept
    assert len(outcome.body) == min(size, const.BODY_KEPT_BYTES)


def test_a_body_without_end_costs_no_more_than_the_timeout():
    async def endless(_requests, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _index in range(200):
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    outcome, _headers, _requests = send(endless, timeout=0.3)
    assert outcome.duration_ms < 1500
    assert outcome.delivered and outcome.truncated, "the status is the answer"
    assert set(outcome.body) == {ord("x")}


def test_a_body_that_breaks_off_changes_nothing_of_the_status():
    async def broken(_requests, writer):
        writer.write(b"HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    outcome, _headers, _requests = send(broken)
    assert (outcome.status, outcome.body, outcome.truncated) == (202, b"half", True)


def test_an_answer_that_does_not_come():
    async def silent(_requests, _writer):
        await asyncio.sleep(5)

    outcome, _headers, _requests = send(silent, timeout=0.2)
    assert (outcome.error, outcome.status) == ("timeout", None)
    assert outcome.remote_ip == "127.0.0.1"


@pytest.mark.parametrize(
    "answer, error",
    [
        (b"garbage\r\n\r\n", "protocol"),
        (b"\x00\xff\xfe" * 100 + b"\r\n\r\n", "protocol"),
        (b"HTTP/1.1 banana OK\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nNo colon here\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "protocol"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "protocol"),
    ],
)
def test_garbage_is_a_failure_with_a_reason(answer, error):
    outcome, _headers, _requests = send(answer, timeout=1.0)
    assert (outcome.error, outcome.status) == (error, None)
    assert outcome.detail


def test_a_connection_that_breaks_off():
    async def gone(_requests, writer):
        writer.close()

    outcome, _headers, _requests = send(gone)
    assert outcome.error == "connect"


@pytest.mark.parametrize(
    "line",
    [
        b"X-Bad: \xff\xfe",
        b"X-Bad: caf\xc3\xa9",
        b"X-Bad: \xed\xa0\x80",
        b"X-Bad: a\x01b",
    ],
)
def test_headers_that_are_no_text_can_be_stored(line):
    answer = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n"
    outcome, _headers, _requests = send(answer)
    for text in (*outcome.headers, *outcome.headers.values(), outcome.detail):
        text.encode()  # raises where half of a surrogate pair is left
        assert "\0" not in text
    assert outcome.delivered or outcome.error == "protocol"


def test_a_reason_that_is_no_text_can_be_stored():
    outcome, _headers, _requests = send(
        b"HTTP/1.1 2\xff0 \xff\xfe\r\n\r\n", timeout=1.0
    )
    assert outcome.error == "protocol" and outcome.detail.encode()


def test_an_interim_answer_is_not_the_answer():
    outcome, _headers, _requests = send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert outcome.status == 200


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def main():
        sender = HttpSender(LOOPBACK)
        outcome, _headers = await sender.send(parcel(f"http://127.0.0.1:{port}/"))
        await sender.close()
        return outcome

    outcome = asyncio.run(main())
    assert outcome.error == "connect" and outcome.remote_ip is None


# === ADDRESSES === #


def test_an_address_that_is_not_allowed_is_not_asked():
    async def main():
        async with server(OK) as (port, requests):
            sender = HttpSender(())
            outcome, _headers = await sender.send(parcel(f"http://127.0.0.1:{port}/"))
            await sender.close()
            return outcome, requests

    outcome, requests = asyncio.run(main())
    assert outcome.error == "address_refused" and not requests


class Changing(AbstractResolver):
    """A name that answers first with a good address, then with a private one."""

    def __init__(self, port, *answers):
        self.port, self.answers, self.asked = port, list(answers), 0

    async def resolve(self, host, port=0, family=socket.AF_INET):
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            {
                "hostname": host,
                "host": address,
                "port": self.port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self):
        """Nothing to release."""


def test_a_name_that_changes_its_address_gains_nothing(monkeypatch, trusting, served):
    """DNS rebinding: what is checked is what is connected to, each time."""
    monkeypatch.setattr(const, "DNS_TTL", 0)
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def main():
        async with server(close, served) as (port, requests):
            sender = HttpSender(parse_networks("127.0.0.1/32"))
            inner = Changing(port, "127.0.0.1", "169.254.169.254", "10.0.0.1")
            sender._session.connector._resolver = GuardedResolver(
                parse_networks("127.0.0.1/32"), inner
            )
            message = parcel(f"https://receiver.example:{port}/", ssl_context=trusting)
            outcomes = [(await sender.send(message))[0] for _index in range(3)]
            await sender.close()
            return outcomes, requests, inner.asked

    outcomes, requests, asked = asyncio.run(main())
    assert [o.error for o in outcomes] == [None, "address_refused", "address_refused"]
    assert outcomes[0].remote_ip == "127.0.0.1", "the address, whatever the name"
    assert len(requests) == 1 and asked == 3


def test_a_name_that_does_not_exist():
    class Unknown(Changing):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            raise OSError(-2, "Name or service not known")

    async def main():
        sender = HttpSender(LOOPBACK)
        sender._session.connector._resolver = GuardedResolver(LOOPBACK, Unknown(0))
        outcome, _headers = await sender.send(parcel("https://receiver.example/"))
        await sender.close()
        return outcome

    assert asyncio.run(main()).error == "dns"


# === TLS === #


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def served(authority, tmp_path):
    """TLS settings of a server whose certificate nobody but us knows."""
    certificate, key = authority.issue("127.0.0.1")
    path = tmp_path / "server.pem"
    path.write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture
def trusting(authority):
    """TLS settings of a client that knows the authority, for any name."""
    context = client_context(ca_pem=authority.pem)
    context.check_hostname = False
    return context


def over_tls(served, **options):
    async def main():
        async with server(OK, served) as (port, requests):
            sender = HttpSender(LOOPBACK)
            outcome, _headers = await sender.send(
                parcel(f"https://127.0.0.1:{port}/", **options)
            )
            await sender.close()
            return outcome, requests

    return asyncio.run(main())


def test_a_certificate_of_nobody_is_refused(served):
    outcome, requests = over_tls(served)
    assert (outcome.error, outcome.status) == ("tls", None)
    assert not requests and "certificate" in outcome.detail.lower()


def test_a_private_authority_is_believed_where_it_is_named(served, trusting):
    outcome, _requests = over_tls(served, ssl_context=trusting)
    assert outcome.status == 200


def test_a_server_without_tls_is_refused():
    async def main():
        async with server(b"HTTP/1.1 400 Bad\r\n\r\n") as (port, _requests):
            sender = HttpSender(LOOPBACK)
            outcome, _headers = await sender.send(
                parcel(f"https://127.0.0.1:{port}/", 1.0)
            )
            await sender.close()
            return outcome

    assert asyncio.run(main()).error in ("tls", "timeout")


# === ACCESS === #


class Signer:
    """Tells what it was given to sign."""

    def sign_request(self, method, url, message_id, timestamp, body, headers):
        self.seen = (method, url, message_id, body)
        return {"webhook-signature": "v1,abc", "webhook-timestamp": str(timestamp)}


def test_signature_is_sent_and_shown():
    signer = Signer()
    _outcome, headers, requests = send(OK, signer=signer)
    assert "webhook-signature: v1,abc\r\n" in requests[0][0]
    assert headers["webhook-signature"] == "v1,abc"
    assert signer.seen[0] == "POST" and signer.seen[2:] == ("msg_1", b'{"a": 1}')


def test_what_shows_who_we_are_is_sent_and_not_shown():
    _outcome, headers, requests = send(OK, authenticator=Basic("user", "pass word"))
    assert "authorization: Basic " in requests[0][0].replace(
        "Authorization", "authorization"
    )
    assert headers["Authorization"] == const.HIDDEN
    assert "pass" not in repr(headers)


@pytest.mark.parametrize("stays", [False, True])
def test_a_token_that_ended_is_renewed_once(stays):
    """401, a new token, and again; not for ever."""
    tokens = []

    async def answer(requests, writer):
        head = requests[-1][0]
        if head.startswith("POST /token"):
            tokens.append(f"token{len(tokens)}")
            content = f'{{"access_token": "{tokens[-1]}", "token_type": "Bearer"}}'
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                + f"Content-Length: {len(content)}\r\n\r\n{content}".encode()
            )
        elif "token0" in head or stays:
            writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(OK)
        await writer.drain()

    async def main():
        async with server(answer) as (port, requests):
            access = ClientCredentials(
                f"http://127.0.0.1:{port}/token", "us", "secret", networks=LOOPBACK
            )
            sender = HttpSender(LOOPBACK)
            message = parcel(f"http://127.0.0.1:{port}/hook", authenticator=access)
            outcome, headers = await sender.send(message)
            await sender.close()
            return outcome, headers, requests

    outcome, headers, requests = asyncio.run(main())
    assert outcome.status == (401 if stays else 200)
    assert tokens == ["token0", "token1"]
    assert sum(head.startswith("POST /hook") for head, _body in requests) == 2
    assert "token" not in repr(headers)


# === PROXY === #


def test_through_a_plain_proxy():
    """Of an http:// address the proxy gets the whole URL."""

    async def main():
        async with server(OK) as (port, requests):
            sender = HttpSender(parse_networks("127.0.0.0/8, 10.0.0.0/8"))
            message = parcel(
                "http://10.1.2.3:8080/hook",
                proxy=parse_proxy(f"http://us:secret@127.0.0.1:{port}"),
            )
            outcome, headers = await sender.send(message)
            await sender.close()
            return outcome, headers, requests

    outcome, headers, requests = asyncio.run(main())
    assert outcome.status == 200
    head = requests[0][0]
    assert head.startswith("POST http://10.1.2.3:8080/hook HTTP/1.1")
    assert "Proxy-Authorization: Basic" in head
    assert "secret" not in repr(headers)


def test_through_a_tunnel(served, trusting):
    """CONNECT, then TLS with the receiver itself."""

    async def main():
        async with server(OK, served) as (port, requests):
            asked = []

            async def tunnel(reader, writer):
                asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
                far_reader, far_writer = await asyncio.open_connection(
                    "127.0.0.1", port
                )
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

                async def pump(source, target):
                    with contextlib.suppress(ConnectionError):
                        while chunk := await source.read(4096):
                            target.write(chunk)
                    target.close()
                    await target.wait_closed()

                await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

            listening = await asyncio.start_server(tunnel, "127.0.0.1", 0)
            proxy_port = listening.sockets[0].getsockname()[1]
            sender = HttpSender(parse_networks("127.0.0.0/8, 10.0.0.0/8"))
            message = parcel(
                "https://10.1.2.3/hook",
                proxy=parse_proxy(f"http://127.0.0.1:{proxy_port}"),
                ssl_context=trusting,
            )
            outcome, _headers = await sender.send(message)
            await sender.close()
            listening.close()
            return outcome, asked, requests

    outcome, asked, requests = asyncio.run(main())
    assert outcome.status == 200 and len(requests) == 1
    assert asked[0].startswith("CONNECT 10.1.2.3:443 ")


def test_a_proxy_that_refuses_is_a_failure_without_an_answer():
    async def main():
        refuse = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        async with server(refuse) as (port, _requests):
            sender = HttpSender(parse_networks("127.0.0.0/8, 10.0.0.0/8"))
            message = parcel(
                "https://10.1.2.3/hook",
                proxy=parse_proxy(f"http://us:secret@127.0.0.1:{port}"),
            )
            outcome, _headers = await sender.send(message)
            await sender.close()
            return outcome

    outcome = asyncio.run(main())
    assert outcome.status is None and outcome.error
    assert "secret" not in outcome.detail
