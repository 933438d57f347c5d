#!/usr/bin/env python3
"""The bundled receiver: what a system on the other side of a connector looks like.

It is a program of its own and shares no code with the addon. It takes deliveries
at ``POST /hooks/<name>``, checks their signature with the ``standardwebhooks``
package as any subscriber would, and shows what it got at ``GET /``. Somebody who
wants to see retries and exceptions switches how it answers, on that page or by
``POST /control``.

    POST /hooks/<name>   a delivery; 200 when genuine, 400 when not
    GET  /               a page for people
    GET  /received.json  the same for programs: ?after=<n>&id=<webhook-id>&limit=<n>
    POST /control        {"mode": "ok|fail|slow|gone|throttle", "name": <hook>,
                          "status": 503, "delay": 0.0, "retry_after": 5}
    POST /secrets        {"name": <hook>, "secret": "whsec_…" or a list of them}
    POST /clear          forget what arrived
    GET  /health         200 while it runs

Everything is kept in memory; secrets also go to ``--secrets-file``. The hot path
does one dictionary look-up, one HMAC and one append, so that the receiver is not
what a benchmark measures.
"""

import argparse
import asyncio
import html
import ipaddress
import json
import os
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

#: How many deliveries are kept; of a benchmark all are, but only id and time.
KEPT = 1000
KEPT_QUIET = 2_000_000
#: Characters of a body that the page and the list show.
EXCERPT = 20_000
#: Bytes; a larger body is refused with 413.
MAX_BODY = 4 * 1024 * 1024
REFRESH_SECONDS = 3

#: The ways to answer, with the status each has unless another one is given.
MODES = {"ok": 200, "fail": 503, "slow": 200, "gone": 410, "throttle": 429}
#: Seconds to wait before answering in mode ``slow``, unless given: longer than
#: any sender waits.
SLOW_SECONDS = 30.0
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Behaviour:
    """How deliveries are answered."""

    mode: str = "ok"
    status: int = 200
    delay: float = 0.0
    retry_after: int = RETRY_AFTER_SECONDS

    @classmethod
    def read(cls, data: dict) -> "Behaviour":
        """Read a request to ``/control``.

        :raise ValueError: when it makes no sense
        """
        mode = data.get("mode") or "ok"
        if mode not in MODES:
            raise ValueError(f"mode must be one of: {', '.join(MODES)}")
        status = int(data.get("status") or MODES[mode])
        delay = float(data.get("delay") or (SLOW_SECONDS if mode == "slow" else 0))
        retry_after = int(data.get("retry_after") or RETRY_AFTER_SECONDS)
        if not 100 < status < 600 or not 0 <= delay <= 600 or retry_after < 0:
            raise ValueError("status, delay or retry_after is out of range")
        return cls(mode, status, delay, retry_after)


@dataclass(slots=True)
class Delivery:
    """One request to a hook, as it is shown."""

    number: int
    time: float
    name: str
    id: str
    type: str
    subject: str
    document: str
    verified: bool
    status: int
    reason: str
    body: str

    def as_dict(self) -> dict:
        return {key: getattr(self, key) for key in self.__slots__}


@dataclass
class Receiver:
    """What the receiver knows: secrets, behaviours, deliveries, counters."""

    secrets_file: Path | None = None
    quiet: bool = False
    secrets: dict[str, list[Webhook]] = field(default_factory=dict)
    behaviour: Behaviour = field(default_factory=Behaviour)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._raw_secrets: dict[str, list[str]] = {}
        self._secrets_mark: tuple | None = None
        self._secrets_looked = 0.0
        self.clear()

    def clear(self) -> None:
        """Forget what arrived; secrets and behaviour stay."""
        self.number = 0
        self.kept: deque = deque(maxlen=KEPT_QUIET if self.quiet else KEPT)
        #: webhook-id → how often it was accepted (genuine and answered with 2xx)
        self.accepted: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    # === SECRETS === #
    def set_secret(self, name: str, secret: str | list[str], *, save: bool) -> None:
        """Set what verifies the deliveries of a name; a list while one is renewed.

        :raise ValueError: when it is no usable secret
        """
        if not name or not isinstance(name, str):
            raise ValueError("a name is needed")
        texts = [secret] if isinstance(secret, str) else list(secret)
        try:
            self.secrets[name] = [Webhook(text) for text in texts]
        except Exception as error:
            raise ValueError("a secret must look like whsec_<base64>") from error
        self._raw_secrets[name] = texts
        if save and self.secrets_file:
            handle = os.open(
                self.secrets_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
            )
            with os.fdopen(handle, "w") as stream:
                json.dump(self._raw_secrets, stream, indent=1)

    def reload_secrets(self) -> None:
        """Read the file of secrets again when it changed; look once a second."""
        now = time.monotonic()
        if not self.secrets_file or now - self._secrets_looked < 1:
            return
        self._secrets_looked = now
        try:
            found = self.secrets_file.stat()
            mark = (found.st_mtime_ns, found.st_size)
            if mark == self._secrets_mark:
                return
            for name, secret in json.loads(self.secrets_file.read_text()).items():
                self.set_secret(name, secret, save=False)
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError) as error:
            print(f"{self.secrets_file}: {error}", file=sys.stderr, flush=True)
            return
        self._secrets_mark = mark

    # === DELIVERIES === #
    def verify(self, name: str, body: bytes, headers) -> str:
        """Check a delivery.

        :return: why it is refused; empty when it is genuine
        """
        webhooks = self.secrets.get(name)
        if not webhooks:
            return f"no secret is known for the name {name}"
        reason = ""
        for webhook in webhooks:
            try:
                webhook.verify(body, headers, json_parse=False)
            except WebhookVerificationError as error:
                reason = str(error)
            except ValueError:
                reason = "Invalid Signature Headers"
            else:
                return ""
        return reason

    async def take(self, name: str, request: web.BaseRequest) -> web.Response:
        """Verify, keep and answer one delivery."""
        body = await request.read()
        self.reload_secrets()
        headers = request.headers
        reason = self.verify(name, body, headers)
        behaviour = self.behaviours.get(name, self.behaviour)
        identifier = headers.get("webhook-id", "")
        status = 400 if reason else behaviour.status
        counts = self.counts
        counts["total"] += 1
        if reason:
            counts["refused"] += 1
        elif 200 <= status < 300:
            counts["accepted"] += 1
            self.accepted[identifier] += 1
        else:
            counts["failed"] += 1
        self.number += 1
        if self.quiet:
            self.kept.append((self.number, time.time(), identifier, status))
        else:
            self._keep(name, identifier, body, reason, status)
        if behaviour.delay and not reason:
            await asyncio.sleep(behaviour.delay)
        if reason:
            return web.json_response({"error": reason}, status=400)
        answer = web.Response(status=status, body=b"")
        if status in (429, 503) and behaviour.mode == "throttle":
            answer.headers["Retry-After"] = str(behaviour.retry_after)
        return answer

    def _keep(
        self, name: str, identifier: str, body: bytes, reason: str, status: int
    ) -> None:
        try:
            envelope = json.loads(body)
        except ValueError:
            envelope = None
        if not isinstance(envelope, dict):
            envelope = {}
        self.kept.append(
            Delivery(
                number=self.number,
                time=time.time(),
                name=name,
                id=identifier,
                type=str(envelope.get("type", "")),
                subject=str(envelope.get("subject") or ""),
                document=_document(envelope.get("data")),
                verified=not reason,
                status=status,
                reason=reason,
                body=body[:EXCERPT].decode(errors="replace"),
            )
        )

    def report(self, query: dict[str, str]) -> dict:
        """The answer to ``GET /received.json``.

        ``counts.unique`` is the number of different ids accepted, and
        ``counts.duplicates`` how often one of them came again.
        """
        after = int(query.get("after") or 0)
        limit = int(query.get("limit") or KEPT)
        wanted = query.get("id")
        if self.quiet:
            rows = [
                dict(zip(("number", "time", "id", "status"), row, strict=True))
                for row in (self.kept if limit else ())
                if row[0] > after and (not wanted or row[2] == wanted)
            ]
        else:
            rows = [
                row.as_dict()
                for row in self.kept
                if row.number > after
                and (not wanted or row.id == wanted)
                and (not query.get("name") or row.name == query["name"])
                and (not query.get("type") or row.type == query["type"])
            ]
        return {
            "counts": {
                "total": self.counts["total"],
                "accepted": self.counts["accepted"],
                "failed": self.counts["failed"],
                "refused": self.counts["refused"],
                "unique": len(self.accepted),
                "duplicates": self.counts["accepted"] - len(self.accepted),
            },
            "last": self.number,
            "items": rows[:limit],
        }


def _document(data: object) -> str:
    """The number by which people know what an event is about, if it has one."""
    number = data.get("number") if isinstance(data, dict) else None
    return str(number) if number else ""


# === THE PAGE === #
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; color: #1f2733;
       background: #f4f6f8; }
header { background: #17324d; color: #fff; padding: 18px 32px; }
header h1 { font-size: 20px; margin: 0; }
header p { margin: 4px 0 0; color: #c5d3e0; }
main { padding: 20px 32px; }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 16px; }
.figure { background: #fff; border: 1px solid #d9e0e6; border-radius: 8px;
          padding: 10px 18px; min-width: 84px; }
.figure b { display: block; font-size: 22px; }
.figure span { color: #5b6875; font-size: 13px; }
form { display: inline; }
button { font: inherit; padding: 6px 14px; border-radius: 6px; cursor: pointer;
         border: 1px solid #b9c4ce; background: #fff; margin: 0 6px 6px 0; }
button.now { background: #17324d; border-color: #17324d; color: #fff; }
table { width: 100%; border-collapse: collapse; background: #fff; margin-top: 14px;
        border: 1px solid #d9e0e6; }
th, td { text-align: left; vertical-align: top; padding: 8px 10px;
         border-bottom: 1px solid #e6ebef; }
th { background: #eef2f5; font-weight: 600; }
code { font-size: 12.5px; overflow-wrap: anywhere; }
summary { white-space: nowrap; cursor: pointer; }
details > code { white-space: pre-wrap; display: block; margin-top: 6px; }
.yes { color: #11703a; font-weight: 600; }
.no { color: #b3261e; font-weight: 600; }
.empty { padding: 28px; text-align: center; color: #5b6875; }
"""

BUTTONS = (
    ("ok", "Answer OK", "200: everything is taken"),
    ("fail", "Answer 503 (broken)", "503: the sender must try again later"),
    ("throttle", "Answer 429 (too fast)", "429 with Retry-After"),
    ("slow", "Do not answer in time", "the sender runs into its time limit"),
    ("gone", "Answer 410 (gone)", "410: the sender should give up"),
)


def page(receiver: Receiver) -> str:
    """The page for people; everything that came from outside is escaped."""
    escape = html.escape
    report = receiver.report({"limit": "0"})
    names = ("total", "accepted", "failed", "refused", "unique", "duplicates")
    figures = "".join(
        f'<div class="figure"><b>{report["counts"][name]}</b><span>{name}</span></div>'
        for name in names
    )
    now = receiver.behaviour.mode
    buttons = "".join(
        f'<form method="post" action="/control"><input type="hidden" name="mode" '
        f'value="{mode}"><button title="{escape(title)}" '
        f'class="{"now" if mode == now else ""}">{escape(label)}</button></form>'
        for mode, label, title in BUTTONS
    )
    rows = "".join(_row(item) for item in reversed(receiver.kept) if not receiver.quiet)
    if receiver.quiet:
        rows = '<tr><td class="empty" colspan="7">Quiet: only counted.</td></tr>'
    elif not rows:
        rows = '<tr><td class="empty" colspan="7">Nothing has arrived yet.</td></tr>'
    known = ", ".join(sorted(receiver.secrets)) or "none"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Receiver</title>
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>
<body><header><h1>Bundled receiver</h1><p>Stands for a connected system: it checks
the signature of every delivery with the standardwebhooks package. Secrets known
for: {escape(known)}</p></header><main>
<div class="figures">{figures}</div>
<div>{buttons}</div>
<table><thead><tr><th>Time (UTC)</th><th>Hook</th><th>Event type</th><th>Document</th>
<th>Genuine</th><th>Answer</th><th>Message</th></tr></thead><tbody>{rows}</tbody>
</table></main></body></html>"""


def _row(item: Delivery) -> str:
    escape = html.escape
    genuine = (
        '<span class="yes">yes</span>'
        if item.verified
        else f'<span class="no">no</span><br>{escape(item.reason)}'
    )
    moment = time.strftime("%H:%M:%S", time.gmtime(item.time))
    return (
        f"<tr><td>{moment}</td><td>{escape(item.name)}</td>"
        f"<td>{escape(item.type)}</td>"
        f"<td>{escape(item.document or item.subject)}</td>"
        f"<td>{genuine}</td><td>{item.status}</td>"
        f"<td><details><summary><code>{escape(item.id)}</code></summary>"
        f"<code>{escape(_pretty(item.body))}</code></details></td></tr>"
    )


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


# === HTTP === #
def _local(request: web.BaseRequest) -> bool:
    """Whether a request that steers us comes from this machine, from our page."""
    try:
        if not ipaddress.ip_address(request.remote or "").is_loopback:
            return False
    except ValueError:
        return False
    origin = request.headers.get("Origin")
    return not origin or urlsplit(origin).netloc == request.host


async def _form(request: web.BaseRequest) -> dict:
    """The fields of a JSON or form body.

    :raise ValueError: when it is neither
    """
    body = await request.read()
    if "json" in request.content_type:
        data = json.loads(body or b"{}")
        if not isinstance(data, dict):
            raise ValueError("an object is expected")
        return data
    return {key: values[-1] for key, values in parse_qs(body.decode()).items()}


class Site:
    """The addresses of the receiver, without a router: the hot path comes first."""

    def __init__(self, receiver: Receiver):
        self.receiver = receiver

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if request.method == "POST":
            if path.startswith("/hooks/"):
                return await self.receiver.take(path[7:], request)
            return await self._steer(path, request)
        if request.method in ("GET", "HEAD"):
            if path == "/":
                return web.Response(text=page(self.receiver), content_type="text/html")
            if path == "/received.json":
                try:
                    report = self.receiver.report(dict(request.query))
                except ValueError:
                    return web.json_response({"error": "bad number"}, status=400)
                return web.json_response(report)
            if path == "/health":
                return web.json_response({"status": "pass"})
        return web.json_response({"error": "not found"}, status=404)

    async def _steer(self, path: str, request: web.BaseRequest) -> web.StreamResponse:
        actions = {
            "/control": self._control,
            "/secrets": self._secrets,
            "/clear": self._clear,
        }
        action = actions.get(path)
        if not action:
            return web.json_response({"error": "not found"}, status=404)
        if not _local(request):
            return web.json_response({"error": "only from this machine"}, status=403)
        try:
            answer = action(await _form(request))
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        if "json" in request.content_type:
            return web.json_response(answer)
        return web.Response(status=303, headers={"Location": "/"})

    def _control(self, data: dict) -> dict:
        behaviour = Behaviour.read(data)
        name = data.get("name")
        if name:
            self.receiver.behaviours[str(name)] = behaviour
        else:
            self.receiver.behaviour = behaviour
            self.receiver.behaviours.clear()
        return {"mode": behaviour.mode, "status": behaviour.status}

    def _secrets(self, data: dict) -> dict:
        self.receiver.set_secret(data.get("name"), data.get("secret") or [], save=True)
        return {"names": sorted(self.receiver.secrets)}

    def _clear(self, _data: dict) -> dict:
        self.receiver.clear()
        return {}


async def serve(receiver: Receiver, host: str, port: int) -> None:
    """Serve until the program is told to stop."""
    site = Site(receiver)
    server = web.Server(site.handle, access_log=None, client_max_size=MAX_BODY)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024, shutdown_timeout=1).start()
    print(f"receiving at http://{host}:{port}/hooks/<name>", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    default = int(os.environ.get("HUB_RECEIVER_PORT") or 8029)
    parser.add_argument("--port", type=int, default=default)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=whsec_…",
        help="the secret of a hook's name; may be repeated",
    )
    parser.add_argument(
        "--secrets-file",
        type=Path,
        metavar="FILE",
        help='JSON {"name": "whsec_…"}; read again when it changes',
    )
    parser.add_argument(
        "--quiet", action="store_true", help="keep only ids and times (benchmarks)"
    )
    options = parser.parse_args()
    receiver = Receiver(secrets_file=options.secrets_file, quiet=options.quiet)
    receiver.reload_secrets()
    for pair in options.secret:
        name, _, secret = pair.partition("=")
        try:
            receiver.set_secret(name, secret, save=False)
        except ValueError as error:
            parser.error(f"--secret {name}: {error}")
    try:
        asyncio.run(serve(receiver, options.host, options.port))
    except OSError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
