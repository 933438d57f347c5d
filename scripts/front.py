#!/usr/bin/env python3
"""The front door of the demo: what nginx is for Odoo in production, and no more.

With workers, Odoo answers pages on one port and websockets on another, and a proxy
in front makes them one address. Without it the web client says "Real-time
connection lost" and keeps asking the wrong port. A worker closes its connection
after each answer, so looking at the first line of a connection is enough; after
that the bytes are passed on untouched.
"""

import argparse
import asyncio
import contextlib
import signal
import sys

#: Bytes of a request's head, and seconds to wait for it.
MAX_HEAD = 64 * 1024
HEAD_TIMEOUT = 30
CHUNK = 64 * 1024

UNAVAILABLE = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 22\r\nConnection: close\r\n\r\nOdoo does not answer.\n"
)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until one side ends, then tell the other side."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


class Front:
    """Listens on one port and passes connections on to two others.

    :param web: the port of Odoo's workers
    :param websocket: the port of Odoo's websocket server
    """

    def __init__(self, web: int, websocket: int):
        self.web = web
        self.websocket = websocket
        #: The loop itself holds its tasks only weakly.
        self._tasks: set[asyncio.Task] = set()

    def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take a new connection."""
        task = asyncio.create_task(self._handle(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(HEAD_TIMEOUT):
                head = await reader.readuntil(b"\r\n")
            target = head.split(b" ", 2)[1].partition(b"?")[0]
        except (
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            IndexError,
            OSError,  # and TimeoutError, which is one
        ):
            writer.close()
            return
        live = target == b"/websocket" or target.startswith(b"/websocket/")
        try:
            there, back = await asyncio.open_connection(
                "127.0.0.1", self.websocket if live else self.web
            )
        except OSError:
            with contextlib.suppress(OSError):
                writer.write(UNAVAILABLE)
                await writer.drain()
            writer.close()
            return
        back.write(head)
        asking = asyncio.create_task(_pass_on(reader, back))
        # The answer's end is the connection's end, whatever the client still sends.
        await _pass_on(there, writer)
        asking.cancel()
        back.close()
        writer.close()


async def serve(front: Front, host: str, port: int) -> None:
    """Serve until the program is told to stop."""
    server = await asyncio.start_server(
        front.accept, host, port, limit=MAX_HEAD, backlog=512
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"http://{host}:{port} → {front.web}, /websocket → {front.websocket}")
    await stop.wait()
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--web", type=int, required=True)
    parser.add_argument("--websocket", type=int, required=True)
    options = parser.parse_args()
    try:
        asyncio.run(
            serve(Front(options.web, options.websocket), options.host, options.port)
        )
    except OSError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
