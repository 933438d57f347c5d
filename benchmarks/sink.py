#!/usr/bin/env python3
"""The receiver of the benchmarks: as little work per request as Python allows.

It reads just enough HTTP/1.1 to know where a request ends, notes the moment when its
first byte arrived and its ``webhook-id``, and answers with fixed bytes. It verifies
nothing, so that the sender is what is measured. It needs the standard library only.

    POST /instant/<name>      200 at once
    POST /delay/<ms>/<name>   200 after that many milliseconds
    POST /hang/<name>         no answer
    GET  /control/totals               {path: how many requests came}
    GET  /control/counts               {path: {"unique", "total", "first", "last"}}
    GET  /control/arrivals?<path>      [[moment, id], …] of one path
    GET  /control/moment?<path>&<id>   {"moment": when it came first, or null}
    GET  /control/body?<path>          {"body": the first one that came to a path}
    GET  /control/clear       forget what arrived
    GET  /control/drop        close the connections that wait for an answer
    GET  /control/health      200 while it runs

Moments are seconds of the system's monotonic clock, which all processes share.
"""

import argparse
import asyncio
import gc
import json
import signal
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
END = b"\r\n\r\n"


class Sink:
    """What arrived: for each path the moment and the id of every request."""

    def __init__(self):
        self.moments: dict[bytes, list[float]] = {}
        self.ids: dict[bytes, list[bytes]] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.waiting: set[asyncio.Transport] = set()

    def counts(self) -> dict:
        found = {}
        for path, moments in self.moments.items():
            first: dict[bytes, float] = {}
            for moment, identifier in zip(moments, self.ids[path], strict=True):
                first.setdefault(identifier, moment)
            found[path.decode()] = {
                "unique": len(first),
                "total": len(moments),
                "first": min(moments),
                # A repetition does not count as the last arrival.
                "last": max(first.values()),
            }
        return found

    def control(self, target: str) -> object:
        path, _, query = target.partition("?")
        if path == "/control/counts":
            return self.counts()
        if path == "/control/totals":
            return {path.decode(): len(seen) for path, seen in self.moments.items()}
        key = query.encode()
        if path == "/control/body":
            return {"body": self.bodies.get(key, b"").decode()}
        if path == "/control/moment":
            key, _, identifier = key.partition(b"&")
            ids = self.ids.get(key, [])
            known = identifier in ids
            return {
                "moment": self.moments[key][ids.index(identifier)] if known else None
            }
        if path == "/control/arrivals":
            identifiers = (name.decode() for name in self.ids.get(key, ()))
            return list(zip(self.moments.get(key, ()), identifiers, strict=True))
        if path == "/control/clear":
            self.moments.clear()
            self.bodies.clear()
            self.ids.clear()
        elif path == "/control/drop":
            for transport in list(self.waiting):
                transport.abort()
        return {}


class Connection(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    __slots__ = ("_buffer", "_loop", "_need", "_sink", "_started", "_transport")

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop):
        self._sink = sink
        self._loop = loop
        self._buffer = b""
        self._need = 0
        self._started = 0.0

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, _error):
        self._sink.waiting.discard(self._transport)

    def data_received(self, data):
        if self._buffer:
            data = self._buffer + data
        else:
            self._started = time.monotonic()
        while data:
            size = len(data)
            if size < self._need:
                break
            head = data.find(END)
            if head < 0:
                break
            at = data.find(b"ontent-Length: ", 0, head)
            length = 0
            if at > 0:
                at += 15
                length = int(data[at : data.find(b"\r", at)])
            total = head + 4 + length
            if size < total:
                self._need = total
                break
            self._take(data, head, total)
            data = data[total:]
            self._need = 0
            self._started = time.monotonic() if data else 0.0
        self._buffer = data

    def _take(self, data, head, total):
        path = data[data.find(b" ") + 1 : data.find(b" HTTP/1.1")]
        if path.startswith(b"/control/"):
            answer = json.dumps(self._sink.control(path.decode())).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
            )
            return
        at = data.find(b"webhook-id: ", 0, head)
        identifier = data[at + 12 : data.find(b"\r", at)] if at > 0 else b""
        sink = self._sink
        moments = sink.moments.get(path)
        if moments is None:
            moments = sink.moments[path] = []
            sink.ids[path] = []
            sink.bodies[path] = data[head + 4 : total]
        moments.append(self._started)
        sink.ids[path].append(identifier)
        if path.startswith(b"/instant/"):
            self._transport.write(OK)
        elif path.startswith(b"/delay/"):
            delay = int(path.split(b"/", 3)[2]) / 1000
            self._loop.call_later(delay, self._answer)
        else:
            sink.waiting.add(self._transport)

    def _answer(self):
        if not self._transport.is_closing():
            self._transport.write(OK)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    sink = Sink()
    server = await loop.create_server(
        lambda: Connection(sink, loop), "127.0.0.1", port, backlog=1024
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"receiving at http://127.0.0.1:{port}/", flush=True)
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, required=True)
    # Nothing here makes cycles, and a collection would look like a slow receiver.
    gc.disable()
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
