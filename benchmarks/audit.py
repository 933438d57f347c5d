"""What the audit trail costs the accountant: time of the posting transaction."""

from statistics import median

from harness import RUNS, Bench, Figure, Probe, figure, milliseconds

from hubtools.settings import BENCH_DATABASE

AUDIT_DATABASE = f"{BENCH_DATABASE}_audit"
#: Invoices posted with the audit, and as many without, one after the other in turn.
POSTINGS = 200


def audit_overhead(bench: Bench) -> Figure:
    """Posting 200 invoices with the audit over posting 200 without."""
    count = bench.scaled(POSTINGS, 20)
    with bench.hub_stopped():
        bench.copy_database(AUDIT_DATABASE)
        with Probe(bench.role(AUDIT_DATABASE)) as probe:
            probe.ask("post_audited", count=10)
            pairs, runs = [], []
            for _run in range(RUNS):
                seen = probe.ask("post_audited", count=count)
                runs.append(seen)
                pairs.append(
                    (milliseconds(seen["audited"]), milliseconds(seen["plain"]))
                )
                print(f"  {pairs[-1][0]} ms with, {pairs[-1][1]} ms without")
    return figure(
        "audit_overhead",
        "ms",
        pairs,
        f"{count} invoices, each posted and committed in a transaction of its own that "
        "also writes one audit entry, as when a client of the API or an approval posts "
        "it, while a job on another connection seals every second; in turn with as "
        "many that write none",
        {
            "entries_written": [seen["entries"] for seen in runs],
            "entries_sealed_meanwhile": [seen["sealed"] for seen in runs],
            "queries_added_per_posting": [seen["added_queries"] for seen in runs],
            "median_entry_ms": milliseconds(median(seen["entry"] for seen in runs)),
        },
        kept=all(seen["entries"] == count for seen in runs),
    )
