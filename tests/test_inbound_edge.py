from unittest.mock import patch

from odoo.tests import tagged

from ..models import constants
from ..models.inbox.shape import header_fault, is_deeper
from ..providers import ADAPTERS, Adapter, Reply
from ..providers.canonical import ADAPTER
from .test_inbound import InboundCase


@tagged("post_install", "-at_install")
class TestInboundEdge(InboundCase):
    """cap 38, 41, 96: what the edge answers before anything is stored."""

    # === METHODS === #

    def test_other_methods_are_told_what_to_do(self):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            with self.subTest(method):
                response = self.url_open("/finance/v1/inbound/shop", method=method)
                problem = self.assertProblem(response, 405, "METHOD")
                self.assertIn("POST", problem["detail"])
                self.assertEqual(response.headers["Allow"], "POST, OPTIONS")
        response = self.url_open("/finance/v1/inbound/shop", method="HEAD")
        self.assertEqual((response.status_code, response.text), (405, ""))

    def greet(self, code="shop", **headers):
        self.env.flush_all()
        return self.url_open(
            f"/finance/v1/inbound/{code}",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            method="OPTIONS",
        )

    def test_handshake(self):
        """CloudEvents 1.0 HTTP Web Hooks, 4: a sender asks before it delivers."""
        response = self.greet(
            WebHook_Request_Origin="eventemitter.example.com",
            WebHook_Request_Rate="120",
        )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(
            response.headers["WebHook-Allowed-Origin"], "eventemitter.example.com"
        )
        self.assertEqual(response.headers["WebHook-Allowed-Rate"], "*")
        self.assertIn("POST", response.headers["Allow"])
        self.connector.inbound_rate = 90
        response = self.greet(WebHook_Request_Origin="eventemitter.example.com")
        self.assertEqual(response.headers["WebHook-Allowed-Rate"], "90")

    def test_handshake_that_is_none(self):
        response = self.greet()
        self.assertEqual(response.status_code, 204)
        self.assertNotIn("WebHook-Allowed-Origin", response.headers)
        for origin in ("a b", "<script>", "*", "x" * 300):
            with self.subTest(origin[:10]):
                response = self.greet(WebHook_Request_Origin=origin)
                self.assertProblem(response, 400, "D-SCHEMA")
                self.assertNotIn("WebHook-Allowed-Origin", response.headers)
        response = self.greet("nope", WebHook_Request_Origin="a.example.com")
        self.assertProblem(response, 404, "NOT-FOUND")
        self.connector.action_suspend()
        response = self.greet(WebHook_Request_Origin="a.example.com")
        self.assertProblem(response, 503, "SUSPENDED")

    # === SHAPE === #

    def test_compressed_content_is_refused(self):
        body = self.cloud_event(self.captured("INV/1"))
        for encoding in ("gzip", "br", "gzip, gzip", "GZIP"):
            headers = {**self.sign(body), "Content-Encoding": encoding}
            response = self.post(body, headers)
            problem = self.assertProblem(response, 415, "D-SCHEMA")
            self.assertIn("Content-Encoding", problem["detail"])
            self.assertEqual(response.headers["Accept-Encoding"], "identity")
        self.assertFalse(self.messages())
        headers = {**self.sign(body), "Content-Encoding": "identity"}
        self.assertEqual(self.post(body, headers).status_code, 202)

    def test_deep_nesting_is_refused(self):
        for label, body in {
            "list": b"[" * 200_000,
            "object": b'{"a":' * 100_000,
            "behind a string": b'{"a":"\\"]}", "b":' + b"[" * 40 + b"]" * 40 + b"}",
        }.items():
            with self.subTest(label):
                self.assertProblem(self.send(body), 400, "D-SCHEMA")
        self.assertFalse(self.messages())

    def test_only_who_is_verified_hears_of_nesting(self):
        self.assertProblem(self.post(b"[" * 100, {}), 401, "C-SIGNATURE")

    def test_depth(self):
        for body, depth in (
            (b"{}", 1),
            (b"[[1], [[2]]]", 3),
            (b'{"a": "[[[[[[[[", "b": [1]}', 2),
            (b'{"a": "\\"[[[[", "b": [[1]]}', 3),
            (b'{"a": "\\\\", "b": [[[1]]]}', 4),
            (b'{"a": "\\\\\\"[[[[[[", "b": {}}', 2),
            (b"]]]][[[[", 0),
            (b'"[[[[[[', 0),
            (b"", 0),
        ):
            with self.subTest(body):
                self.assertFalse(is_deeper(body, depth))
                if depth:
                    self.assertTrue(is_deeper(body, depth - 1))

    def test_headers(self):
        self.assertIsNone(header_fault({"A": "b"}, 1, 2))
        self.assertIn("1 headers", header_fault([("A", "b"), ("A", "c")], 1, 100))
        self.assertIn("bytes", header_fault({"A": "bc"}, 1, 2))
        body = self.cloud_event(self.captured("INV/1"))
        headers = {**self.sign(body)}
        headers.update({f"X-Many-{n}": "x" * 1000 for n in range(60)})
        self.assertProblem(self.post(body, headers), 431, "D-SCHEMA")

    def test_kept_headers_are_bounded(self):
        body = self.cloud_event(self.captured("INV/1"))
        self.post(body, {**self.sign(body), "X-Long": "x" * 20_000})
        kept = self.messages().headers["X-Long"]
        self.assertEqual(len(kept), constants.KEPT_HEADER_CHARS)

    # === FORMATS === #

    def with_adapter(self, **values):
        """Put a format in the place of the canonical one."""
        adapter = Adapter(
            **{
                "name": "canonical",
                "title": "Test",
                "parse": ADAPTER.parse,
                "external_id": ADAPTER.external_id,
                **values,
            }
        )
        patcher = patch.dict(ADAPTERS, {"canonical": adapter})
        patcher.start()
        self.addCleanup(self.env.registry.clear_cache)
        self.addCleanup(patcher.stop)
        self.env.registry.clear_cache()

    def test_reply_of_the_format(self):
        self.with_adapter(reply=Reply(200, "text/plain", b"[accepted]"))
        body = self.cloud_event(self.captured("INV/1"))
        for _index in range(2):
            response = self.send(body)
            self.assertEqual((response.status_code, response.text), (200, "[accepted]"))
            self.assertEqual(response.headers["Content-Type"], "text/plain")
        self.assertEqual(self.messages().duplicate_count, 1)
        self.assertEqual(self.messages().reply, "200 [accepted]")

    def test_repetitions_that_differ_in_what_means_nothing(self):
        self.with_adapter(fingerprint=lambda _headers, body: body.strip())
        body = self.cloud_event(self.captured("INV/1"))
        self.assertFalse(self.send(body).json()["duplicate"])
        self.assertTrue(self.send(body + b"\n\n").json()["duplicate"])
        self.assertProblem(self.send(body + b"x"), 409, "C-IDEMP-MISUSE")

    def test_formats_with_files_take_more(self):
        """The limit is the format's, and no more than it is read."""
        body = b"x" * (constants.MAX_BODY_BYTES + 1)
        self.assertProblem(self.send(body), 413, "D-SCHEMA")
        self.with_adapter(max_bytes=2 * constants.MAX_BODY_BYTES)
        self.assertEqual(self.send(body).status_code, 202)
        self.assertEqual(self.messages()._raw(), body)
        body = b"x" * (2 * constants.MAX_BODY_BYTES + 1)
        response = self.send(body, message_id="msg_2")
        problem = self.assertProblem(response, 413, "D-SCHEMA")
        self.assertIn(str(2 * constants.MAX_BODY_BYTES), problem["detail"])

    # === RATE === #

    def test_rate(self):
        self.connector.inbound_rate = 3
        body = self.cloud_event(self.captured("INV/1"))
        statuses = [
            self.send(body, message_id=f"msg_{index}").status_code for index in range(3)
        ]
        self.assertEqual(statuses, [202] * 3)
        response = self.send(body, message_id="msg_9")
        problem = self.assertProblem(response, 429, "RATE-LIMITED")
        self.assertTrue(problem["retryable"])
        self.assertEqual(response.headers["Retry-After"], "21")
        self.assertEqual(len(self.messages()), 3)
        refusal = self.refusals()
        self.assertEqual((refusal.code, refusal.number), ("too_many", 1))
        self.connector.inbound_rate = 0
        self.assertEqual(self.send(body, message_id="msg_9").status_code, 202)

    def test_rate_refills(self):
        self.connector.inbound_rate = 2
        gate = self.env["finance.connector"]._inbound_gate("shop")
        usage = self.env["finance.connector.usage"]
        with self.enter_registry_test_mode():
            waits = [usage._take(gate) for _index in range(3)]
            self.assertEqual(waits, [0, 0, 30])
            self.later(seconds=31)
            self.assertEqual([usage._take(gate) for _index in range(2)], [0, 30])
