"""What the benchmarks share: the server, the other side, the machine, the figures."""

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import contextmanager

from figures import (
    GOALS,
    HERE,
    RESULTS,
    RUNS,
    Figure,
    figure,
    machine,
    milliseconds,
    table,
    write,
)
from load import Loader
from other_side import PATIENCE, Endpoint, Probe, Sink

from hubtools.databases import Databases
from hubtools.mainjob import WAREHOUSE, Desk
from hubtools.odoo import OdooRole
from hubtools.rpc import Rpc
from hubtools.settings import BENCH_DATABASE, QUEUE_JOB_CHANNELS, Settings
from hubtools.system import BENCH, Hub, system_receiver

__all__ = [
    "BASE_DATABASE",
    "GOALS",
    "HERE",
    "PATIENCE",
    "RESULTS",
    "RUNS",
    "Bench",
    "Endpoint",
    "Figure",
    "Probe",
    "figure",
    "machine",
    "milliseconds",
    "table",
    "write",
]

#: A database like that of the benchmarks, before any load, to make copies of.
BASE_DATABASE = f"{BENCH_DATABASE}_base"
#: Jobs of references that may run at once.
BENCH_JOBS = 4


def _channels() -> str:
    """The hub's own channels, and one for the jobs that are references.

    The root takes at least as many at a time, so that they are not held back by it.
    """
    root, *others = QUEUE_JOB_CHANNELS.split(",")
    capacity = max(BENCH_JOBS, int(root.removeprefix("root:")))
    return ",".join([f"root:{capacity}", *others, f"root.bench:{BENCH_JOBS}"])


class Bench:
    """A server of its own with the benchmark addon, and the other sides.

    :param quick: smaller loads, to see whether the benchmarks work
    """

    def __init__(self, *, quick: bool = False):
        paths = [str(HERE / "addons"), os.environ.get("HUB_ADDONS_PATH", "")]
        os.environ["HUB_ADDONS_PATH"] = ",".join(filter(None, paths))
        self.quick = quick
        self.settings = Settings.read()
        self.hub = Hub(self.settings, BENCH, channels=_channels())
        self.databases = Databases(self.settings)
        self.receiver = system_receiver(self.settings, BENCH)
        self.sink = Sink(self.settings)
        self._number = 0
        self._endpoints: list[Endpoint] = []
        #: What benchmarks that are measured together keep for each other.
        self.measured: dict = {}
        self._extra_databases: list[str] = []

    def scaled(self, number: int, quick: int) -> int:
        """A load, or the smaller one of a quick run."""
        return quick if self.quick else number

    # === LIFE === #
    def __enter__(self):
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _prepare(self) -> None:
        self.hub.create_database()
        for name in self.databases.cluster.databases():
            # Of a run that was killed.
            if name.startswith(f"{BENCH_DATABASE}_"):
                self.databases.cluster.drop(name)
        self.hub.role.run(
            "--init", "finance_hub_bench", what="installing the benchmark addon"
        )
        self.receiver.stop()
        self.receiver.secrets_file.unlink(missing_ok=True)
        self.receiver.start(quiet=True)
        self.sink.start()
        self.hub.start()
        self._connect()
        self.desk.go_live()
        self.subscribe()
        self._make_model()
        self.hub.stop()
        self.copy_database(BASE_DATABASE)
        self.hub.start()
        self._connect()
        self.warm()

    def _connect(self) -> None:
        self.hub._clients.clear()
        self.desk = Desk(
            self.hub.url,
            self.hub.database,
            self.receiver,
            self.settings.run / "bench-secrets.json",
        )
        self.admin: Rpc = self.hub.rpc("admin")

    def _make_model(self) -> None:
        """Have one real event delivered, which made-up ones are copies of."""
        endpoint = self.endpoint("instant")
        self.subscribe(endpoint)
        self.sink.clear()
        self.post(self.drafts(1))
        self.sink.await_total([endpoint], 1, 60)
        self.idle()
        self.body = self.sink.body(endpoint.path)
        self.subscribe()
        with self.loader() as loader:
            self.model = loader.model_rows(endpoint.id)
            loader.suspend([endpoint.id])
        self.model_endpoint = endpoint

    def __exit__(self, *_error):
        self.hub.drop_database()
        self.receiver.stop()
        self.sink.stop()
        for name in self._extra_databases:
            self.databases.cluster.drop(name)

    @contextmanager
    def hub_stopped(self):
        """The machine without the server, for what is measured without it."""
        self.hub.stop()
        try:
            yield
        finally:
            self.hub.start()
            self._connect()
            self.warm()

    def warm(self) -> None:
        """Let every worker load what it keeps in memory."""
        for _number in range(3 * self.settings.workers):
            self.admin.call("finance.bench", "warm")

    def copy_database(self, name: str, source: str | None = None) -> None:
        """Copy a database of the benchmarks; the copy is dropped at the end."""
        self.databases.cluster.copy(source or self.hub.database, name)
        if name not in self._extra_databases:
            self._extra_databases.append(name)

    def loader(self, database: str | None = None) -> Loader:
        return Loader(self.settings, database or self.hub.database)

    def role(self, database: str, **options) -> OdooRole:
        """A use of Odoo on another database, on the server's ports."""
        return OdooRole(
            self.settings,
            "bench",
            database,
            self.settings.system_port,
            "HUB_SYSTEM_PORT",
            workers=options.pop("workers", 0),
            **options,
        )

    # === CONNECTORS === #
    def endpoint(self, kind: str, concurrency: int = 20, timeout: int = 20) -> Endpoint:
        """Make a live endpoint.

        :param kind: how the sink answers: ``instant``, ``delay/<ms>`` or ``hang``
        """
        self._number += 1
        path = f"/{kind}/{self._number}"
        api = self.desk.administrator
        connector = api.search("finance.connector", [("code", "=", WAREHOUSE)])[0]
        credential = api.search(
            "finance.credential",
            [("connector_id", "=", connector), ("direction", "=", "outbound")],
            limit=1,
        )[0]
        number = api.create(
            "finance.endpoint",
            {
                "name": f"Bench {self._number}",
                "connector_id": connector,
                "credential_id": credential,
                "url": f"{self.sink.url}{path}",
                "concurrency": concurrency,
                "timeout": timeout,
            },
        )
        made = Endpoint(number, path)
        self._endpoints.append(made)
        return made

    def subscribe(self, *endpoints: Endpoint, lane: str | None = None) -> None:
        """Send invoices that are posted to these endpoints, and to no others."""
        api = self.desk.administrator
        others = api.search("finance.subscription", [])
        if others:
            api.write("finance.subscription", others, {"active": False})
        known = api.call("finance.subscription", "fields_get", [], ["type"])
        for endpoint in endpoints:
            values = {
                "name": "Bench",
                "endpoint_id": endpoint.id,
                "patterns": "finance.invoice.posted.*",
            }
            if lane and "lane" in known:
                values["lane"] = lane
            api.create("finance.subscription", values)

    def subscribe_receiver(self) -> None:
        """Send everything to the bundled receiver, which verifies signatures."""
        self.subscribe()
        api = self.desk.administrator
        found = api.call(
            "finance.subscription",
            "search",
            [("name", "=", "Everything")],
            context={"active_test": False},
        )
        api.write("finance.subscription", found, {"active": True})

    # === POSTING === #
    def drafts(self, number: int, chunk: int = 250) -> list[int]:
        """Create draft invoices, in transactions of ``chunk``."""
        partner = self.admin.search("res.partner", [("customer_rank", ">", 0)], limit=1)
        ids: list[int] = []
        while len(ids) < number:
            values = {
                "move_type": "out_invoice",
                "partner_id": partner[0],
                "invoice_date": "2026-01-15",
                "invoice_line_ids": [
                    (0, 0, {"name": "Load", "quantity": 1, "price_unit": 10.0})
                ],
            }
            batch = [values] * min(chunk, number - len(ids))
            ids += self.admin.call("account.move", "create", batch)
        return ids

    def post(self, ids: list[int]) -> dict[str, float]:
        """Post invoices in one transaction.

        :return: the moment of its commit: ``unix`` and ``monotonic`` seconds
        """
        return self.admin.call("finance.bench", "post", ids)

    def last_received(self, number: int, timeout: float = PATIENCE) -> float:
        """Wait until so many different events came to the bundled receiver.

        :return: the moment of the last one, Unix seconds
        """
        complete = self.hub.wait_until(
            lambda: self.receiver.counts()["unique"] >= number, timeout, pause=0.5
        )
        if not complete:
            raise RuntimeError(
                f"{self.receiver.counts()['unique']} of {number} events arrived "
                f"within {timeout} s"
            )
        newest = self.receiver.received(limit=str(10 * number))["items"]
        return max(item["time"] for item in newest)

    # === DELIVERING === #
    def drain(self, endpoints: Sequence[Endpoint], count: int, **options) -> float:
        """Make deliveries that are due, and let the hub begin with them.

        They are there before the start, and PostgreSQL knows about them, but their
        endpoints are suspended; the start makes the endpoints live and wakes the
        hub, in one transaction.

        :param options: of ``Loader.load``
        :return: the moment of the start's commit, monotonic seconds
        """
        self.fill(endpoints, count, **options)
        return self.release(endpoints)

    def fill(self, endpoints: Iterable[Endpoint], count: int, **options) -> None:
        """Make deliveries that are due, and suspend their endpoints until a release."""
        ids = [endpoint.id for endpoint in endpoints]
        with self.loader() as loader:
            loader.suspend(ids)
            loader.load(self.model, count, ids, **options)
            loader.settle()
        self.sink.clear()

    def release(self, endpoints: Iterable[Endpoint]) -> float:
        ids = [endpoint.id for endpoint in endpoints]
        return self.admin.call("finance.bench", "release", ids)["monotonic"]

    def throughput(self, endpoints: Sequence[Endpoint], count: int) -> float:
        """Deliveries per second from the start's commit to the last arrival."""
        started = self.drain(endpoints, count)
        rate = count / (self.sink.last_arrival(endpoints, count) - started)
        self.forget(endpoints)
        return rate

    def forget(self, endpoints: Sequence[Endpoint]) -> None:
        """Take endpoints out of use, and forget what waits for them."""
        with self.loader() as loader:
            loader.suspend([endpoint.id for endpoint in endpoints])
            self.idle(ending=True)
            loader.forget_deliveries()

    def recover(self) -> None:
        """Leave nothing behind of a benchmark that failed."""
        self.subscribe()
        self.admin.call("finance.bench", "set_job_per_event", False)
        self.forget(self._endpoints)

    def idle(self, timeout: float = 90, *, ending: bool = False) -> None:
        """Wait until no job runs or is about to.

        :param ending: close what hangs, so that nobody waits for it
        :raise RuntimeError: when there is always one
        """
        query = (
            "SELECT count(*) FROM queue_job "
            "WHERE state IN ('enqueued', 'started') OR (state = 'pending' "
            "AND (eta IS NULL OR eta <= now() AT TIME ZONE 'UTC'))"
        )

        def quiet() -> bool:
            if ending:
                self.sink.drop()
            return not self.hub.value(query)

        if not self.hub.wait_until(quiet, timeout, 0.1):
            raise RuntimeError(f"The hub is not idle after {timeout} s.")

    def bare(self, kind: str, path: str, count: int, *options: str) -> dict:
        """Run a bare program, see ``bare.py``.

        :return: ``rate`` in messages per second, ``cpu`` in seconds of its own
        """
        body = self.settings.run / "bench-body.json"
        body.write_text(self.body)
        done = subprocess.run(
            [
                self.settings.venv_python,
                HERE / "bare.py",
                kind,
                f"--url={self.sink.url}{path}",
                f"--body={body}",
                f"--count={count}",
                *options,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)
