"""Whether many open exceptions and a long history make the first screens slower."""

import time
from statistics import median

from growth import LARGE, SMALL, specification_of
from harness import BASE_DATABASE, RUNS, Bench, Figure, figure, milliseconds

from hubtools.rpc import Rpc
from hubtools.settings import BENCH_DATABASE

SMALL_DATABASE = f"{BENCH_DATABASE}_desk_small"
LARGE_DATABASE = f"{BENCH_DATABASE}_desk_large"
#: Exceptions that are open.
FEW, MANY = 1_000, 200_000
#: Share of the deliveries that arrived; the others wait.
DELIVERED = 0.99
#: Looks that make one measurement (their median).
LOOKS = 9
#: What Odoo's web client asks of a list: rows of a page, and how far it counts.
PAGE_SIZE, COUNT_LIMIT = 80, 10_001
MODEL = "finance.exception"
#: What people group by, as the search view names it.
GROUP_BY = "severity"


def desk_growth(bench: Bench) -> Figure:
    """The desk's first page and the dashboard with much behind them over little."""
    sizes = {
        SMALL_DATABASE: (FEW, SMALL),
        LARGE_DATABASE: (
            bench.scaled(MANY, 20_000),
            bench.scaled(LARGE, 200_000),
        ),
    }
    with bench.hub_stopped():
        for database, (exceptions, events) in sizes.items():
            bench.copy_database(database, BASE_DATABASE)
            _fill(bench, database, exceptions, events)
        seen = _look(bench)

    def ratio(pairs) -> float:
        return median(large / small for large, small in pairs)

    many, long = sizes[LARGE_DATABASE]
    # Adding up groups reads every open exception: it is shown, and no first page.
    screens = {name: seen[name] for name in ("page", "dashboard")}
    worst = max(screens, key=lambda name: ratio(screens[name]))
    return figure(
        "desk_growth",
        "ms",
        screens[worst],
        f"{many} open exceptions and {long} events, 1 % of whose deliveries wait; "
        f"reference: {FEW} and {SMALL}. The desk's first {PAGE_SIZE} rows with all "
        f"columns and the count up to {COUNT_LIMIT}, as the web client asks for them; "
        f"the dashboard's data; median of {LOOKS}; the worse of the two: {worst}. "
        f"Beside them, in no goal: the counts and sums by {GROUP_BY} that a person who "
        "groups the list gets",
        {
            name: {
                "large_ms": median(large for large, _small in pairs),
                "small_ms": median(small for _large, small in pairs),
                "ratio": round(ratio(pairs), 4),
            }
            for name, pairs in seen.items()
        },
    )


def _fill(bench: Bench, database: str, exceptions: int, events: int) -> None:
    began = time.monotonic()
    endpoint = bench.model_endpoint.id
    with bench.loader(database) as loader:
        loader.forget_deliveries()
        loader.load(bench.model, events, [endpoint], delivered=DELIVERED, small=True)
        loader.load_exceptions(exceptions, endpoint)
        loader.settle()
        loader.resume([endpoint])
    print(f"  {exceptions} and {events} made in {time.monotonic() - began:.0f} s")


def _look(bench: Bench) -> dict[str, list[tuple[float, float]]]:
    """Return pairs of milliseconds (large, small) of each thing that is asked for."""
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
        screens = [
            _Screens(Rpc(role.url, database, "hub_operator", "hub_operator"))
            for database in (LARGE_DATABASE, SMALL_DATABASE)
        ]
        return _measure(screens, bench.scaled(LOOKS, 4))
    finally:
        role.stop()


def _measure(screens: list["_Screens"], looks: int) -> dict:
    found: dict[str, list] = {}
    for screen in screens:
        for _warm in range(4):
            screen.look()
    for _run in range(RUNS):
        times: list[dict[str, list]] = [{}, {}]
        for _number in range(looks):
            for screen, kept in zip(screens, times, strict=True):
                for name, took in screen.look().items():
                    kept.setdefault(name, []).append(took)
        for name in times[0]:
            pair = tuple(milliseconds(median(kept[name])) for kept in times)
            found.setdefault(name, []).append(pair)
            print(f"  {name}: large {pair[0]} ms, small {pair[1]} ms")
    return found


class _Screens:
    """One database's screens, as the web client loads them."""

    def __init__(self, client: Rpc):
        self._client = client
        views = client.call(MODEL, "get_views", views=[[False, "list"]])
        self._specification = specification_of(MODEL, views)
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        # “To Solve” and “Not Snoozed”, with which the desk's menu opens.
        self._domain = [
            "&",
            ("is_open", "=", True),
            "|",
            ("snoozed_until", "=", False),
            ("snoozed_until", "<=", now),
        ]

    def look(self) -> dict[str, float]:
        """Load everything once.

        :return: seconds of the desk's ``page`` and ``groups``, and of the ``dashboard``
        """
        return {
            "page": self._timed(self._page),
            "groups": self._timed(self._groups),
            "dashboard": self._timed(self._dashboard),
        }

    @staticmethod
    def _timed(ask) -> float:
        began = time.perf_counter()
        ask()
        return time.perf_counter() - began

    def _page(self) -> None:
        page = self._client.call(
            MODEL,
            "web_search_read",
            domain=self._domain,
            specification=self._specification,
            offset=0,
            order="",
            limit=PAGE_SIZE,
            count_limit=COUNT_LIMIT,
        )
        if len(page["records"]) != PAGE_SIZE:
            raise RuntimeError(f"A page has {len(page['records'])} rows.")

    def _groups(self) -> None:
        groups = self._client.call(
            MODEL,
            "web_read_group",
            domain=self._domain,
            groupby=[GROUP_BY],
            aggregates=[
                "amount:sum",
                "currency_id:array_agg_distinct",
                "amount:sum_currency",
            ],
        )
        if groups["length"] < 2:
            raise RuntimeError(f"Grouping found {groups['length']} groups.")

    def _dashboard(self) -> None:
        data = self._client.call("finance.dashboard", "load", "day")
        if not data["urgent"]:
            raise RuntimeError("The dashboard shows no exception.")
