"""How fast events get from the commit to the receiver when there are many."""

import time
from contextlib import closing
from statistics import median

import psycopg2
from cpu import CpuTimes
from harness import RUNS, Bench, Endpoint, Figure, figure

from hubtools.settings import PG_SUPERUSER

#: Deliveries of one measurement of the hub and of the bare client.
DELIVERIES = 20_000
#: Messages of the requests loop, which is slow and steady.
LOOP = 5_000
#: Requests at a time, of the endpoint and of the bare client.
CONCURRENCY = 50
#: Invoices of one measurement against a job for each event.
EVENTS = 1000
#: Seconds after which every connection has told PostgreSQL what it did: it does so
#: when it was idle for ten.
STATISTICS_DELAY = 12
#: Seconds over which the transactions of the idle system are counted.
BASELINE = 15


def delivery_vs_bare_client(bench: Bench) -> Figure:
    """The hub over a bare program with the same client library and concurrency."""
    return _rates(bench)["delivery_vs_bare_client"]


def delivery_vs_requests_loop(bench: Bench) -> Figure:
    """The hub over a bare loop of one ``requests.Session``."""
    return _rates(bench)["delivery_vs_requests_loop"]


def _rates(bench: Bench) -> dict[str, Figure]:
    if "rates" not in bench.measured:
        bench.measured["rates"] = _measure_rates(bench)
    return bench.measured["rates"]


def _measure_rates(bench: Bench) -> dict[str, Figure]:
    count, loop = bench.scaled(DELIVERIES, 3000), bench.scaled(LOOP, 1000)
    endpoint = bench.endpoint("instant", CONCURRENCY)
    bench.throughput([endpoint], 1000)
    many = f"--concurrency={CONCURRENCY}"
    hub, prepared, signing, looped = [], [], [], []
    cpu = CpuTimes(bench)
    spent: dict[str, list[float]] = {}
    for _run in range(RUNS):
        bench.fill([endpoint], count)
        before, started = cpu.read(), bench.release([endpoint])
        hub.append(count / (bench.sink.last_arrival([endpoint], count) - started))
        # What arrived last is to be recorded, too.
        bench.idle()
        for part, seconds in cpu.since(before).items():
            spent.setdefault(part, []).append(seconds)
        bench.forget([endpoint])
        before = cpu.read()
        done = bench.bare("aiohttp", "/instant/bare", count, many)
        prepared.append(done["rate"])
        spent.setdefault("bare_client", []).append(done["cpu"])
        spent.setdefault("bare_receiver", []).append(cpu.since(before)["receiver"])
        signing.append(
            bench.bare("aiohttp", "/instant/bare", count, many, "--sign")["rate"]
        )
        looped.append(bench.bare("requests", "/instant/bare", loop)["rate"])
        print(
            f"  hub {hub[-1]:.0f}/s, aiohttp {prepared[-1]:.0f}/s, signing too "
            f"{signing[-1]:.0f}/s, requests {looped[-1]:.0f}/s"
        )
    each = {
        part: round(median(seconds) / count * 1e6) for part, seconds in spent.items()
    }
    print(f"  processor time of one delivery, in microseconds: {each}")
    signed = [ours / theirs for ours, theirs in zip(hub, signing, strict=True)]
    load = (
        f"{count} deliveries of different documents to one instant endpoint with "
        f"{CONCURRENCY} requests at a time, body of {len(bench.body)} bytes; from the "
        "commit that makes them due to the last arrival"
    )
    return {
        "delivery_vs_bare_client": figure(
            "delivery_vs_bare_client",
            "deliveries/s",
            list(zip(hub, prepared, strict=True)),
            f"{load}; reference: aiohttp alone, same bodies, messages signed before "
            "the start",
            {
                "reference_that_signs_while_sending": round(median(signing), 1),
                "ratio_to_it": round(median(signed), 4),
                "cpu_microseconds_of_one_delivery": each,
            },
        ),
        "delivery_vs_requests_loop": figure(
            "delivery_vs_requests_loop",
            "deliveries/s",
            list(zip(hub, looped, strict=True)),
            f"{load}; reference: {loop} messages by one requests.Session, one after "
            "the other, signed before the start",
        ),
    }


# === ONE JOB FOR EACH EVENT === #
def delivery_vs_job_per_event(bench: Bench) -> Figure:
    """The hub's dispatcher over one queue_job job for each event."""
    count = bench.scaled(EVENTS, 200)
    bench.subscribe_receiver()
    pairs = [
        (
            _posting_rate(bench, count, job_per_event=False),
            _posting_rate(bench, count, job_per_event=True),
        )
        for _run in range(RUNS)
    ]
    bench.admin.call("finance.bench", "set_job_per_event", False)
    bench.subscribe()
    return figure(
        "delivery_vs_job_per_event",
        "events/s",
        pairs,
        f"{count} invoices posted in one transaction, one subscriber, receiver on "
        "loopback that verifies each signature; from commit to last arrival",
    )


def _posting_rate(bench: Bench, count: int, *, job_per_event: bool) -> float:
    """Events per second from the commit of their posting to the last arrival."""
    bench.admin.call("finance.bench", "set_job_per_event", job_per_event)
    ids = bench.drafts(count)
    jobs = "SELECT count(*) FROM queue_job WHERE method_name = '_job_send_one'"
    before = bench.hub.value(jobs)
    bench.receiver.clear()
    committed = bench.post(ids)["unix"]
    rate = count / (bench.last_received(count) - committed)
    made = bench.hub.value(jobs) - before
    if made != (count if job_per_event else 0):
        raise RuntimeError(f"{made} jobs of the reference were made.")
    bench.idle()
    kind = "one job per event" if job_per_event else "dispatcher"
    print(f"  {kind}: {rate:.0f} events/s")
    return rate


# === TRANSACTIONS === #
def transactions_per_delivery(bench: Bench) -> Figure:
    """Transactions of the whole database while deliveries drain, for each of them."""
    count = bench.scaled(DELIVERIES, 3000)
    endpoint = bench.endpoint("instant", CONCURRENCY)
    bench.throughput([endpoint], 1000)
    pairs = []
    for _run in range(RUNS):
        idle = _idle_rate(bench)
        used = _transactions_of_drain(bench, endpoint, count, idle)
        print(f"  {used:.0f} transactions for {count} deliveries ({idle:.1f}/s idle)")
        pairs.append((used, count))
    return figure(
        "transactions_per_delivery",
        "transactions",
        pairs,
        f"transactions committed and rolled back in the database (pg_stat_database) "
        f"while {count} deliveries drain to one instant endpoint, less those of the "
        "idle system in the same time; reference: the deliveries",
    )


def _transactions_of_drain(
    bench: Bench, endpoint: Endpoint, count: int, idle: float
) -> float:
    with bench.loader() as loader:
        loader.suspend([endpoint.id])
        loader.load(bench.model, count, [endpoint.id])
        loader.settle()
    bench.sink.clear()
    time.sleep(STATISTICS_DELAY)
    started, before = time.monotonic(), _transactions(bench)
    bench.release([endpoint])
    bench.sink.last_arrival([endpoint], count)
    time.sleep(STATISTICS_DELAY)
    used = _transactions(bench) - before
    used -= idle * (time.monotonic() - started)
    bench.forget([endpoint])
    return used


def _idle_rate(bench: Bench) -> float:
    bench.idle()
    time.sleep(STATISTICS_DELAY)
    before = _transactions(bench)
    time.sleep(BASELINE)
    return (_transactions(bench) - before) / BASELINE


def _transactions(bench: Bench) -> int:
    """Transactions so far; asked in another database, so that asking is not one."""
    with closing(
        psycopg2.connect(
            host=str(bench.settings.pg_socket),
            port=bench.settings.pg_port,
            user=PG_SUPERUSER,
            dbname=PG_SUPERUSER,
        )
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database "
            "WHERE datname = %s",
            [bench.hub.database],
        )
        return cursor.fetchone()[0]
