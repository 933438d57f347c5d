"""Many endpoints at once: slow ones, one that hangs, and one event to all of them."""

import time
from statistics import median

from harness import RUNS, Bench, Endpoint, Figure, figure, milliseconds

SLOW, SLOW_MS = 50, 100
#: Seconds of the window in which slow endpoints are counted, and before it. Longer
#: than a dispatcher's budget, so that handing over to the next job is part of it.
WINDOW, RUN_UP = 22, 1
FANOUT = 20
#: Postings that make one measurement (their median).
POSTINGS = 6
#: Deliveries for each endpoint beside the one that hangs.
NEIGHBOURS, NEIGHBOUR_LOAD = 9, 1500


def slow_endpoints(bench: Bench) -> Figure:
    """Deliveries per second to slow endpoints over what they can take at most."""
    window = bench.scaled(WINDOW, 5)
    most = SLOW * 1000 / SLOW_MS
    # Beyond the window, so that none of them runs out of work in it.
    load = int(most * (window + RUN_UP + 3))
    endpoints = [bench.endpoint(f"delay/{SLOW_MS}", 1) for _number in range(SLOW)]
    pairs = []
    for _run in range(RUNS):
        bench.drain(endpoints, load)
        bench.sink.await_total(endpoints, SLOW)
        first = min(entry["first"] for entry in bench.sink.counts().values())
        begin, end = first + RUN_UP, first + RUN_UP + window
        time.sleep(max(0, end + 0.5 - time.monotonic()))
        seen = sum(
            begin <= moment < end
            for endpoint in endpoints
            for moment, _identifier in bench.sink.arrivals(endpoint.path)
        )
        bench.forget(endpoints)
        pairs.append((seen / window, most))
        print(f"  {seen / window:.1f}/s of {most:.0f}/s")
    return figure(
        "slow_endpoints",
        "deliveries/s",
        pairs,
        f"{SLOW} endpoints with one request at a time that answer after {SLOW_MS} ms, "
        f"all with work waiting; counted over {window} s; reference: the most that is "
        "possible",
    )


def fanout_20(bench: Bench) -> Figure:
    """Time until the last of many endpoints has an event, over one endpoint."""
    endpoints = [bench.endpoint("instant") for _number in range(FANOUT)]
    postings = bench.scaled(POSTINGS, 3)
    pairs = []
    for _run in range(RUNS):
        pair = tuple(
            milliseconds(_fanout(bench, chosen, postings))
            for chosen in (endpoints, endpoints[:1])
        )
        print(f"  {FANOUT} endpoints: {pair[0]} ms, one: {pair[1]} ms")
        pairs.append(pair)
    bench.forget(endpoints)
    return figure(
        "fanout_20",
        "ms",
        pairs,
        f"one invoice posted on an idle system, median of {postings}; from the commit "
        f"to the arrival at the last of {FANOUT} instant endpoints; reference: at the "
        "only one",
    )


def _fanout(bench: Bench, endpoints: list[Endpoint], postings: int) -> float:
    bench.subscribe(*endpoints)
    # The first one lets the server load the new subscriptions.
    ids = bench.drafts(postings + 1)
    found = []
    for move in ids:
        bench.idle()
        time.sleep(0.2)
        bench.sink.clear()
        committed = bench.post([move])["monotonic"]
        last = bench.sink.last_arrival(endpoints, len(endpoints), 60)
        found.append(last - committed)
    bench.subscribe()
    return median(found[1:])


def slow_neighbour(bench: Bench) -> Figure:
    """Throughput of fast endpoints beside one that hangs, over them alone."""
    each = bench.scaled(NEIGHBOUR_LOAD, 300)
    bench.throughput([bench.endpoint("instant")], 1000)
    pairs = []
    for _run in range(RUNS):
        pair = tuple(_neighbours(bench, each, hanging=hanging) for hanging in (1, 0))
        print(f"  beside one that hangs {pair[0]:.0f}/s, alone {pair[1]:.0f}/s")
        pairs.append(pair)
    return figure(
        "slow_neighbour",
        "deliveries/s",
        pairs,
        f"{NEIGHBOURS} instant endpoints with {each} deliveries each, and one with as "
        "many that never answers; throughput of the instant ones from the commit to "
        "the last arrival; reference: without the one that hangs",
    )


def _neighbours(bench: Bench, each: int, *, hanging: int) -> float:
    # New ones each time: nobody remembers how the last run ended.
    fast = [bench.endpoint("instant") for _number in range(NEIGHBOURS)]
    every = fast + [bench.endpoint("hang") for _number in range(hanging)]
    started = bench.drain(every, each * len(every))
    count = each * NEIGHBOURS
    rate = count / (bench.sink.last_arrival(fast, count) - started)
    bench.forget(every)
    return rate
