"""What is measured beside what, what it has to reach, and how it is written down."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
#: Pairs of measurements of each figure.
RUNS = 3


@dataclass(frozen=True)
class Goal:
    """What a ratio has to reach."""

    bound: float
    at_most: bool

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"

    def met(self, ratio: float) -> bool:
        return ratio <= self.bound if self.at_most else ratio >= self.bound


def at_most(bound: float) -> Goal:
    return Goal(bound, True)


def at_least(bound: float) -> Goal:
    return Goal(bound, False)


GOALS = {
    "capture_overhead": at_most(0.02),
    "capture_overhead_bulk": at_most(0.03),
    "delivery_vs_bare_client": at_least(0.80),
    "delivery_vs_requests_loop": at_least(2),
    "delivery_vs_job_per_event": at_least(15),
    "slow_endpoints": at_least(0.90),
    "idle_latency": at_most(1.5),
    "transactions_per_delivery": at_most(0.1),
    "fanout_20": at_most(3),
    "lane_isolation": at_most(3),
    "slow_neighbour": at_least(0.85),
    "claim_growth": at_most(1.5),
    "list_growth": at_most(1.5),
    "desk_growth": at_most(1.5),
    "inbound_vs_null": at_least(0.60),
    "inbound_processing_vs_loop": at_least(0.80),
    "dedupe_flood": at_most(1),
    "camt_linearity": at_most(1.2),
    "audit_overhead": at_most(1.03),
}


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its reference, both of this run.

    :ivar value: median of the hub's measurements
    :ivar reference: median of the reference's measurements, in the same unit
    :ivar ratio: median of the pairs' ratios
    :ivar spread: lowest and highest ratio of the pairs
    :ivar load: what was done, in words
    :ivar met: whether the goal is reached, and what else the figure promises
    :ivar detail: what else was seen
    """

    name: str
    unit: str
    value: float
    reference: float
    ratio: float
    spread: tuple[float, float]
    runs: int
    load: str
    goal: str
    met: bool
    detail: dict = field(default_factory=dict)


Pairs = Sequence[tuple[float, float]]


def figure(
    name: str,
    unit: str,
    pairs: Pairs,
    load: str,
    detail: dict | None = None,
    *,
    kept: bool = True,
) -> Figure:
    """Sum up pairs of (value, reference) that were measured in turn.

    :param kept: whether what the figure promises beside its ratio is so
    """
    values, references = zip(*pairs, strict=True)
    ratios = sorted(value / reference for value, reference in pairs)
    ratio = statistics.median(ratios)
    goal = GOALS[name]
    return Figure(
        name,
        unit,
        _digits(statistics.median(values)),
        _digits(statistics.median(references)),
        _digits(ratio),
        (_digits(ratios[0]), _digits(ratios[-1])),
        len(pairs),
        load,
        str(goal),
        goal.met(ratio) and kept,
        detail or {},
    )


def _digits(number: float) -> float:
    """Four digits that count: enough for any figure, and none that mean nothing."""
    return float(f"{number:.4g}")


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def machine() -> dict:
    """The machine, as far as it matters to the figures."""
    memory = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) // 1024
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": memory,
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def write(figures: Sequence[Figure], about: dict, path: Path, *, quick: bool) -> None:
    """Write figures into a result file; those of other names that it holds stay."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = {}
    if path.exists():
        rows = {row["name"]: row for row in json.loads(path.read_text())}
    for entry in figures:
        rows[entry.name] = {
            **asdict(entry),
            "quick": quick,
            "machine": about,
            "measured_at": now,
        }
    order = list(GOALS)
    kept = sorted(
        (row for row in rows.values() if row["name"] in GOALS),
        key=lambda row: order.index(row["name"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n")


def table(figures: Sequence[Figure]) -> str:
    """The figures for a person."""
    lines = [
        f"{'figure':26} {'unit':12} {'value':>10} {'reference':>10} {'ratio':>9}  "
        f"{'spread':20} {'goal':14} met"
    ]
    for entry in figures:
        low, high = entry.spread
        lines.append(
            f"{entry.name:26} {entry.unit:12} {entry.value:10g} "
            f"{entry.reference:10g} {entry.ratio:9g}  {f'{low:g} to {high:g}':20} "
            f"{entry.goal:14} {'yes' if entry.met else 'NO'}"
        )
    return "\n".join(lines)
