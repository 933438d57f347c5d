"""What the benchmarks share: the server, the loads, the machine, the result file."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from hubtools.mainjob import WAREHOUSE, Desk
from hubtools.rpc import Rpc
from hubtools.settings import Settings
from hubtools.system import BENCH, Hub, system_receiver

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"

# The runner may keep four jobs busy at once; the hub itself needs one.
CHANNELS = (
    "root:4,root.finance_hub:2,root.finance_hub.dispatch:1,"
    "root.finance_hub.inbox:1,root.bench:4"
)


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its reference, both of this run.

    :ivar value: median of the hub's measurements
    :ivar reference: median of the reference's measurements, in the same unit
    :ivar ratio: value over reference
    :ivar spread: lowest and highest ratio of the runs' pairs
    """

    name: str
    unit: str
    value: float
    reference: float
    ratio: float
    spread: tuple[float, float]
    runs: int
    load: str


def figure(name: str, unit: str, pairs: list[tuple[float, float]], load: str) -> Figure:
    """Sum up pairs of (value, reference) that were measured in turn."""
    values, references = zip(*pairs, strict=True)
    ratios = sorted(value / reference for value, reference in pairs)
    value, reference = statistics.median(values), statistics.median(references)
    return Figure(
        name,
        unit,
        round(value, 3),
        round(reference, 3),
        round(statistics.median(ratios), 3),
        (round(ratios[0], 3), round(ratios[-1], 3)),
        len(pairs),
        load,
    )


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
        "load_before": list(os.getloadavg()),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def write(figures: list[Figure], about: dict) -> None:
    """Write the result file and print the table."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [
        {**asdict(entry), "machine": about, "measured_at": now} for entry in figures
    ]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    heading = ("figure", "unit", "value", "reference", "ratio", "spread")
    print(
        f"\n{heading[0]:28} {heading[1]:12} {heading[2]:>12} {heading[3]:>12} "
        f"{heading[4]:>8}  {heading[5]}"
    )
    for entry in figures:
        low, high = entry.spread
        print(
            f"{entry.name:28} {entry.unit:12} {entry.value:12.3f} "
            f"{entry.reference:12.3f} {entry.ratio:8.2f}  {low:.2f} to {high:.2f}"
        )


class Bench:
    """A server of its own with the benchmark addon, and a receiver that is quick."""

    def __init__(self):
        paths = [str(HERE / "addons"), os.environ.get("HUB_ADDONS_PATH", "")]
        os.environ["HUB_ADDONS_PATH"] = ",".join(filter(None, paths))
        self.settings = Settings.read()
        self.hub = Hub(self.settings, BENCH, channels=CHANNELS)
        self.receiver = system_receiver(self.settings, BENCH)

    def __enter__(self):
        self.hub.create_database()
        self.hub.role.run(
            "--init", "finance_hub_bench", what="installing the benchmark addon"
        )
        self.receiver.stop()
        self.receiver.secrets_file.unlink(missing_ok=True)
        self.receiver.start(quiet=True)
        self.hub.start()
        self.desk = Desk(
            self.hub.url,
            self.hub.database,
            self.receiver,
            self.settings.run / "bench-secrets.json",
        )
        self.desk.go_live()
        self.admin: Rpc = self.hub.rpc("admin")
        return self

    def __exit__(self, *_error):
        self.hub.drop_database()
        self.receiver.stop()

    # === LOADS === #

    def drafts(self, number: int, chunk: int = 250) -> list[int]:
        """Create draft invoices, in transactions of ``chunk``."""
        partner = self.admin.search("res.partner", [("customer_rank", ">", 0)], limit=1)
        ids: list[int] = []
        while len(ids) < number:
            values = {
                "move_type": "out_invoice",
                "partner_id": partner[0],
                "invoice_date": "2026-01-15",
                "invoice_line_ids": [
                    (0, 0, {"name": "Load", "quantity": 1, "price_unit": 10.0})
                ],
            }
            batch = [values] * min(chunk, number - len(ids))
            ids += self.admin.call("account.move", "create", batch)
        return ids

    def post(self, ids: list[int]) -> float:
        """Post invoices in one transaction; the moment of its commit."""
        run = self.admin.call("finance.bench", "post", ids)
        return float(
            self.hub.value(
                "SELECT committed_at FROM finance_bench WHERE id = %s", [run]
            )
        )

    def last_arrival(self, number: int, timeout: float) -> float:
        """Wait until so many different events arrived; the moment of the last one."""
        complete = self.hub.wait_until(
            lambda: self.receiver.counts()["unique"] >= number, timeout, pause=0.5
        )
        if not complete:
            raise RuntimeError(
                f"{self.receiver.counts()['unique']} of {number} events arrived "
                f"within {timeout} s"
            )
        newest = self.receiver.received(limit=str(10 * number))["items"]
        return max(item["time"] for item in newest)


__all__ = ["WAREHOUSE", "Bench", "Figure", "figure", "machine", "write"]
