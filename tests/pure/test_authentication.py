# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import asyncio
import base64
import contextlib
import json
import threading
from urllib.parse import parse_qsl, unquote_plus

import aiohttp
import pytest
from aiohttp import web
from finance_hub.transport import (
    CLIENT_SECRET_POST,
    AuthenticationError,
    Authenticator,
    Basic,
    Bearer,
    ClientCredentials,
    Outcome,
    StaticHeaders,
    authenticated,
    error_code,
    parse_headers,
    parse_networks,
    parse_parameters,
)
from finance_hub.transport.constants import (
    TOKEN_DEFAULT_LIFETIME,
    TOKEN_ERROR_PAUSE,
    TOKEN_MARGIN,
    TOKEN_REJECT_PAUSE,
)
from finance_hub.transport.resolver import GuardedResolver
from hypothesis import given
from hypothesis import strategies as st

LOOPBACK = parse_networks("127.0.0.0/8")
SECRET = "s3cret/with ünicode&more"


def refused(code, function, *args, **kwargs):
    with pytest.raises(AuthenticationError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    return caught.value.message


def fixed(authenticator):
    return asyncio.run(authenticator.headers(None))


# === FIXED HEADERS === #


def test_none():
    assert fixed(Authenticator()) == {}
    assert not Authenticator().invalidate({})


def test_static_headers():
    authenticator = StaticHeaders("X-Api-Key: 47:11\r\n\n  Authorization :ApiKey a b\n")
    assert fixed(authenticator) == {
        "X-Api-Key": "47:11",
        "Authorization": "ApiKey a b",
    }
    assert authenticator.secret_headers == {"x-api-key", "authorization"}
    assert not authenticator.invalidate({})
    assert "4711" not in repr(authenticator)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "X-Api-Key",
        "X-Api-Key:",
        "X-Api-Key: \t ",
        ": value",
        "X Api: value",
        "X-Äpi: value",
        "X-Api: välue",
        "X-Api: a\rX-Other: b",
        "X-Api: a\x00b",
        "X-Api: a\x0bb",
        "X-Api: a\x85b",
        "X-Api: a\u2028X-Other: b",
        "X-Api: a\x7f",
        "X-Api: " + "a" * 9000,
        "X-Api: a\nx-api: b",
        "\n".join(f"X-{i}: a" for i in range(21)),
        *(
            f"{name}: value"
            for name in (
                "Host",
                "CONNECTION",
                "Keep-Alive",
                "Proxy-Authorization",
                "Proxy-Connection",
                "TE",
                "Trailer",
                "Transfer-Encoding",
                "Upgrade",
                "Content-Length",
                "content-type",
                "Content-Encoding",
                "Content-Digest",
                "Signature",
                "Signature-Input",
                "Expect",
                "User-Agent",
                "webhook-id",
                "Webhook-Signature",
                "svix-id",
                "ce-type",
                "traceparent",
            )
        ),
    ],
)
def test_refused_headers(line):
    refused("bad_header", StaticHeaders, line)


@given(st.text(max_size=100))
def test_headers_never_break_out(text):
    for value in (text, f"X-Api: {text}", f"{text}: x"):
        try:
            headers = parse_headers(value)
        except AuthenticationError:
            continue
        for name, content in headers.items():
            line = f"{name}: {content}"
            assert line.isascii() and all(
                " " <= character <= "~" or character == "\t" for character in line
            )


def test_basic():
    """RFC 7617, sections 2 and 2.1."""
    assert fixed(Basic("Aladdin", "open sesame")) == {
        "Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    }
    assert fixed(Basic("test", "123£")) == {"Authorization": "Basic dGVzdDoxMjPCow=="}
    assert fixed(Basic("user", "with:colon"))
    assert "sesame" not in repr(Basic("Aladdin", "open sesame"))
    for user in ("", "a:b", "a\nb", "\ud800", None):
        refused("bad_user", Basic, user, "x")
    for password in ("", "a\r\nb", "a\x7fb", "\ud800", None):
        refused("bad_secret", Basic, "user", password)


def test_bearer():
    assert fixed(Bearer("mF_9.B5f-4.1JqM")) == {
        "Authorization": "Bearer mF_9.B5f-4.1JqM"
    }
    for token in ("", "Bearer x", "a b", "ä", "a\n", "a" * 20_000, None):
        refused("bad_secret", Bearer, token)


# === A TOKEN ENDPOINT === #


class TokenServer:
    """A real token endpoint and a real receiver, on loopback.

    :ivar answers: what the token endpoint answers, one after the other, the last for
        ever: ``(status, body)`` or a callable of the number of the request
    """

    def __init__(self):
        self.asked = []
        self.answers = [self.token]
        self.good = None
        self.received = []
        self.delay = 0

    @staticmethod
    def token(number):
        return 200, {
            "access_token": f"token-{number}",
            "token_type": "bearer",
            "expires_in": 3600,
        }

    async def give(self, request):
        body = await request.text()
        self.asked.append((dict(request.headers), dict(parse_qsl(body))))
        await asyncio.sleep(self.delay)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(len(self.asked))
        status, content = answer
        if isinstance(content, bytes):
            return web.Response(status=status, body=content)
        return web.json_response(content, status=status)

    async def redirect(self, _request):
        raise web.HTTPTemporaryRedirect("/token")

    async def receive(self, request):
        token = request.headers.get("Authorization")
        self.received.append(token)
        good = self.good is None or token == f"Bearer {self.good}"
        return web.Response(status=200 if good else 401)

    @contextlib.asynccontextmanager
    async def running(self):
        app = web.Application()
        app.router.add_post("/token", self.give)
        app.router.add_post("/redirect", self.redirect)
        app.router.add_post("/hook", self.receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(LOOPBACK))
        try:
            async with aiohttp.ClientSession(connector=connector) as session:
                yield session
        finally:
            await runner.cleanup()

    def credentials(self, **options):
        options = {"networks": LOOPBACK, **options}
        return ClientCredentials(f"{self.url}/token", "client", SECRET, **options)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def run(test):
    """Run an async test with a token server of its own."""

    async def main():
        server = TokenServer()
        async with server.running() as session:
            await test(server, session)

    asyncio.run(main())


def test_client_secret_basic():
    @run
    async def _test(server, session):
        credentials = server.credentials(
            scope="a b",
            audience="https://api",
            parameters=parse_parameters("resource = urn:x\n\ntenant=7"),
        )
        assert await credentials.headers(session) == {"Authorization": "Bearer token-1"}
        [(headers, form)] = server.asked
        scheme, _, encoded = headers["Authorization"].partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        assert (scheme, unquote_plus(user), unquote_plus(password)) == (
            "Basic",
            "client",
            SECRET,
        )
        assert form == {
            "grant_type": "client_credentials",
            "scope": "a b",
            "audience": "https://api",
            "resource": "urn:x",
            "tenant": "7",
        }
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert SECRET not in repr(credentials)


def test_client_secret_post():
    @run
    async def _test(server, session):
        await server.credentials(method=CLIENT_SECRET_POST).headers(session)
        [(headers, form)] = server.asked
        assert "Authorization" not in headers
        assert form == {
            "grant_type": "client_credentials",
            "client_id": "client",
            "client_secret": SECRET,
        }


def test_one_refresh_under_concurrency():
    @run
    async def _test(server, session):
        server.delay = 0.05
        credentials = server.credentials()
        all_headers = await asyncio.gather(
            *(credentials.headers(session) for _ in range(50))
        )
        assert len(server.asked) == 1
        assert all(
            headers == {"Authorization": "Bearer token-1"} for headers in all_headers
        )


def test_one_failure_under_concurrency():
    @run
    async def _test(server, session):
        server.answers = [(503, b"busy"), server.token]
        server.delay = 0.02
        clock = Clock()
        credentials = server.credentials(clock=clock)
        results = await asyncio.gather(
            *(credentials.headers(session) for _ in range(20)), return_exceptions=True
        )
        assert len(server.asked) == 1
        assert all(isinstance(result, AuthenticationError) for result in results)
        clock.now += TOKEN_ERROR_PAUSE
        assert await credentials.headers(session) == {"Authorization": "Bearer token-2"}


def test_who_gives_up_waiting_blocks_nobody():
    @run
    async def _test(server, session):
        server.delay = 0.05
        credentials = server.credentials()
        first = asyncio.create_task(credentials.headers(session))
        second = asyncio.create_task(credentials.headers(session))
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second == {"Authorization": "Bearer token-2"}
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize(
    ("expires_in", "used_for"),
    [
        (3600, 3600 - TOKEN_MARGIN),
        ("3600", 3600 - TOKEN_MARGIN),
        (100, 50),
        (10, 5),
        (None, TOKEN_DEFAULT_LIFETIME - TOKEN_MARGIN),
        (-5, TOKEN_DEFAULT_LIFETIME - TOKEN_MARGIN),
        ("soon", TOKEN_DEFAULT_LIFETIME - TOKEN_MARGIN),
        (True, TOKEN_DEFAULT_LIFETIME - TOKEN_MARGIN),
        (10**400, 24 * 3600 - TOKEN_MARGIN),
        (10**12, 24 * 3600 - TOKEN_MARGIN),
    ],
)
def test_a_token_is_renewed_before_it_ends(expires_in, used_for):
    @run
    async def _test(server, session):
        server.answers = [
            lambda number: (
                200,
                {"access_token": f"token-{number}", "expires_in": expires_in},
            )
        ]
        clock = Clock()
        credentials = server.credentials(clock=clock)
        for moment, number in ((0, 1), (used_for - 0.1, 1), (used_for + 0.1, 2)):
            clock.now = 1000.0 + moment
            assert await credentials.headers(session) == {
                "Authorization": f"Bearer token-{number}"
            }
        assert len(server.asked) == 2


def test_serves_several_event_loops():
    """The job runner ends its loop after each run; the token stays good."""
    server = TokenServer()
    kept = {}

    async def first():
        async with server.running() as session:
            kept["credentials"] = server.credentials()
            await kept["credentials"].headers(session)

    async def second():
        assert await kept["credentials"].headers(None) == {
            "Authorization": "Bearer token-1"
        }

    asyncio.run(first())
    asyncio.run(second())
    assert len(server.asked) == 1


def test_serves_several_threads():
    server = TokenServer()
    server.delay = 0.02
    found = []

    async def serve(ready, done):
        async with server.running():
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.01)

    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve(ready, done)))
    thread.start()
    assert ready.wait(10)
    credentials = server.credentials()

    async def use():
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(LOOPBACK))
        async with aiohttp.ClientSession(connector=connector) as session:
            found.extend(
                await asyncio.gather(*(credentials.headers(session) for _ in range(10)))
            )

    users = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    done.set()
    thread.join()
    assert len(found) == 30
    assert len(server.asked) <= 3, "one for each loop at most"


# === 401 === #


def sender(server, session):
    async def send(headers):
        async with session.post(f"{server.url}/hook", headers=headers) as response:
            return Outcome(status=response.status)

    return send


def test_a_token_that_was_taken_back_is_renewed_within_the_attempt():
    @run
    async def _test(server, session):
        credentials = server.credentials()
        send = sender(server, session)
        assert (await authenticated(credentials, session, send)).delivered
        server.good = "token-2"
        assert (await authenticated(credentials, session, send)).delivered
        assert server.received == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_many_requests_renew_it_once():
    @run
    async def _test(server, session):
        credentials = server.credentials()
        send = sender(server, session)
        await credentials.headers(session)
        server.good = "token-2"
        outcomes = await asyncio.gather(
            *(authenticated(credentials, session, send) for _ in range(20))
        )
        assert all(outcome.delivered for outcome in outcomes)
        assert len(server.asked) == 2


def test_a_receiver_that_refuses_every_token():
    @run
    async def _test(server, session):
        server.good = "never"
        clock = Clock()
        credentials = server.credentials(clock=clock)
        send = sender(server, session)
        for _ in range(5):
            assert (await authenticated(credentials, session, send)).status == 401
        assert len(server.asked) == 2, "not one for each message"
        assert len(server.received) == 6, "sent once more one time only"
        clock.now += TOKEN_REJECT_PAUSE
        await authenticated(credentials, session, send)
        assert len(server.asked) == 3


def test_what_does_not_change_is_not_sent_twice():
    @run
    async def _test(server, session):
        server.good = "never"
        outcome = await authenticated(Bearer("x"), session, sender(server, session))
        assert outcome.status == 401
        assert server.received == ["Bearer x"]


def test_no_access_is_an_outcome():
    @run
    async def _test(server, session):
        server.answers = [(401, {"error": "invalid_client"})]
        outcome = await authenticated(
            server.credentials(), session, sender(server, session)
        )
        assert (outcome.status, outcome.error) == (None, "auth")
        assert "invalid_client" in outcome.detail
        assert error_code(outcome) == "T-AUTH"
        assert not server.received


# === WHAT GOES WRONG === #


def failure(answer):
    """Return the error that an answer of the token endpoint leads to."""
    found = []

    @run
    async def _test(server, session):
        server.answers = [answer]
        with pytest.raises(AuthenticationError) as caught:
            await server.credentials().headers(session)
        found.append(caught.value)

    return found[0]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((400, {"error": "invalid_scope"}), "refused", "invalid_scope"),
        (
            (401, {"error": "invalid_client", "error_description": "Unknown client"}),
            "refused",
            "invalid_client, Unknown client",
        ),
        ((500, b"<html>"), "refused", "answer 500"),
        ((503, {"error": 5}), "refused", "tries again by itself"),
        ((404, b""), "refused", "Check the token address"),
        ((200, b"<html>"), "bad_answer", "no JSON object"),
        ((200, b"[]"), "bad_answer", "no JSON object"),
        ((200, b"\xff\xfe"), "bad_answer", "no JSON object"),
        ((200, b" " * 70_000 + b"{}"), "bad_answer", "far too much"),
        ((200, b"[" * 60_000), "bad_answer", "no JSON object"),
        ((200, {}), "bad_answer", "no usable access_token"),
        ((200, {"access_token": 5}), "bad_answer", "no usable access_token"),
        ((200, {"access_token": "a\r\nX: y"}), "bad_answer", "no usable access_token"),
        (
            (200, {"access_token": "a", "token_type": "mac"}),
            "bad_answer",
            "another type",
        ),
        ((200, {"access_token": "a", "token_type": 1}), "bad_answer", "another type"),
        ((201, {"access_token": "a"}), "refused", "answer 201"),
    ],
)
def test_answers_without_a_token(answer, code, words):
    error = failure(answer)
    assert error.code == code
    assert words in error.message
    assert "127.0.0.1" in error.message


def test_the_secret_is_in_no_error():
    """Not even where the token server repeats it."""
    for secret in (SECRET, "s3cret%2Fwith+%C3%BCnicode%26more"):
        error = failure((400, {"error": "bad", "error_description": f"got {secret}"}))
        assert secret not in error.message
        assert "s3cret" not in error.message


def test_foreign_words_are_kept_short_and_plain():
    error = failure((400, {"error": "a\nb\x1b[31m" + "x" * 5000}))
    assert "\n" not in error.message and "\x1b" not in error.message
    assert len(error.message) < 500


def test_a_redirect_is_not_followed():
    @run
    async def _test(server, session):
        credentials = ClientCredentials(
            f"{server.url}/redirect", "client", SECRET, networks=LOOPBACK
        )
        with pytest.raises(AuthenticationError) as caught:
            await credentials.headers(session)
        assert caught.value.code == "refused"
        assert not server.asked


def test_unreachable():
    @run
    async def _test(server, session):
        closed = server.url.rpartition(":")[0] + ":1025"
        credentials = ClientCredentials(closed, "client", SECRET, networks=LOOPBACK)
        with pytest.raises(AuthenticationError) as caught:
            await credentials.headers(session)
        assert caught.value.code == "unreachable"


def test_the_address_guard_holds_for_token_addresses():
    for url in (
        "http://example.com/token",
        "https://127.0.0.1/token",
        "https://169.254.169.254/token",
        "https://user:pw@example.com/",
    ):
        refused("address_refused", ClientCredentials, url, "client", "secret")

    @run
    async def _test(server, session):
        """A name is judged by what it resolves to."""
        connector = aiohttp.TCPConnector(resolver=GuardedResolver())
        credentials = ClientCredentials("https://localhost/token", "client", SECRET)
        async with aiohttp.ClientSession(connector=connector) as guarded:
            with pytest.raises(AuthenticationError) as caught:
                await credentials.headers(guarded)
        assert caught.value.code == "address_refused"


def test_settings_that_cannot_work():
    url = "https://example.com/token"
    refused("bad_user", ClientCredentials, url, "", "secret")
    refused("bad_secret", ClientCredentials, url, "client", "a\nb")
    refused("bad_parameter", ClientCredentials, url, "c", "s", method="jwt")
    for text in (
        "x",
        "=x",
        "a b=c",
        "scope=x",
        "client_secret=x",
        "a=1\na=2",
        "a=\x00",
        "a=" + "x" * 3000,
        "\n".join(f"a{i}=1" for i in range(21)),
    ):
        refused("bad_parameter", parse_parameters, text)
    assert parse_parameters(None) == parse_parameters("\n ") == ()


@given(st.binary(max_size=80), st.integers(200, 599))
def test_no_answer_raises_anything_else(body, status):
    credentials = ClientCredentials("https://example.com/", "client", SECRET)
    for content in (body, b'{"access_token": ' + body + b"}", json.dumps(str(body))):
        raw = content if isinstance(content, bytes) else content.encode()
        with contextlib.suppress(AuthenticationError):
            credentials._read(status, raw)
