# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A real HTTP server on loopback, in a thread, whose answers a test chooses."""

import asyncio
import threading
import time
from collections import Counter

from aiohttp import web


class Sink:
    """Takes POSTs on any path.

    :ivar answer: ``(path, message id, number of that id) -> (status, headers, seconds
        until it answers)``, or only a status
    :ivar arrived: list of (path, message id) in order of arrival
    :ivar most: most requests in flight at a time, by path
    """

    def __init__(self, answer=200):
        self.answer = answer if callable(answer) else lambda *_args: answer
        self.arrived = []
        self.times = {}
        self.flying, self.most, self.tries = Counter(), Counter(), Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_exc):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def url(self, path="/a"):
        return f"http://127.0.0.1:{self.port}{path}"

    def ids(self, path="/a"):
        return [identifier for at, identifier in self.arrived if at == path]

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _handle(self, request):
        path, identifier = request.path, (await request.read()).decode()
        self.arrived.append((path, identifier))
        self.times.setdefault((path, identifier), time.monotonic())
        self.tries[path, identifier] += 1
        self.flying[path] += 1
        self.most[path] = max(self.most[path], self.flying[path])
        try:
            answer = self.answer(path, identifier, self.tries[path, identifier])
            status, headers, delay = (
                answer if isinstance(answer, tuple) else (answer, {}, 0)
            )
            if delay:
                await asyncio.sleep(delay)
            return web.Response(status=status, headers=headers)
        finally:
            self.flying[path] -= 1
