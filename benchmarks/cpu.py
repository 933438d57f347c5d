"""What the parts of a running system spend of the processors' time."""

from contextlib import closing

import psutil
import psycopg2
from harness import Bench

from hubtools.settings import PG_SUPERUSER


class CpuTimes:
    """Seconds of processor time that the hub, PostgreSQL and the sink have used.

    With two processors, what they need together for one delivery sets the limit,
    whatever waits for what.
    """

    def __init__(self, bench: Bench):
        self._roots = {
            "hub": bench.hub.role.background.pid,
            "database": _postmaster(bench),
            "receiver": bench.sink.pid,
        }

    def read(self) -> dict[str, float]:
        """Return the seconds so far, of each part."""
        return {part: _seconds(pid) for part, pid in self._roots.items()}

    def since(self, before: dict[str, float]) -> dict[str, float]:
        """Return the seconds of each part since an earlier reading."""
        return {part: now - before[part] for part, now in self.read().items()}


def _seconds(pid: int) -> float:
    root = psutil.Process(pid)
    # Of children that have ended the parent keeps the sum.
    total = root.cpu_times()
    seconds = sum(total[:4])
    for child in root.children(recursive=True):
        try:
            seconds += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return seconds


def _postmaster(bench: Bench) -> int:
    with closing(
        psycopg2.connect(
            host=str(bench.settings.pg_socket),
            port=bench.settings.pg_port,
            user=PG_SUPERUSER,
            dbname=PG_SUPERUSER,
        )
    ) as connection:
        return psutil.Process(connection.info.backend_pid).ppid()
