# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import asyncio
import base64
import contextlib
import socket
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from finance_hub.transport import (
    AddressRefused,
    AuthenticationError,
    ClientCredentials,
    ProxyError,
    check_url,
    client_context,
    parse_networks,
    parse_proxy,
    tls,
)
from finance_hub.transport.constants import DNS_TTL, PROXY_NAMES_MAX_COUNT

sys.path.insert(0, str(Path(__file__).parent))
from certificates import Authority

LOOPBACK = parse_networks("127.0.0.0/8")


# === THE SETTING === #


def test_a_proxy_is_taken_apart():
    assert parse_proxy(None) is parse_proxy("") is parse_proxy("  ") is None
    proxy = parse_proxy(" http://proxy.example:3128/ ")
    assert (proxy.url, proxy.username) == ("http://proxy.example:3128", None)
    proxy = parse_proxy("https://us%40er:p%3Aw@10.0.0.1")
    assert proxy.url == "https://10.0.0.1:443"
    assert (proxy.username, proxy.password) == ("us@er", "p:w")
    assert "p:w" not in repr(proxy) and "p%3Aw" not in repr(proxy)
    assert parse_proxy("http://[::1]:3128").url == "http://[::1]:3128"
    assert parse_proxy("http://proxy").url == "http://proxy:80"
    assert hash(proxy) == hash(parse_proxy("https://us%40er:p%3Aw@10.0.0.1"))


@pytest.mark.parametrize(
    "text",
    [
        "proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://",
        "http://:3128",
        "http://proxy:99999",
        "http://proxy:x",
        "http://proxy/path",
        "http://proxy?x=1",
        "http://proxy#x",
        "http://pro xy",
        "http://proxy\r\nX: y",
        "http://:secret@proxy",
        "http://a%3Ab:secret@proxy",
        "http://[::1",
    ],
)
def test_refused_proxies(text):
    with pytest.raises(ProxyError) as caught:
        parse_proxy(text)
    assert "http://proxy.example:3128" in str(caught.value)
    assert "secret" not in str(caught.value)


# === NAMES === #


class Names(AbstractResolver):
    """Answers from a table, and counts the look-ups."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        if host not in self.table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for address in self.table[host]
        ]

    async def close(self):
        pass


def test_names_are_checked_before_the_proxy_is_asked():
    async def main():
        moment = [0.0]
        names = Names({"good": ["8.8.8.8"], "bad": ["8.8.8.8", "10.0.0.1"]})
        proxy = parse_proxy("http://user:p%C3%A4ssword@10.9.9.9:3128")

        async def options(host):
            return await proxy.options(
                check_url(f"https://{host}/"),
                inner=names,
                clock=lambda: moment[0],
            )

        for _ in range(3):
            found = await options("good")
            assert found["proxy"] == "http://10.9.9.9:3128"
            login = found["proxy_headers"]["Proxy-Authorization"].removeprefix("Basic ")
            assert base64.b64decode(login).decode() == "user:pässword"
            with pytest.raises(AddressRefused) as caught:
                await options("bad")
            assert caught.value.code == "address_refused"
            assert await options("only-the-proxy-knows")
            assert await options("93.184.215.14")
        assert names.asked == ["good", "bad", "only-the-proxy-knows"], "remembered"
        moment[0] = DNS_TTL
        names.table["good"] = ["169.254.169.254"]
        with pytest.raises(AddressRefused) as caught:
            await options("good")
        assert caught.value.code == "metadata_refused"
        for number in range(PROXY_NAMES_MAX_COUNT + 10):
            await options(f"name-{number}")
        assert len(proxy._verdicts) <= PROXY_NAMES_MAX_COUNT

    asyncio.run(main())


# === A REAL PROXY === #


async def pipe(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def proxy_server(login):
    """A real proxy on loopback; yields its port and the requests it got."""
    asked = []
    wanted = f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}"

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.partition("\r\n")[0])
        if wanted not in head:
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            writer.close()
            return
        method, url, _version = asked[-1].split(" ")
        if method == "CONNECT":
            host, _, port = url.rpartition(":")
            upstream = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            target = check_url(url, LOOPBACK)
            upstream = await asyncio.open_connection(target.host, target.port)
            upstream[1].write(
                head.replace(url, target.path, 1)
                .replace(wanted, "Connection: close")
                .encode()
            )
        await asyncio.gather(pipe(reader, upstream[1]), pipe(upstream[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


@contextlib.asynccontextmanager
async def receiver(ssl_context):
    """A token endpoint and a receiver; yields their base URL and what arrived."""
    received = []

    async def token(_request):
        return web.json_response({"access_token": "abc"})

    async def hook(request):
        received.append(dict(request.headers))
        return web.Response(text="here")

    app = web.Application()
    app.router.add_post("/token", token)
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
    scheme = "https" if ssl_context else "http"
    try:
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}", received
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("password", ["p%40ss%20word", "wrong"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_and_its_token_go_through_the_proxy(scheme, password):
    server_context = context = None
    if scheme == "https":
        authority = Authority()
        certificate, key = authority.issue("localhost")
        context = client_context(ca_pem=authority.pem)
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls._load_chain(
            server_context,
            tls._load(certificate, "x", "x"),
            tls._load_key(key, None),
        )

    async def main():
        async with (
            receiver(server_context) as (base, received),
            proxy_server("user:p@ss word") as (port, asked),
            aiohttp.ClientSession() as session,
        ):
            proxy = parse_proxy(f"http://user:{password}@127.0.0.1:{port}")
            credentials = ClientCredentials(
                f"{base}/token",
                "client",
                "secret",
                networks=LOOPBACK,
                proxy=proxy,
                ssl_context=context,
            )
            if password == "wrong":
                with pytest.raises(AuthenticationError, match="407"):
                    await credentials.headers(session)
                assert len(asked) == 1 and not received
                return
            target = check_url(f"{base}/hook", LOOPBACK)
            async with session.post(
                target.url,
                data=b"x",
                headers=await credentials.headers(session),
                ssl=context or True,
                **await proxy.options(target, LOOPBACK),
            ) as response:
                assert await response.text() == "here"
            assert received[0]["Authorization"] == "Bearer abc"
            assert "Proxy-Authorization" not in received[0]
            authority_part = base.partition("://")[2]
            if scheme == "https":
                assert set(asked) == {f"CONNECT {authority_part} HTTP/1.1"}
            else:
                assert asked == [
                    f"POST {base}/token HTTP/1.1",
                    f"POST {base}/hook HTTP/1.1",
                ]

    asyncio.run(main())
