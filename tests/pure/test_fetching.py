# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Documents are fetched under the guard, whole, in time, or not at all."""

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from certificates import Authority
from finance_hub.transport import FetchError, fetch, parse_networks, parse_proxy

LOOPBACK = parse_networks("127.0.0.0/8")


class Server(ThreadingHTTPServer):
    """Answers as ``answer(handler)`` says."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = lambda handler: handler.say(200, b"content")
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path="/keys", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.answer(self)

    def say(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Nothing."""


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


def refused(code, *args, **kwargs):
    with pytest.raises(FetchError) as caught:
        fetch(*args, **kwargs)
    assert caught.value.code == code, caught.value
    assert caught.value.message.endswith(".")
    return caught.value.message


def test_fetched(server):
    assert fetch(server.url(), LOOPBACK) == b"content"
    assert server.asked == ["/keys"]


def test_the_guard_stands_before_it(server):
    refused("address_refused", server.url())
    refused("address_refused", "https://localhost/keys")
    refused("address_refused", "http://169.254.169.254/latest", LOOPBACK)
    refused("address_refused", "file:///etc/passwd", LOOPBACK)
    refused("address_refused", "no address", LOOPBACK)
    refused("address_refused", None, LOOPBACK)
    assert not server.asked


def test_redirects_are_not_followed(server):
    server.answer = lambda handler: handler.say(302, b"", Location="/other")
    assert "302" in refused("refused", server.url(), LOOPBACK)
    assert server.asked == ["/keys"]


@pytest.mark.parametrize("status", [201, 204, 401, 404, 500])
def test_only_200_counts(server, status):
    server.answer = lambda handler: handler.say(status, b"")
    assert str(status) in refused("refused", server.url(), LOOPBACK)


def test_too_large(server):
    server.answer = lambda handler: handler.say(200, b"x" * 1001)
    refused("too_large", server.url(), LOOPBACK, max_bytes=1000)
    server.answer = lambda handler: handler.say(200, b"x" * 1000)
    assert len(fetch(server.url(), LOOPBACK, max_bytes=1000)) == 1000


@pytest.mark.parametrize("part", ["head", "body"])
def test_too_slow(server, part):
    go_on = threading.Event()

    def answer(handler):
        if part == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", "10")
            handler.end_headers()
            handler.wfile.write(b"x")
        go_on.wait(20)

    server.answer = answer
    started = time.monotonic()
    message = refused("unreachable", server.url(), LOOPBACK, timeout=0.3)
    assert "did not answer" in message
    assert time.monotonic() - started < 10
    go_on.set()


def test_broken_off(server):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"x")

    server.answer = answer
    refused("unreachable", server.url(), LOOPBACK)


def test_nobody_there():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as closed:
        port = closed.server_port
    refused("unreachable", f"http://127.0.0.1:{port}/", LOOPBACK)


def test_tls_is_verified(server, tmp_path):
    authority = Authority()
    certificate, key = authority.issue("localhost")
    pair = tmp_path / "pair.pem"
    pair.write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url(scheme="https")
    refused("unreachable", url, LOOPBACK)
    trusting = ssl.create_default_context(cadata=authority.pem)
    assert fetch(url, LOOPBACK, ssl_context=trusting) == b"content"


def test_through_a_proxy(server):
    """The proxy gets the whole address, after the guard has seen it."""
    other = "http://127.0.0.1:8099/keys"
    proxy = parse_proxy(f"http://127.0.0.1:{server.server_port}")
    assert fetch(other, LOOPBACK, proxy) == b"content"
    assert server.asked == [other]
    refused("address_refused", "http://10.0.0.1/keys", LOOPBACK, proxy)
