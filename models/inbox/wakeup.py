"""Wakes the job that processes messages: soon, and once for many of them."""

import logging
import threading
import time

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry

from .. import constants

_logger = logging.getLogger(__name__)


class Waker:
    """Makes the job of a database, in a thread of its own.

    Making a job takes longer than storing a message, and one job serves all that came
    meanwhile. So whoever stores a message only says so here: the first one has the job
    made at once, what comes within the interval after that shares the next. What is
    lost with the process is found by the sweep.

    :param interval: seconds between two jobs
    :param wake: ``(database) -> None``, makes the job
    """

    def __init__(self, interval, wake):
        self._interval = interval
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting = set()
        self._last = {}

    def request(self, database):
        """Have the job of a database made, now or soon; returns at once."""
        with self._lock:
            if database in self._waiting:
                return
            self._waiting.add(database)
            last = self._last.get(database, -self._interval)
            pause = max(0.0, last + self._interval - time.monotonic())
        # Not a daemon: a process that ends in an orderly way still makes it.
        timer = threading.Timer(pause, self._fire, [database])
        timer.name = "finance_hub.waker"
        timer.start()

    def _fire(self, database):
        with self._lock:
            # From here on, what comes needs another job.
            self._waiting.discard(database)
            self._last[database] = time.monotonic()
        try:
            self._wake(database)
        except Exception:
            # What was to be done is committed already, and the sweep finds it.
            _logger.exception("finance_hub: no job could be made for messages")


def _make_job(database):
    threading.current_thread().dbname = database
    with Registry(database).cursor() as cr:
        api.Environment(cr, SUPERUSER_ID, {})["finance.message"]._wake()


WAKER = Waker(constants.PROCESS_WAKE_INTERVAL.total_seconds(), _make_job)
