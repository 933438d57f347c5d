"""Whether a long history makes the hub slower."""

import time
import xml.etree.ElementTree as ET
from statistics import median

from harness import BASE_DATABASE, RUNS, Bench, Figure, Probe, figure, milliseconds

from hubtools.rpc import Rpc
from hubtools.settings import BENCH_DATABASE

SMALL_DATABASE = f"{BENCH_DATABASE}_small"
LARGE_DATABASE = f"{BENCH_DATABASE}_large"
SMALL, LARGE = 10_000, 5_000_000
#: Share of the deliveries that are done; the others wait and are due.
DELIVERED = 0.6
PER_DOCUMENT = 2
#: Claims, and first pages, that make one measurement (their median).
CLAIMS, PAGES = 8, 9
#: What Odoo's web client asks of a list: rows of a page, and how far it counts.
PAGE_SIZE, COUNT_LIMIT = 80, 10_001


def claim_growth(bench: Bench) -> Figure:
    """Claiming a batch of deliveries in a long table over a short one."""
    return _grown(bench)["claim_growth"]


def list_growth(bench: Bench) -> Figure:
    """The first page of events and of deliveries, the same."""
    return _grown(bench)["list_growth"]


def _grown(bench: Bench) -> dict[str, Figure]:
    if "growth" not in bench.measured:
        bench.measured["growth"] = _measure(bench)
    return bench.measured["growth"]


def _measure(bench: Bench) -> dict[str, Figure]:
    sizes = {SMALL_DATABASE: SMALL, LARGE_DATABASE: bench.scaled(LARGE, 200_000)}
    with bench.hub_stopped():
        took = {}
        for database, count in sizes.items():
            bench.copy_database(database, BASE_DATABASE)
            took[database] = _fill(bench, database, count)
        about = (
            f"{sizes[LARGE_DATABASE]} events with one delivery each, "
            f"{1 - DELIVERED:.0%} of them due at one endpoint, {PER_DOCUMENT} to a "
            f"document; reference: {SMALL}"
        )
        return {
            "claim_growth": _claims(bench, about, took[LARGE_DATABASE]),
            "list_growth": _lists(bench, about),
        }


def _fill(bench: Bench, database: str, count: int) -> float:
    began = time.monotonic()
    endpoint = bench.model_endpoint.id
    with bench.loader(database) as loader:
        loader.forget_deliveries()
        loader.load(
            bench.model,
            count,
            [endpoint],
            delivered=DELIVERED,
            per_document=PER_DOCUMENT,
            small=True,
        )
        loader.settle()
        loader.resume([endpoint])
    took = time.monotonic() - began
    print(f"  {count} events and deliveries made in {took:.0f} s")
    return took


# === CLAIMS === #
def _claims(bench: Bench, about: str, took: float) -> Figure:
    claims = bench.scaled(CLAIMS, 4)
    rows = set()
    with (
        Probe(bench.role(LARGE_DATABASE)) as large,
        Probe(bench.role(SMALL_DATABASE)) as small,
    ):
        pairs = []
        for _run in range(RUNS):
            pair = []
            for probe in (large, small):
                seen = probe.ask("claim", count=claims)
                rows.update(seen["rows"])
                pair.append(milliseconds(median(seen["seconds"])))
            print(f"  claim: large {pair[0]} ms, small {pair[1]} ms")
            pairs.append(tuple(pair))
    return figure(
        "claim_growth",
        "ms",
        pairs,
        f"the dispatcher claims {claims} batches, median; {about}",
        {"rows_of_a_claim": sorted(rows), "seconds_to_make_the_rows": round(took)},
    )


# === LISTS === #
def _lists(bench: Bench, about: str) -> Figure:
    pages = bench.scaled(PAGES, 4)
    both = f"{SMALL_DATABASE},{LARGE_DATABASE}"
    role = bench.role(
        SMALL_DATABASE,
        workers=2,
        # Nothing may begin to deliver.
        extra={
            "db_name": both,
            "dbfilter": f"^({both.replace(',', '|')})$",
            "server_wide_modules": "base,web",
            "max_cron_threads": "0",
        },
    )
    role.start()
    try:
        clients = [
            Rpc(role.url, database, "hub_operator", "hub_operator", timeout=300)
            for database in (LARGE_DATABASE, SMALL_DATABASE)
        ]
        found = {
            model: _pages(model, clients, pages)
            for model in ("finance.event", "finance.delivery")
        }
    finally:
        role.stop()

    def ratio(pairs) -> float:
        return median(large / small for large, small in pairs)

    worst = max(found, key=lambda model: ratio(found[model]))
    return figure(
        "list_growth",
        "ms",
        found[worst],
        f"first page of {PAGE_SIZE} rows with all columns of the list, and the count "
        f"up to {COUNT_LIMIT}, as the web client asks for it, median of {pages}; "
        f"{about}; the worse list of the two: {worst}",
        {
            model: {
                "large_ms": median(large for large, _small in pairs),
                "small_ms": median(small for _large, small in pairs),
                "ratio": round(ratio(pairs), 4),
            }
            for model, pairs in found.items()
        },
    )


def _pages(model: str, clients: list[Rpc], pages: int) -> list[tuple[float, float]]:
    views = clients[0].call(model, "get_views", views=[[False, "list"]])
    specification = specification_of(model, views)
    for client in clients:
        for _number in range(4):
            _page(client, model, specification)
    pairs = []
    for _run in range(RUNS):
        seen: list[list[float]] = [[], []]
        for _number in range(pages):
            for client, times in zip(clients, seen, strict=True):
                times.append(_page(client, model, specification))
        pairs.append(tuple(milliseconds(median(times)) for times in seen))
        print(f"  {model}: large {pairs[-1][0]} ms, small {pairs[-1][1]} ms")
    return pairs


def _page(client: Rpc, model: str, specification: dict) -> float:
    began = time.perf_counter()
    page = client.call(
        model,
        "web_search_read",
        domain=[],
        specification=specification,
        offset=0,
        order="",
        limit=PAGE_SIZE,
        count_limit=COUNT_LIMIT,
    )
    took = time.perf_counter() - began
    if len(page["records"]) != PAGE_SIZE:
        raise RuntimeError(f"A page of {model} has {len(page['records'])} rows.")
    return took


def specification_of(model: str, views: dict) -> dict:
    """What the web client reads for the list view of a model.

    :param views: what ``get_views`` answers
    """
    fields = views["models"][model]["fields"]
    specification = {}
    for node in ET.fromstring(views["views"]["list"]["arch"]).iter("field"):
        name = node.get("name")
        relation = fields[name]["type"] in ("many2one", "one2many", "many2many")
        specification[name] = {"fields": {"display_name": {}}} if relation else {}
    return specification
