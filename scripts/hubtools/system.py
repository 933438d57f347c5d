"""Helpers of the system tests and benchmarks: a real server to do things to.

``Hub`` is an Odoo with workers, queue_job's runner and a database of its own;
``Receiver`` (of ``receiving``) is the other side. Both can be killed as by a power
cut. This module runs inside the virtual environment (it uses psycopg2).
"""

from collections.abc import Sequence
from contextlib import contextmanager

import psycopg2
import psycopg2.extras

from .cluster import Cluster
from .databases import Databases
from .odoo import OdooRole
from .process import wait_until
from .receiving import Receiver
from .rpc import Rpc
from .settings import (
    BENCH_DATABASE,
    PG_ROLE,
    QUEUE_JOB_CHANNELS,
    START_TIMEOUT,
    SYSTEM_DATABASE,
    Settings,
)

#: Both have the same ports: they are never run at once.
SYSTEM, BENCH = "system", "bench"
_DATABASES = {SYSTEM: SYSTEM_DATABASE, BENCH: BENCH_DATABASE}

#: Logins of the demo data.
ADMINISTRATOR = "hub_admin"


class Hub:
    """A real Odoo server with the addon, on its own database and ports.

    :param name: ``system`` or ``bench``: its database, files and log
    :param workers: HTTP workers
    :param channels: channels of queue_job
    :param extra: more options of Odoo's configuration file
    :param extra_env: more variables of the server's environment
    """

    def __init__(
        self,
        settings: Settings | None = None,
        name: str = SYSTEM,
        *,
        workers: int | None = None,
        channels: str = QUEUE_JOB_CHANNELS,
        extra: dict[str, str] | None = None,
        extra_env: dict[str, str] | None = None,
    ):
        self.settings = settings or Settings.read()
        self.role = OdooRole(
            self.settings,
            name,
            _DATABASES[name],
            self.settings.system_port,
            "HUB_SYSTEM_PORT",
            workers=self.settings.workers if workers is None else workers,
            channels=channels,
            extra=extra or {},
            extra_env=extra_env or {},
        )
        self.databases = Databases(self.settings)
        self._clients: dict[tuple[str, str], Rpc] = {}

    # === WHAT IT IS === #
    @property
    def url(self) -> str:
        return self.role.url

    @property
    def database(self) -> str:
        return self.role.database

    @property
    def running(self) -> bool:
        return bool(self.role.background.pid)

    @property
    def log(self) -> str:
        """The server's whole log as text."""
        return (
            self.role.log.read_text(errors="replace") if self.role.log.exists() else ""
        )

    # === DATABASE === #
    def create_database(self) -> None:
        """Make the database anew, with demo data, chart of accounts and addon."""
        self.stop()
        Cluster(self.settings).start()
        template = self.databases.addon_template()
        self.databases.copy(template, self.database, self.role)
        self._clients.clear()

    def drop_database(self) -> None:
        self.stop()
        self.databases.drop(self.database, self.role)

    @contextmanager
    def connection(self):
        """A database connection of its own, in autocommit; closed at the end."""
        connection = psycopg2.connect(
            host=str(self.settings.pg_socket),
            port=self.settings.pg_port,
            user=PG_ROLE,
            dbname=self.database,
        )
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    def sql(self, query: str, parameters: Sequence = ()) -> list[dict]:
        """Run SQL beside the server; the rows as dictionaries, if it has any."""
        with (
            self.connection() as connection,
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
        ):
            cursor.execute(query, parameters or None)
            return [dict(row) for row in cursor] if cursor.description else []

    def value(self, query: str, parameters: Sequence = ()):
        """The first value of a query; None when there is no row."""
        rows = self.sql(query, parameters)
        return next(iter(rows[0].values())) if rows else None

    # === LIFE === #
    def start(self, *, runner: bool = True, timeout: float = START_TIMEOUT) -> None:
        """Start the server, and wait until it answers and its runner is ready."""
        self.role.log.unlink(missing_ok=True)
        self.resume(runner=runner, timeout=timeout)

    def resume(self, *, runner: bool = True, timeout: float = START_TIMEOUT) -> None:
        """Start it without emptying its log."""
        self.role.start(timeout)
        if runner:
            self.role.wait_runner(timeout)

    def stop(self) -> None:
        """End the server politely, and wait for it."""
        self.role.stop()

    def kill(self) -> None:
        """End the server and all its workers with SIGKILL, as a power cut would."""
        self.role.background.kill()

    def restart(self, **options) -> None:
        """Stop (or find killed) and start again, on the same database."""
        self.stop()
        self.resume(**options)

    # === TALKING TO IT === #
    def rpc(self, login: str = ADMINISTRATOR, password: str | None = None) -> Rpc:
        """A client of the external API; the password is the login by default."""
        key = (login, password or login)
        if key not in self._clients:
            self._clients[key] = Rpc(self.url, self.database, *key)
        return self._clients[key]

    @staticmethod
    def wait_until(condition, timeout: float = 60, pause: float = 0.2) -> bool:
        """Ask again and again until a condition holds or the time is over."""
        return wait_until(condition, timeout, pause)


def system_receiver(settings: Settings | None = None, name: str = SYSTEM) -> Receiver:
    """The receiver of the system tests or benchmarks."""
    settings = settings or Settings.read()
    return Receiver(
        settings, name, settings.system_receiver_port, "HUB_SYSTEM_RECEIVER_PORT"
    )
