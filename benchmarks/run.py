#!/usr/bin/env python3
"""Measure the hub against its references, all in one run: ``make bench``.

The figures go to ``benchmarks/results/latest.json``; those of benchmarks that were
not run stay as they are. With ``--quick`` (``make bench QUICK=1``) the loads are small,
to see whether everything works: such figures mean nothing, are marked, and go to
``quick.json`` in the state folder.
"""

import argparse
import signal
import sys
import time
import traceback
from pathlib import Path

from audit import audit_overhead
from capture import capture_overhead, capture_overhead_bulk
from delivery import (
    delivery_vs_bare_client,
    delivery_vs_job_per_event,
    delivery_vs_requests_loop,
    transactions_per_delivery,
)
from desk import desk_growth
from endpoints import fanout_20, slow_endpoints, slow_neighbour
from growth import claim_growth, list_growth
from harness import GOALS, RESULTS, Bench, Figure, machine, table, write
from inbound import dedupe_flood, inbound_processing_vs_loop, inbound_vs_null
from latency import idle_latency, lane_isolation
from statements import camt_linearity

BENCHMARKS = {
    benchmark.__name__: benchmark
    for benchmark in (
        capture_overhead,
        capture_overhead_bulk,
        delivery_vs_bare_client,
        delivery_vs_requests_loop,
        delivery_vs_job_per_event,
        slow_endpoints,
        idle_latency,
        transactions_per_delivery,
        fanout_20,
        lane_isolation,
        slow_neighbour,
        claim_growth,
        list_growth,
        desk_growth,
        inbound_vs_null,
        inbound_processing_vs_loop,
        dedupe_flood,
        camt_linearity,
        audit_overhead,
    )
}


def _run(bench: Bench, names: list[str]) -> tuple[list[Figure], list[str]]:
    figures, failed = [], []
    for name in names:
        began = time.monotonic()
        print(f"{name} (goal: {GOALS[name]})", flush=True)
        try:
            figures.append(BENCHMARKS[name](bench))
        except Exception:
            # One that fails must not cost the others their figures.
            traceback.print_exc()
            failed.append(name)
            bench.recover()
        print(f"  took {time.monotonic() - began:.0f} s", flush=True)
    return figures, failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small loads")
    parser.add_argument("--results", type=Path, help="the result file")
    options = parser.parse_args()
    names = options.names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sys.stdout.reconfigure(line_buffering=True)
    # Ended politely, it leaves no server and no database behind.
    signal.signal(signal.SIGTERM, lambda *_received: sys.exit(143))
    about = machine()
    with Bench(quick=options.quick) as bench:
        figures, failed = _run(bench, names)
        quick_results = bench.settings.home / "quick.json"
    path = options.results or (quick_results if options.quick else RESULTS)
    if figures:
        write(figures, about, path, quick=options.quick)
        print(f"\n{table(figures)}\n\nWritten to {path}.")
    if options.quick:
        print("These loads are too small for figures that mean anything.")
    if failed:
        print(f"Not measured: {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
