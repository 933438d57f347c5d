"""Whether a long bank statement costs more for each entry than a short one."""

from statistics import median

from harness import BASE_DATABASE, RUNS, Bench, Figure, Probe, figure

from hubtools.settings import BENCH_DATABASE

STATEMENT_DATABASE = f"{BENCH_DATABASE}_statement"
SMALL, LARGE = 1_000, 10_000
#: Entries of the statement that a process warms up by.
WARM = 50


def camt_linearity(bench: Bench) -> Figure:
    """Time for each entry of a long camt.053, over that of a short one."""
    large = bench.scaled(LARGE, 2_000)
    small = bench.scaled(SMALL, 200)
    pairs, number = [], 0
    peaks: dict[int, list[float]] = {large: [], small: []}
    work: dict[int, list[float]] = {large: [], small: []}
    with bench.hub_stopped():
        bench.copy_database(STATEMENT_DATABASE, BASE_DATABASE)
        for _run in range(RUNS):
            pair = []
            for count in (large, small):
                # A process each, as its memory is measured, too.
                with Probe(bench.role(STATEMENT_DATABASE)) as probe:
                    number += 2
                    before = probe.ask("statement", count=WARM, number=number - 1)
                    seen = probe.ask("statement", count=count, number=number)
                if (seen["lines"], seen["state"]) != (count, "complete"):
                    raise RuntimeError(f"{count} entries became {seen}")
                pair.append(1000 * seen["seconds"] / count)
                work[count].append(1000 * seen["processor"] / count)
                peaks[count].append((seen["peak_kib"] - before["peak_kib"]) / 1024)
            print(f"  an entry of {large}: {pair[0]:.2f} ms, of {small}: {pair[1]:.2f}")
            pairs.append(tuple(pair))
    return figure(
        "camt_linearity",
        "ms",
        pairs,
        f"a camt.053 with {large} entries out of the inbox: parsed, checked, compared "
        f"with what is there, booked and committed, by entry; reference: {small} "
        "entries",
        {
            "peak_mib_added_large": round(max(peaks[large]), 1),
            "peak_mib_added_small": round(max(peaks[small]), 1),
            "processor_ms_large": round(median(work[large]), 3),
            "processor_ms_small": round(median(work[small]), 3),
        },
    )
