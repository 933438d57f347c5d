"""How fast messages are accepted, and how fast what they say is done."""

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

from harness import HERE, RUNS, Bench, Figure, Probe, figure, milliseconds

from hubtools.mainjob import CAPTURED
from hubtools.settings import BENCH_DATABASE

PROCESSING_DATABASE = f"{BENCH_DATABASE}_inbox"
WORKERS, CONNECTIONS = 4, 8
#: Messages of one measurement, and those before that warm the workers up.
MESSAGES, WARM_UP = 4000, 400
#: Arrivals of one message before its further ones are measured.
FLOOD = 1000
#: Payments of one measurement.
PAYMENTS = 120
NOTHING = "/finance_hub_bench/nothing"


@dataclass(frozen=True)
class Door:
    """The server as its senders see it."""

    bench: Bench
    url: str
    key: str
    path: str

    def rate(self, count: int, path: str | None = None, same: str | None = None):
        """Messages accepted per second, sent by a process of its own."""
        settings = self.bench.settings
        body = settings.run / "bench-message.json"
        body.write_bytes(_body())
        done = subprocess.run(
            [
                settings.venv_python,
                HERE / "senders.py",
                f"--url={self.url}{path or self.path}",
                f"--body={body}",
                f"--key={self.key}",
                f"--count={count}",
                f"--connections={CONNECTIONS}",
                *([f"--same={same}"] if same else []),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)["rate"]


def _body() -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": "bench",
            "source": "urn:bench",
            "type": CAPTURED,
            "datacontenttype": "application/json",
            "data": {
                "provider_ref": "pay_bench",
                "amount": "10.00",
                "currency": "USD",
                "captured_at": "2026-01-20T10:00:00Z",
                "document_ref": "BENCH",
                "payer_name": "Bench customer",
                "method": "card",
            },
        }
    ).encode()


@contextmanager
def _door(bench: Bench):
    """A server that accepts and does not process: the runner of jobs is not loaded.

    The jobs themselves are made, as accepting has to make them.
    """
    sender = bench.desk.shop()
    key = sender.secret.removeprefix("whsec_")
    with bench.hub_stopped():
        role = bench.role(
            bench.hub.database,
            workers=WORKERS,
            extra={"server_wide_modules": "base,web", "max_cron_threads": "0"},
        )
        role.start()
        try:
            door = Door(
                bench,
                role.url,
                key + "=" * (-len(key) % 4),
                "/finance/v1/inbound/shop",
            )
            for path in (NOTHING, door.path):
                door.rate(WARM_UP, path)
            yield door
        finally:
            role.stop()
            _forget(bench)


def _forget(bench: Bench) -> None:
    """Leave nothing of what came in to be processed."""
    bench.hub.sql("DELETE FROM queue_job WHERE method_name = '_job_process'")
    bench.hub.sql("DELETE FROM finance_message WHERE state = 'received'")
    bench.hub.sql("TRUNCATE finance_message_duplicate")


def inbound_vs_null(bench: Bench) -> Figure:
    """Signed messages accepted per second over a controller that does nothing."""
    count = bench.scaled(MESSAGES, 800)
    pairs = []
    with _door(bench) as door:
        for _run in range(RUNS):
            pairs.append((door.rate(count), door.rate(count, NOTHING)))
            print(f"  accepted {pairs[-1][0]:.0f}/s, nothing {pairs[-1][1]:.0f}/s")
    return figure(
        "inbound_vs_null",
        "messages/s",
        pairs,
        f"{count} signed messages of {len(_body())} bytes over {CONNECTIONS} "
        f"connections to {WORKERS} workers: verified, stored, committed, answered, the "
        "job that processes them made; no job runs meanwhile; reference: an Odoo "
        "controller with the same kind of route that answers at once",
    )


def dedupe_flood(bench: Bench) -> Figure:
    """Time to accept a message for the thousandth time over accepting a new one."""
    count = bench.scaled(MESSAGES, 800)
    pairs = []
    with _door(bench) as door:
        door.rate(FLOOD, same="msg_flood")
        for _run in range(RUNS):
            again = CONNECTIONS / door.rate(count, same="msg_flood")
            new = CONNECTIONS / door.rate(count)
            pairs.append((milliseconds(again), milliseconds(new)))
            print(f"  again {pairs[-1][0]} ms, new {pairs[-1][1]} ms")
        rows = bench.hub.value(
            "SELECT count(*) FROM finance_message WHERE external_id = 'msg_flood'"
        )
    return figure(
        "dedupe_flood",
        "ms",
        pairs,
        f"one message sent {count} times after it came {FLOOD} times, over "
        f"{CONNECTIONS} connections to {WORKERS} workers; time of one call; "
        f"reference: {count} new messages",
        {"rows_of_the_message": rows},
        kept=rows == 1,
    )


def inbound_processing_vs_loop(bench: Bench) -> Figure:
    """Captures processed per second over a loop that registers the same payments."""
    count = bench.scaled(PAYMENTS, 20)
    bench.subscribe()
    pairs, unpaid = [], 0
    with bench.hub_stopped():
        bench.copy_database(PROCESSING_DATABASE)
        with Probe(bench.role(PROCESSING_DATABASE)) as probe:
            probe.ask("register", count=5)
            probe.ask("process", count=5)
            for _run in range(RUNS):
                hub = probe.ask("process", count=count)
                loop = probe.ask("register", count=count)
                unpaid += hub["unpaid"] + loop["unpaid"]
                pairs.append((count / hub["seconds"], count / loop["seconds"]))
                print(f"  hub {pairs[-1][0]:.1f}/s, loop {pairs[-1][1]:.1f}/s")
    return figure(
        "inbound_processing_vs_loop",
        "payments/s",
        pairs,
        f"{count} stored messages payment.captured, each for an invoice of its own, "
        "understood, registered and reconciled by one processing job; reference: one "
        "process that registers and reconciles as many payments with Odoo's "
        "account.payment.register, one commit each",
        {"invoices_left_unpaid": unpaid},
        kept=not unpaid,
    )
