"""A small client of Odoo over HTTP: the calls that its web client makes.

A login opens a session, and each call is one JSON-RPC request of that session. The
older ``/jsonrpc`` and ``/xmlrpc`` would check the password again with every call,
which takes half a second each, and Odoo 20 drops them.
"""

import http.cookiejar
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Sequence

from .settings import HubError


class RpcError(HubError):
    """The server refused a call; ``name`` is the class of its exception."""

    def __init__(self, name: str, message: str, debug: str = ""):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.debug = debug


class Rpc:
    """The API as one user.

    :param url: the server's address
    :raise RpcError: when the login is refused
    """

    _numbers = itertools.count(1)

    def __init__(
        self, url: str, database: str, login: str, password: str, timeout: float = 120
    ):
        self.url = url
        self.timeout = timeout
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )
        session = self._post(
            "/web/session/authenticate",
            {"db": database, "login": login, "password": password},
        )
        self.uid = session["uid"]

    def _post(self, path: str, parameters: dict):
        payload = {
            "jsonrpc": "2.0",
            "method": "call",
            "id": next(self._numbers),
            "params": parameters,
        }
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                result = json.loads(answer.read())
        except (urllib.error.URLError, OSError) as error:
            raise RpcError("ConnectionError", f"{self.url}{path}: {error}") from error
        if "error" in result:
            data = result["error"].get("data") or {}
            raise RpcError(
                data.get("name", "Error"),
                data.get("message") or result["error"].get("message", ""),
                data.get("debug", ""),
            )
        return result.get("result")

    def call(self, model: str, method: str, *arguments, **keywords):
        """Call a method; its first argument is the list of ids, if it takes any."""
        return self._post(
            f"/web/dataset/call_kw/{model}/{method}",
            {
                "model": model,
                "method": method,
                "args": arguments,
                "kwargs": keywords,
            },
        )

    def search(self, model: str, domain: Sequence, **options) -> list[int]:
        return self.call(model, "search", list(domain), **options)

    def count(self, model: str, domain: Sequence = ()) -> int:
        return self.call(model, "search_count", list(domain))

    def read(
        self, model: str, domain: Sequence, fields: Sequence[str], **options
    ) -> list[dict]:
        """Search and read records."""
        return self.call(
            model, "search_read", list(domain), fields=list(fields), **options
        )

    def create(self, model: str, values: dict) -> int:
        return self.call(model, "create", [values])[0]

    def write(self, model: str, ids: int | Sequence[int], values: dict) -> bool:
        return self.call(model, "write", _list(ids), values)

    def ref(self, xml_id: str) -> int:
        """The id of the record with an external identifier.

        Odoo shows those to its own administrators only.

        :raise RpcError: when there is none, or the user may not see it
        """
        module, _, name = xml_id.partition(".")
        found = self.read(
            "ir.model.data", [("module", "=", module), ("name", "=", name)], ["res_id"]
        )
        if not found:
            raise RpcError("MissingError", f"there is no record {xml_id}")
        return found[0]["res_id"]


def _list(ids: int | Sequence[int]) -> list[int]:
    return [ids] if isinstance(ids, int) else list(ids)
