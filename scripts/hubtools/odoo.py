"""Odoo: where it is, how it is configured, how it is run.

A *role* is one use of Odoo (the demo, the tests, the system tests) with its own
database, ports, data folder, configuration file and log.
"""

import configparser
import os
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .cluster import Cluster
from .console import note
from .process import Background, http_ok, require_port, run, wait_until
from .settings import (
    ALLOWED_NETWORKS,
    ODOO_SERIES,
    PG_ROLE,
    QUEUE_JOB_CHANNELS,
    START_TIMEOUT,
    HubError,
    Settings,
)

_CHECK = """
import importlib.util, os, sys
import odoo.release
print(odoo.release.series)
print(os.pathsep.join(
    os.path.join(folder, "odoo", "addons") for folder in sys.path if folder
))
"""


#: The advisory lock by which queue_job's runner claims a database
#: (``PG_ADVISORY_LOCK_ID`` in its ``jobrunner/runner.py``).
RUNNER_LOCK = 2293787760715711918


@dataclass(frozen=True)
class Odoo:
    """An Odoo that can be run: its Python, its start script, its addons paths."""

    settings: Settings
    python: Path
    script: Path
    given: bool

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.python), str(self.script), *map(str, arguments)]

    def _ask(self) -> tuple[str, list[Path]]:
        """Odoo's series, and the folders of addons on its Python's path."""
        output = run(
            [self.python, "-c", _CHECK],
            what=f"asking {self.script} for its version",
            cwd=Path("/"),
            env={"PYTHONPATH": self._python_path},
            hint=(
                "HUB_ODOO must name an Odoo 19, and HUB_PYTHON the Python that has "
                "what this Odoo needs."
            ),
        )
        lines = output.strip().splitlines()
        return lines[-2], [Path(part) for part in lines[-1].split(os.pathsep)]

    @property
    def _python_path(self) -> str:
        """A source tree is imported from its folder; a package needs no help."""
        paths = [os.environ.get("PYTHONPATH", "")]
        if self.given and (self.script.parent / "odoo" / "release.py").exists():
            paths.insert(0, str(self.script.parent))
        return os.pathsep.join(filter(None, paths))

    def check(self) -> None:
        """Make sure that this is Odoo 19 and that queue_job can be found.

        :raise HubError: when it is not, or not to be found
        """
        if not self.given:
            # Pinned and unpacked by the set-up itself.
            return
        series, _folders = self._ask()
        if series != ODOO_SERIES:
            raise HubError(f"HUB_ODOO={self.script} is Odoo {series}, not 19.0.")
        self.addons_path()
        note(f"using Odoo {series} of {self.script}")

    def addons_path(self) -> list[Path]:
        """The folders of addons, ours first; Odoo adds its own by itself.

        :raise HubError: when queue_job is in none of them
        """
        settings = self.settings
        paths = [settings.addons, *map(Path, settings.addons_path)]
        if self.given:
            if (self.script.parent / "addons").is_dir():
                paths.append(self.script.parent / "addons")
            _series, folders = self._ask()
            paths += [folder for folder in folders if folder.is_dir()]
        # The copy out of our lock file, unless the given Odoo brings its own.
        paths += sorted(
            (settings.venv / "lib").glob("python3*/site-packages/odoo/addons")
        )
        paths = list(dict.fromkeys(paths))
        if not any((path / "queue_job" / "__manifest__.py").exists() for path in paths):
            raise HubError(
                "queue_job is in none of the addons paths "
                f"({', '.join(map(str, paths))}). Name the one that has it in "
                "HUB_ADDONS_PATH."
            )
        return [path for path in paths if path.is_dir()]


def find_odoo(settings: Settings) -> Odoo:
    """The Odoo to use: the one that ``HUB_ODOO`` names, else the unpacked one.

    :raise HubError: when the named one is not there
    """
    if not settings.odoo:
        script = settings.prefix / "usr" / "bin" / "odoo"
        return Odoo(settings, settings.venv_python, script, given=False)
    script = settings.odoo
    if script.is_dir():
        names = ("odoo-bin", "bin/odoo", "setup/odoo")
        found = [script / name for name in names if (script / name).exists()]
        if not found:
            raise HubError(f"HUB_ODOO={script} holds none of: {', '.join(names)}.")
        script = found[0]
    if not script.exists():
        raise HubError(f"HUB_ODOO={script} does not exist.")
    return Odoo(settings, settings.python or _python_of(script), script, given=True)


def _python_of(script: Path) -> Path:
    """The Python that a start script names in its first line."""
    with script.open(errors="replace") as stream:
        first = stream.readline().removeprefix("#!").split()
    if len(first) == 1 and "python" in first[0] and Path(first[0]).exists():
        return Path(first[0])
    return Path(shutil.which("python3") or "python3")


@dataclass
class OdooRole:
    """One use of Odoo.

    :param name: names its configuration, data folder and log
    :param database: the only database it serves
    :param port: its HTTP port; the next one or two are taken, too
    :param port_variable: the variable that moves the port
    :param workers: HTTP workers; 0 for one threaded process
    :param front: put the front door on ``port``, so that a browser finds pages and
        websockets at one address; without it ``port`` is that of the workers
    :param extra: more options of the configuration file
    :param extra_env: more variables of the server's environment
    """

    settings: Settings
    name: str
    database: str
    port: int
    port_variable: str
    workers: int
    front: bool = False
    channels: str = QUEUE_JOB_CHANNELS
    extra: dict[str, str] = field(default_factory=dict)
    extra_env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.odoo = find_odoo(self.settings)
        self.background = Background(
            f"Odoo ({self.name})",
            self.settings.run / f"odoo-{self.name}.json",
            self.log,
        )
        self.door = Background(
            f"front door ({self.name})",
            self.settings.run / f"front-{self.name}.json",
            self.settings.logs / f"front-{self.name}.log",
        )

    # === CONFIGURATION === #
    @property
    def web_port(self) -> int:
        """The port of Odoo's workers; the websocket's is the next one."""
        return self.port + 1 if self.front else self.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.settings.logs / f"odoo-{self.name}.log"

    @property
    def config_file(self) -> Path:
        return self.settings.home / f"odoo-{self.name}.conf"

    @property
    def data(self) -> Path:
        return self.settings.data(self.name)

    @property
    def env(self) -> dict[str, str]:
        """What the server's environment has beside the present one."""
        variables = {
            "FINANCE_HUB_ALLOWED_NETWORKS": ALLOWED_NETWORKS,
            # Nothing of the person's own database settings may leak in.
            "PGHOST": str(self.settings.pg_socket),
            "PGPORT": str(self.settings.pg_port),
            "PGUSER": PG_ROLE,
            "PGPASSWORD": "",
            # queue_job's runner calls its own server over HTTP.
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **self.extra_env,
        }
        if self.odoo._python_path:
            variables["PYTHONPATH"] = self.odoo._python_path
        return variables

    def write_config(self) -> Path:
        """Write the configuration file; only its owner may read it."""
        settings = self.settings
        old = configparser.RawConfigParser()
        old.read(self.config_file)
        options = {
            "addons_path": ",".join(map(str, self.odoo.addons_path())),
            "admin_passwd": old.get(
                "options", "admin_passwd", fallback=secrets.token_urlsafe(24)
            ),
            "data_dir": str(self.data),
            "db_host": str(settings.pg_socket),
            "db_port": str(settings.pg_port),
            "db_user": PG_ROLE,
            "db_name": self.database,
            "dbfilter": f"^{self.database}$",
            "db_maxconn": "32",
            "list_db": "False",
            "proxy_mode": "False",
            "http_interface": "127.0.0.1",
            "http_port": str(self.web_port),
            "gevent_port": str(self.web_port + 1),
            "server_wide_modules": "base,web,queue_job",
            "workers": str(self.workers),
            "max_cron_threads": "1",
            "limit_time_real": "120",
            "limit_time_cpu": "60",
            "log_handler": ":INFO,werkzeug:WARNING",
            **self.extra,
        }
        parser = configparser.RawConfigParser()
        parser["options"] = options
        parser["queue_job"] = {
            "channels": self.channels,
            "scheme": "http",
            "host": "127.0.0.1",
            "port": str(self.web_port),
        }
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.config_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            os.fchmod(stream.fileno(), 0o600)
            parser.write(stream)
        return self.config_file

    # === RUNNING === #
    def run(self, *arguments: str, what: str, log: Path | None = None) -> None:
        """Run Odoo to its end (install, update) without serving anybody."""
        self.write_config()
        run(
            self.odoo.command(
                "-c",
                self.config_file,
                "-d",
                self.database,
                "--workers=0",
                "--max-cron-threads=0",
                "--no-http",
                "--stop-after-init",
                *arguments,
            ),
            what=what,
            env=self.env,
            cwd=self.settings.home,
            log=log or self.settings.logs / f"odoo-{self.name}-install.log",
        )

    def shell(self, script: str, what: str) -> str:
        """Run Python with ``env`` of the database; it must commit by itself."""
        self.write_config()
        return run(
            self.odoo.command(
                "shell",
                "-c",
                self.config_file,
                "-d",
                self.database,
                "--no-http",
                "--workers=0",
                "--max-cron-threads=0",
            ),
            what=what,
            script=script,
            env=self.env,
            cwd=self.settings.home,
        )

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start the server in the background and wait until it answers."""
        if not self.background.pid:
            for number in (self.web_port, self.web_port + 1):
                require_port(number, self.port_variable, f"Odoo ({self.name})")
            self.write_config()
            self.background.start(
                self.odoo.command("-c", self.config_file), self.env, self.settings.home
            )
        health = f"http://127.0.0.1:{self.web_port}/web/health"
        self.background.wait_ready(lambda: http_ok(health), timeout)
        if self.front and not self.door.pid:
            require_port(self.port, self.port_variable, f"Odoo ({self.name})")
            script = Path(__file__).resolve().parents[1] / "front.py"
            self.door.start(
                [
                    sys.executable,
                    script,
                    f"--port={self.port}",
                    f"--web={self.web_port}",
                    f"--websocket={self.web_port + 1}",
                ],
                cwd=self.settings.home,
            )
            self.door.wait_ready(lambda: http_ok(f"{self.url}/web/health"), 30)

    def stop(self) -> bool:
        """End the server (and its front door).

        :return: whether it was running
        """
        self.door.stop(timeout=5)
        return self.background.stop()

    def wait_runner(self, timeout: float = 60) -> None:
        """Wait until queue_job's runner has the database.

        The runner listens on the database and holds an advisory lock there; jobs
        created before that wait for it.

        :raise HubError: when it does not come up
        """
        cluster = Cluster(self.settings)
        query = (
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            f"WHERE l.locktype = 'advisory' AND d.datname = '{self.database}' "
            "AND l.granted AND (l.classid::bigint << 32 | l.objid::bigint) = "
            f"{RUNNER_LOCK}"
        )
        if not wait_until(lambda: cluster.value(query) != "0", timeout, pause=0.3):
            raise HubError(f"queue_job's runner did not start; see {self.log}")
