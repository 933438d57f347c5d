"""What the benchmarks share: the server, the other side, the machine, the figures."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from load import Loader

from hubtools.databases import Databases
from hubtools.mainjob import WAREHOUSE, Desk
from hubtools.odoo import OdooRole
from hubtools.process import LOCAL, Background, http_ok, require_port
from hubtools.rpc import Rpc
from hubtools.settings import BENCH_DATABASE, QUEUE_JOB_CHANNELS, Settings
from hubtools.system import BENCH, Hub, system_receiver

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
#: A database like that of the benchmarks, before any load, to make copies of.
BASE_DATABASE = f"{BENCH_DATABASE}_base"
#: Jobs of references that may run at once.
BENCH_JOBS = 4
#: Pairs of measurements of each figure.
RUNS = 3
#: Seconds until a benchmark that makes no progress gives up.
PATIENCE = 300


# === FIGURES === #
@dataclass(frozen=True)
class Goal:
    """What a ratio has to reach."""

    bound: float
    at_most: bool

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"

    def met(self, ratio: float) -> bool:
        return ratio <= self.bound if self.at_most else ratio >= self.bound


def at_most(bound: float) -> Goal:
    return Goal(bound, True)


def at_least(bound: float) -> Goal:
    return Goal(bound, False)


GOALS = {
    "capture_overhead": at_most(0.02),
    "capture_overhead_bulk": at_most(0.03),
    "delivery_vs_bare_client": at_least(0.80),
    "delivery_vs_requests_loop": at_least(2),
    "delivery_vs_job_per_event": at_least(15),
    "slow_endpoints": at_least(0.90),
    "idle_latency": at_most(1.5),
    "transactions_per_delivery": at_most(0.1),
    "fanout_20": at_most(3),
    "lane_isolation": at_most(3),
    "slow_neighbour": at_least(0.85),
    "claim_growth": at_most(1.5),
    "list_growth": at_most(1.5),
    "desk_growth": at_most(1.5),
    "inbound_vs_null": at_least(0.60),
    "inbound_processing_vs_loop": at_least(0.80),
    "dedupe_flood": at_most(1),
    "camt_linearity": at_most(1.2),
    "audit_overhead": at_most(1.03),
}


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its reference, both of this run.

    :ivar value: median of the hub's measurements
    :ivar reference: median of the reference's measurements, in the same unit
    :ivar ratio: median of the pairs' ratios
    :ivar spread: lowest and highest ratio of the pairs
    :ivar load: what was done, in words
    :ivar met: whether the goal is reached, and what else the figure promises
    :ivar detail: what else was seen
    """

    name: str
    unit: str
    value: float
    reference: float
    ratio: float
    spread: tuple[float, float]
    runs: int
    load: str
    goal: str
    met: bool
    detail: dict = field(default_factory=dict)


Pairs = Sequence[tuple[float, float]]


def figure(
    name: str,
    unit: str,
    pairs: Pairs,
    load: str,
    detail: dict | None = None,
    *,
    kept: bool = True,
) -> Figure:
    """Sum up pairs of (value, reference) that were measured in turn.

    :param kept: whether what the figure promises beside its ratio is so
    """
    values, references = zip(*pairs, strict=True)
    ratios = sorted(value / reference for value, reference in pairs)
    ratio = statistics.median(ratios)
    goal = GOALS[name]
    return Figure(
        name,
        unit,
        _digits(statistics.median(values)),
        _digits(statistics.median(references)),
        _digits(ratio),
        (_digits(ratios[0]), _digits(ratios[-1])),
        len(pairs),
        load,
        str(goal),
        goal.met(ratio) and kept,
        detail or {},
    )


def _digits(number: float) -> float:
    """Four digits that count: enough for any figure, and none that mean nothing."""
    return float(f"{number:.4g}")


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def machine() -> dict:
    """The machine, as far as it matters to the figures."""
    memory = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) // 1024
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": memory,
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def write(figures: Sequence[Figure], about: dict, path: Path, *, quick: bool) -> None:
    """Write figures into a result file; those of other names that it holds stay."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = {}
    if path.exists():
        rows = {row["name"]: row for row in json.loads(path.read_text())}
    for entry in figures:
        rows[entry.name] = {
            **asdict(entry),
            "quick": quick,
            "machine": about,
            "measured_at": now,
        }
    order = list(GOALS)
    kept = sorted(
        (row for row in rows.values() if row["name"] in GOALS),
        key=lambda row: order.index(row["name"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n")


def table(figures: Sequence[Figure]) -> str:
    """The figures for a person."""
    lines = [
        f"{'figure':26} {'unit':12} {'value':>10} {'reference':>10} {'ratio':>9}  "
        f"{'spread':20} {'goal':14} met"
    ]
    for entry in figures:
        low, high = entry.spread
        lines.append(
            f"{entry.name:26} {entry.unit:12} {entry.value:10g} "
            f"{entry.reference:10g} {entry.ratio:9g}  {f'{low:g} to {high:g}':20} "
            f"{entry.goal:14} {'yes' if entry.met else 'NO'}"
        )
    return "\n".join(lines)


# === THE OTHER SIDE === #
class Sink:
    """The quick receiver in a process of its own, see ``sink.py``."""

    def __init__(self, settings: Settings):
        # Beside the bundled receiver, which one benchmark uses.
        self.port = settings.system_receiver_port + 1
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings
        self._background = Background(
            "sink", settings.run / "sink-bench.json", settings.logs / "sink-bench.log"
        )

    def start(self) -> None:
        self.stop()
        require_port(self.port, "HUB_SYSTEM_RECEIVER_PORT", "the benchmarks' sink")
        self._background.start(
            [self._settings.venv_python, HERE / "sink.py", f"--port={self.port}"]
        )
        self._background.wait_ready(lambda: http_ok(f"{self.url}/control/health"), 30)

    def stop(self) -> None:
        self._background.stop(timeout=5)

    def _ask(self, what: str):
        with LOCAL.open(f"{self.url}/control/{what}", timeout=30) as answer:
            return json.loads(answer.read())

    def clear(self) -> None:
        self._ask("clear")

    def drop(self) -> None:
        """Close the connections that wait for an answer."""
        self._ask("drop")

    def total(self, endpoints: "Iterable[Endpoint]") -> int:
        """How many requests came to endpoints, repeated ones included."""
        totals = self._ask("totals")
        return sum(totals.get(endpoint.path, 0) for endpoint in endpoints)

    def counts(self) -> dict[str, dict]:
        """What came by path: ``unique``, ``total``, ``first``, ``last``."""
        return self._ask("counts")

    def arrivals(self, path: str) -> list[tuple[float, str]]:
        """The moment and id of each request to a path."""
        return [tuple(entry) for entry in self._ask(f"arrivals?{path}")]

    def body(self, path: str) -> str:
        """The first body that came to a path."""
        return self._ask(f"body?{path}")["body"]

    def moment(self, path: str, identifier: str) -> float | None:
        """When a message first came to a path; None when it has not."""
        return self._ask(f"moment?{path}&{identifier}")["moment"]

    def await_total(
        self, endpoints: "Sequence[Endpoint]", number: int, timeout: float = PATIENCE
    ) -> None:
        """Wait until so many requests came to endpoints.

        :raise RuntimeError: when they do not
        """
        deadline = time.monotonic() + timeout
        while (seen := self.total(endpoints)) < number:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{seen} of {number} deliveries arrived in {timeout} s"
                )
            time.sleep(0.1)

    def last_arrival(
        self, endpoints: "Sequence[Endpoint]", number: int, timeout: float = PATIENCE
    ) -> float:
        """Wait until so many different messages came; the moment of the last one.

        :raise RuntimeError: when they do not
        """
        repeated = 0
        while True:
            self.await_total(endpoints, number + repeated, timeout)
            counts = self.counts()
            seen = [counts[endpoint.path] for endpoint in endpoints]
            unique = sum(entry["unique"] for entry in seen)
            if unique >= number:
                return max(entry["last"] for entry in seen)
            repeated = sum(entry["total"] for entry in seen) - unique


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of the hub that leads to the sink."""

    id: int
    path: str


class Probe:
    """An Odoo process that measures itself, see ``probe.py``."""

    def __init__(self, role: OdooRole):
        command = [
            *role.odoo.command()[:1],
            str(HERE / "probe.py"),
            f"--config={role.write_config()}",
            f"--database={role.database}",
        ]
        log = role.settings.logs / f"probe-{role.database}.log"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**os.environ, **role.env},
                cwd=role.settings.home,
            )
        self._log = log
        self._read()

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The probe ended; its log is {self._log}")
        return json.loads(line)

    def ask(self, what: str, **arguments) -> dict:
        """Have one command done and wait for its answer."""
        print(
            json.dumps({"do": what, **arguments}),
            file=self._process.stdin,
            flush=True,
        )
        return self._read()

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


# === THE HUB === #
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
        ids = [endpoint.id for endpoint in endpoints]
        with self.loader() as loader:
            loader.suspend(ids)
            loader.load(self.model, count, ids, **options)
            loader.settle()
        self.sink.clear()
        return self.release(endpoints)

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

    def bare(self, kind: str, path: str, count: int, *options: str) -> float:
        """Messages per second of a bare program, see ``bare.py``."""
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
        return json.loads(done.stdout)["rate"]
