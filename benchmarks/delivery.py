"""How fast events get from the commit of a posting to the receiver."""

from harness import Bench, Figure, figure

EVENTS = 1000
RUNS = 3
# A job per event makes about a hundred a second; this is far beyond.
PATIENCE = 300


def rate(bench: Bench, *, job_per_event: bool) -> float:
    """Events per second from the commit of their posting to the last arrival."""
    bench.admin.call("finance.bench", "set_job_per_event", job_per_event)
    ids = bench.drafts(EVENTS)
    bench.receiver.clear()
    committed = bench.post(ids)
    last = bench.last_arrival(EVENTS, PATIENCE)
    found = EVENTS / (last - committed)
    kind = "one job per event" if job_per_event else "dispatcher"
    print(f"  {kind}: {found:.0f} events/s")
    return found


def delivery_vs_job_per_event(bench: Bench) -> Figure:
    """The hub's dispatcher over one queue_job job for each event."""
    pairs = [
        (rate(bench, job_per_event=False), rate(bench, job_per_event=True))
        for _run in range(RUNS)
    ]
    return figure(
        "delivery_vs_job_per_event",
        "events/s",
        pairs,
        f"{EVENTS} invoices posted in one transaction, one subscriber, receiver on "
        "loopback that verifies each signature; from commit to last arrival",
    )
