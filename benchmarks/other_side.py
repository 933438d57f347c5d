"""What a hub that is measured sends to, and the process that measures itself."""

import json
import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from figures import HERE

from hubtools.odoo import OdooRole
from hubtools.process import LOCAL, Background, http_ok, require_port
from hubtools.settings import Settings

#: Seconds until a benchmark that makes no progress gives up.
PATIENCE = 300


class Sink:
    """The quick receiver in a process of its own, see ``sink.py``."""

    def __init__(self, settings: Settings):
        # Beside the bundled receiver, which one benchmark uses.
        self.port = settings.system_receiver_port + 1
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings
        self._background = Background(
            "sink", settings.run / "sink-bench.json", settings.logs / "sink-bench.log"
        )

    def start(self) -> None:
        self.stop()
        require_port(self.port, "HUB_SYSTEM_RECEIVER_PORT", "the benchmarks' sink")
        self._background.start(
            [self._settings.venv_python, HERE / "sink.py", f"--port={self.port}"]
        )
        self._background.wait_ready(lambda: http_ok(f"{self.url}/control/health"), 30)

    @property
    def pid(self) -> int:
        return self._background.pid

    def stop(self) -> None:
        self._background.stop(timeout=5)

    def _ask(self, what: str):
        with LOCAL.open(f"{self.url}/control/{what}", timeout=30) as answer:
            return json.loads(answer.read())

    def clear(self) -> None:
        self._ask("clear")

    def drop(self) -> None:
        """Close the connections that wait for an answer."""
        self._ask("drop")

    def total(self, endpoints: "Iterable[Endpoint]") -> int:
        """How many requests came to endpoints, repeated ones included."""
        totals = self._ask("totals")
        return sum(totals.get(endpoint.path, 0) for endpoint in endpoints)

    def counts(self) -> dict[str, dict]:
        """What came by path: ``unique``, ``total``, ``first``, ``last``."""
        return self._ask("counts")

    def arrivals(self, path: str) -> list[tuple[float, str]]:
        """The moment and id of each request to a path."""
        return [tuple(entry) for entry in self._ask(f"arrivals?{path}")]

    def body(self, path: str) -> str:
        """The first body that came to a path."""
        return self._ask(f"body?{path}")["body"]

    def moment(self, path: str, identifier: str) -> float | None:
        """When a message first came to a path; None when it has not."""
        return self._ask(f"moment?{path}&{identifier}")["moment"]

    def await_total(
        self, endpoints: "Sequence[Endpoint]", number: int, timeout: float = PATIENCE
    ) -> None:
        """Wait until so many requests came to endpoints.

        :raise RuntimeError: when they do not
        """
        deadline = time.monotonic() + timeout
        while (seen := self.total(endpoints)) < number:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{seen} of {number} deliveries arrived in {timeout} s"
                )
            time.sleep(0.1)

    def last_arrival(
        self, endpoints: "Sequence[Endpoint]", number: int, timeout: float = PATIENCE
    ) -> float:
        """Wait until so many different messages came; the moment of the last one.

        :raise RuntimeError: when they do not
        """
        repeated = 0
        while True:
            self.await_total(endpoints, number + repeated, timeout)
            counts = self.counts()
            seen = [counts[endpoint.path] for endpoint in endpoints]
            unique = sum(entry["unique"] for entry in seen)
            if unique >= number:
                return max(entry["last"] for entry in seen)
            repeated = sum(entry["total"] for entry in seen) - unique


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of the hub that leads to the sink."""

    id: int
    path: str


class Probe:
    """An Odoo process that measures itself, see ``probe.py``."""

    def __init__(self, role: OdooRole):
        command = [
            *role.odoo.command()[:1],
            str(HERE / "probe.py"),
            f"--config={role.write_config()}",
            f"--database={role.database}",
        ]
        log = role.settings.logs / f"probe-{role.database}.log"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**os.environ, **role.env},
                cwd=role.settings.home,
            )
        self._log = log
        self._read()

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The probe ended; its log is {self._log}")
        return json.loads(line)

    def ask(self, what: str, **arguments) -> dict:
        """Have one command done and wait for its answer."""
        print(
            json.dumps({"do": what, **arguments}),
            file=self._process.stdin,
            flush=True,
        )
        return self._read()

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()
