"""What capturing costs the accountant: time inside the posting transaction."""

from statistics import median

from harness import RUNS, Bench, Figure, Probe, figure, milliseconds

from hubtools.settings import BENCH_DATABASE

CAPTURE_DATABASE = f"{BENCH_DATABASE}_capture"
PLAIN_DATABASE = f"{BENCH_DATABASE}_plain"
SUBSCRIBERS = 3
#: Postings of one invoice that make one measurement (their median).
POSTINGS = 15
#: Invoices of one transaction at which the added queries are counted.
SIZES = (1, 10, 200)
BULK = 200


def capture_overhead(bench: Bench) -> Figure:
    """Time that capture adds to posting one invoice, over posting without it."""
    return _measured(bench)["capture_overhead"]


def capture_overhead_bulk(bench: Bench) -> Figure:
    """The same for many invoices in one transaction."""
    return _measured(bench)["capture_overhead_bulk"]


def _measured(bench: Bench) -> dict[str, Figure]:
    if "capture" not in bench.measured:
        bench.measured["capture"] = _measure(bench)
    return bench.measured["capture"]


def _measure(bench: Bench) -> dict[str, Figure]:
    bench.subscribe(*(bench.endpoint("instant") for _number in range(SUBSCRIBERS)))
    with bench.hub_stopped():
        bench.copy_database(CAPTURE_DATABASE)
        template = bench.databases.platform_template(demo=True, chart=True)
        bench.copy_database(PLAIN_DATABASE, template)
        with (
            Probe(bench.role(CAPTURE_DATABASE)) as with_hub,
            Probe(bench.role(PLAIN_DATABASE)) as without,
        ):
            found = _compare(bench, with_hub, without)
    bench.subscribe()
    return found


def _compare(bench: Bench, with_hub: Probe, without: Probe) -> dict[str, Figure]:
    for probe in (with_hub, without):
        for count in SIZES:
            probe.ask("post", count=count)
    added = {size: with_hub.ask("post", count=size)["added_queries"] for size in SIZES}
    # More documents must not mean more queries.
    constant = added[SIZES[-1]] <= added[SIZES[0]]
    print(f"  queries added at {SIZES} invoices: {list(added.values())}")
    found = {}
    for name, count, postings in (
        ("capture_overhead", 1, bench.scaled(POSTINGS, 5)),
        ("capture_overhead_bulk", BULK, 1),
    ):
        pairs, after, totals = [], [], []
        for _run in range(RUNS):
            hub = [with_hub.ask("post", count=count) for _number in range(postings)]
            bare = [without.ask("post", count=count) for _number in range(postings)]
            pairs.append(
                (
                    milliseconds(median(post["added"] for post in hub)),
                    milliseconds(median(post["total"] for post in bare)),
                )
            )
            after += [post["after_commit"] for post in hub]
            totals += [post["total"] for post in hub]
            print(f"  {name}: {pairs[-1][0]} ms added to {pairs[-1][1]} ms")
        found[name] = figure(
            name,
            "ms",
            pairs,
            f"{count} invoice(s) with one line posted and committed in one "
            f"transaction, {SUBSCRIBERS} subscribers, "
            f"{postings} transaction(s) a measurement; value: time inside the "
            "addon's methods until the commit, without what they call by super(); "
            "reference: the whole posting in a database without the addon",
            {
                "queries_added_at_1_10_200": list(added.values()),
                "queries_constant": constant,
                "whole_posting_with_hub_ms": milliseconds(median(totals)),
                "after_commit_ms": milliseconds(median(after)),
                "methods_timed": hub[-1]["wrapped"],
            },
            kept=constant,
        )
    return found
