#!/usr/bin/env python3
"""Many senders at once: what external systems do to the hub, as fast as they can.

Each message is signed before the start, and has an id of its own unless ``--same`` is
given. The answer is one line of JSON: accepted messages per second, from the first
request to the last answer. An answer that is none of 2xx ends the run.

HTTP is written by hand, so that the senders take little of the machine that the
server is measured on.
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
from urllib.parse import urlsplit


def prepared(url: str, body: bytes, key: bytes, identifier: str) -> bytes:
    """One whole HTTP request, signed after Standard Webhooks."""
    target, moment = urlsplit(url), int(time.time())
    content = b"%b.%d.%b" % (identifier.encode(), moment, body)
    signature = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\n"
        "Content-Type: application/cloudevents+json; charset=utf-8\r\n"
        "User-Agent: bench-senders/1\r\nAccept: */*\r\n"
        f"Content-Length: {len(body)}\r\nwebhook-id: {identifier}\r\n"
        f"webhook-timestamp: {moment}\r\nwebhook-signature: v1,{signature}\r\n\r\n"
    )
    return head.encode() + body


async def lane(host: str, port: int, requests: Iterator[bytes]) -> None:
    """Send one request after the other, on one connection as long as it stays."""
    reader = writer = None
    for request in requests:
        if writer is None:
            reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
        length, closes = 0, head.startswith(b"HTTP/1.0")
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, _colon, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "connection":
                closes = value.strip().lower() == "close"
        answer = await reader.readexactly(length)
        if not 200 <= status < 300:
            raise SystemExit(f"{status}: {answer[:500]!r}")
        if closes:
            writer.close()
            writer = None


async def send(url: str, requests: list[bytes], connections: int) -> float:
    target, source = urlsplit(url), iter(requests)
    started = time.monotonic()
    await asyncio.gather(
        *(lane(target.hostname, target.port, source) for _n in range(connections))
    )
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--key", required=True, help="base64 of the signing key")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--same", help="the id of all messages")
    options = parser.parse_args()
    body, key = options.body.read_bytes(), base64.b64decode(options.key)
    requests = [
        prepared(options.url, body, key, options.same or f"msg_{uuid.uuid4().hex}")
        for _number in range(options.count)
    ]
    seconds = asyncio.run(send(options.url, requests, options.connections))
    json.dump({"rate": options.count / seconds, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
