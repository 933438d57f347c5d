#!/usr/bin/env python3
"""The bare programs that the hub is measured against: no Odoo, no database.

Every message is a body of the hub's own and a set of headers like the hub's. The
answer is one line of JSON: messages per second, from the first request to the last
answer.

    aiohttp    the hub's client library, so many requests at a time
    requests   one requests.Session, one request after the other
"""

import argparse
import asyncio
import base64
import hmac
import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import requests
import yarl

SECRET = b"0123456789abcdef0123456789abcdef"
Message = tuple[bytes, dict[str, str]]


def signed(body: bytes) -> dict[str, str]:
    """Headers like the hub's: Standard Webhooks, ``v1``."""
    identifier, moment = str(uuid.uuid4()), int(time.time())
    content = b"%b.%d.%b" % (identifier.encode(), moment, body)
    signature = base64.b64encode(hmac.digest(SECRET, content, "sha256")).decode()
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": "finance-hub/1",
        "webhook-id": identifier,
        "webhook-timestamp": str(moment),
        "webhook-signature": f"v1,{signature}",
    }


def messages(body: bytes, count: int, *, prepared: bool) -> Iterator[Message]:
    """Messages to send, signed before the start or while they are sent."""
    if prepared:
        return iter([(body, signed(body)) for _number in range(count)])
    return ((body, signed(body)) for _number in range(count))


async def by_aiohttp(url: str, source: Iterator[Message], concurrency: int) -> float:
    target = yarl.URL(url, encoded=True)

    async def lane(session: aiohttp.ClientSession) -> None:
        for body, headers in source:
            async with session.post(
                target, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
                answer.raise_for_status()

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        started = time.monotonic()
        await asyncio.gather(*(lane(session) for _number in range(concurrency)))
        return time.monotonic() - started


def by_requests(url: str, source: Iterator[Message]) -> float:
    with requests.Session() as session:
        session.trust_env = False
        started = time.monotonic()
        for body, headers in source:
            session.post(
                url, data=body, headers=headers, allow_redirects=False, timeout=20
            ).raise_for_status()
        return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("kind", choices=("aiohttp", "requests"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--sign", action="store_true", help="sign while sending")
    options = parser.parse_args()
    source = messages(
        options.body.read_bytes(), options.count, prepared=not options.sign
    )
    began = time.process_time()
    if options.kind == "aiohttp":
        seconds = asyncio.run(by_aiohttp(options.url, source, options.concurrency))
    else:
        seconds = by_requests(options.url, source)
    used = time.process_time() - began
    json.dump(
        {"rate": options.count / seconds, "seconds": seconds, "cpu": used}, sys.stdout
    )


if __name__ == "__main__":
    main()
