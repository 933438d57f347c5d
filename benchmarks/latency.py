"""How soon one event is there: on an idle system, and while bulk drains."""

import time
from statistics import median

from harness import PATIENCE, RUNS, Bench, Endpoint, Figure, figure, milliseconds

#: Samples that make one measurement (their median).
SAMPLES = 6
#: Deliveries that wait in the bulk lane, and critical events sent meanwhile.
BULK = 1_000_000
BUSY_SAMPLES = 21
#: Seconds between two samples, so that the system is idle again.
PAUSE = 0.3
#: Seconds that bulk drains before the first critical event.
RUN_UP = 3


def idle_latency(bench: Bench) -> Figure:
    """Commit to first byte, over a job that does nothing from commit to start."""
    endpoint = bench.endpoint("instant")
    bench.subscribe(endpoint)
    samples = bench.scaled(SAMPLES, 3)
    _event(bench, endpoint)
    _nothing(bench)
    pairs = []
    for _run in range(RUNS):
        measured = []
        for _number in range(samples):
            bench.idle()
            time.sleep(PAUSE)
            event = _event(bench, endpoint)
            bench.idle()
            time.sleep(PAUSE)
            measured.append((event, _nothing(bench)))
        events, jobs = zip(*measured, strict=True)
        pairs.append((milliseconds(median(events)), milliseconds(median(jobs))))
        print(f"  event {pairs[-1][0]} ms, job {pairs[-1][1]} ms")
    bench.subscribe()
    bench.forget([endpoint])
    return figure(
        "idle_latency",
        "ms",
        pairs,
        f"one invoice posted on an idle system, median of {samples}; from the commit "
        "to the first byte at the receiver; reference: a queue_job job that does "
        "nothing, from the commit that enqueues it to its start",
    )


def _event(bench: Bench, endpoint: Endpoint, timeout: float = 60) -> float:
    """Post one invoice; seconds from its commit to the first byte."""
    (move,) = bench.drafts(1)
    time.sleep(PAUSE)
    committed = bench.post([move])["monotonic"]
    identifier = bench.hub.value(
        "SELECT event_id FROM finance_event "
        "WHERE res_model = 'account.move' AND res_id = %s",
        [move],
    )
    deadline = time.monotonic() + timeout
    while (moment := bench.sink.moment(endpoint.path, identifier)) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"No event arrived within {timeout} s.")
        time.sleep(0.1)
    return moment - committed


def _nothing(bench: Bench) -> float:
    """Enqueue a job that does nothing; seconds from the commit to its start."""
    enqueued = bench.admin.call("finance.bench", "enqueue")
    query = "SELECT started_at FROM finance_bench WHERE id = %s"
    started: list[float] = []

    def done() -> bool:
        started[:] = [bench.hub.value(query, [enqueued["run"]])]
        return bool(started[0])

    if not bench.hub.wait_until(done, 60, 0.1):
        raise RuntimeError("The job that does nothing was not run.")
    return started[0] - enqueued["monotonic"]


def lane_isolation(bench: Bench) -> Figure:
    """Latency of a critical event while bulk drains to its endpoint, over idle."""
    count = bench.scaled(BULK, 50_000)
    samples = bench.scaled(BUSY_SAMPLES, 6)
    endpoint = bench.endpoint("instant")
    bench.subscribe(endpoint, lane="critical")
    _event(bench, endpoint)
    idle = _idle_events(bench, endpoint, samples // 2)
    began = time.monotonic()
    bench.drain([endpoint], count, lane="bulk")
    print(f"  {count} deliveries made in {time.monotonic() - began:.0f} s")
    time.sleep(RUN_UP)
    began, before = time.monotonic(), bench.sink.total([endpoint])
    busy = [_event(bench, endpoint, PATIENCE) for _number in range(samples)]
    arrived = bench.sink.total([endpoint])
    rate = (arrived - before) / (time.monotonic() - began)
    if arrived >= count:
        raise RuntimeError("Bulk had drained before the last critical event.")
    bench.forget([endpoint])
    bench.release([endpoint])
    idle += _idle_events(bench, endpoint, samples - len(idle))
    bench.subscribe()
    bench.forget([endpoint])
    # Samples of the whole time in each group, so that a pair is fair.
    pairs = [
        (
            milliseconds(median(busy[group::RUNS])),
            milliseconds(median(idle[group::RUNS])),
        )
        for group in range(RUNS)
    ]
    print(f"  busy {milliseconds(median(busy))} ms, idle {milliseconds(median(idle))}")
    return figure(
        "lane_isolation",
        "ms",
        pairs,
        f"{samples} critical events, one after the other, while {count} bulk "
        "deliveries to the same instant endpoint drain; from the commit to the first "
        "byte; reference: the same on the idle system, before and after",
        {
            "bulk_deliveries_per_second": round(rate, 1),
            "bulk_deliveries_left": count - arrived,
            "slowest_busy_ms": milliseconds(max(busy)),
        },
    )


def _idle_events(bench: Bench, endpoint: Endpoint, samples: int) -> list[float]:
    found = []
    for _number in range(samples):
        bench.idle()
        time.sleep(PAUSE)
        found.append(_event(bench, endpoint))
    return found
