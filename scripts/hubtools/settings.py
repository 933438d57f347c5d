"""Every path, port and variable of the tools, in one documented place.

``VARIABLES`` is what ``hub.py help-variables`` (``make variables``) prints; a
variable that is not listed there is not read anywhere.
"""

import hashlib
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ADDON = "finance_hub"
ODOO_SERIES = "19.0"
MIN_PYTHON = (3, 11)

#: Debian suite that carries Odoo 19, and what is taken from it. Odoo's package
#: links into the fonts and script libraries by relative paths, so they are
#: unpacked beside it.
ODOO_SUITE = "sid"
ODOO_PACKAGE = "odoo-19"
ODOO_SUITE_PACKAGES = (
    ODOO_PACKAGE,
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-roboto-unhinted",
    "fonts-inconsolata",
    "fonts-montserrat",
    "fonts-glyphicons-halflings",
    "fonts-ocr-b",
)
#: Taken from the machine's own suite: the newer one of ``ODOO_SUITE`` no longer
#: has the files that Odoo's stylesheets link to, which would leave no icons.
STABLE_PACKAGES = ("fonts-font-awesome",)

#: The message broker of the AMQP tests, from the machine's own suite: RabbitMQ and
#: those parts of Erlang without which it does not start.
BROKER_PACKAGES = (
    "rabbitmq-server",
    "erlang-asn1",
    "erlang-base",
    "erlang-crypto",
    "erlang-eldap",
    "erlang-inets",
    "erlang-mnesia",
    "erlang-os-mon",
    "erlang-public-key",
    "erlang-ssl",
    "erlang-syntax-tools",
    "erlang-tools",
    "erlang-xmerl",
)

#: Databases. The demo's name may be changed by a variable, the others are ours.
TEST_DATABASE = "finance_hub_test"
SYSTEM_DATABASE = "finance_hub_system"
BENCH_DATABASE = "finance_hub_bench"
TEMPLATE_PREFIX = "finance_hub_tmpl_"
#: What a template holds before the addon is put on it.
TEMPLATE_MODULES = ("account", "queue_job")
CHART_OF_ACCOUNTS = "generic_coa"

#: PostgreSQL roles: the cluster's superuser and Odoo's own (Odoo refuses to run
#: as ``postgres``).
PG_SUPERUSER = "postgres"
PG_ROLE = "finance_hub"
#: The operating-system user that owns the cluster when the tools run as root
#: (PostgreSQL refuses to run as root); Debian's package creates it.
PG_OS_USER = "postgres"
#: The one that runs the broker when the tools run as root; every Debian has it.
BROKER_OS_USER = "nobody"

#: Channels of queue_job: a dispatcher for each lane (outbound) and one inbox job, all
#: at a time when there is work for all; each running job occupies a worker.
QUEUE_JOB_CHANNELS = (
    "root:4,root.finance_hub:4,root.finance_hub.dispatch:3,"
    "root.finance_hub.dispatch.critical:1,root.finance_hub.dispatch.standard:1,"
    "root.finance_hub.dispatch.bulk:1,root.finance_hub.inbox:1,"
    "root.finance_hub.replay:1"
)

#: Where events may be delivered although the address is private. Only the demo
#: and the tests say so, because their receiver is on this machine.
ALLOWED_NETWORKS = "127.0.0.0/8"

#: Seconds.
START_TIMEOUT = 120
STOP_TIMEOUT = 30

VARIABLES = {
    "HUB_HOME": "state folder (default: .hub in the checkout)",
    "HUB_CLUSTER": (
        "folder of the private PostgreSQL cluster (default: "
        "/var/tmp/finance-hub-<uid>-<hash of HUB_HOME>; it must be reachable by the "
        "user that PostgreSQL runs as, and short enough for a socket's path)"
    ),
    "HUB_PG_BIN": "folder of initdb and pg_ctl (default: the newest one found)",
    "HUB_PG_PORT": "number of the cluster's socket (default: 54369)",
    "HUB_PORT": (
        "HTTP port of the demo's Odoo (default: 8019; the next two are taken, too)"
    ),
    "HUB_RECEIVER_PORT": "HTTP port of the demo's receiver (default: 8029)",
    "HUB_TEST_PORT": "HTTP port of Odoo's own tests (default: 8039, and the next)",
    "HUB_SYSTEM_PORT": (
        "HTTP port of the Odoo of system tests and benchmarks "
        "(default: 8049, and the next)"
    ),
    "HUB_SYSTEM_RECEIVER_PORT": (
        "HTTP port of the receiver of system tests and benchmarks (default: 8059; "
        "benchmarks take the next, too)"
    ),
    "HUB_BROKER": (
        "folder of the private message broker of the AMQP tests (default: "
        "/var/tmp/finance-hub-broker-<uid>-<hash of HUB_HOME>)"
    ),
    "HUB_BROKER_PORT": (
        "AMQP port of that broker (default: 8079; the next three are taken, too)"
    ),
    "HUB_WORKERS": "HTTP workers of Odoo (default: 6)",
    "HUB_DB": "name of the demo database (default: finance_hub_demo)",
    "HUB_ODOO": (
        "an Odoo 19 that is already here: its source folder or its executable "
        "(default: none, Odoo is fetched as a package)"
    ),
    "HUB_PYTHON": (
        "the Python that runs HUB_ODOO (default: the one its executable names, "
        "else the one that runs these tools)"
    ),
    "HUB_ADDONS_PATH": "more addons paths for Odoo, with commas (default: none)",
    "HUB_TEST_TAGS": "Odoo test tags of `make test` (default: /finance_hub)",
    "HUB_LINT_FIX": "1: linters correct what they can (this is `make format`)",
    "HUB_PYTEST_ARGS": "more arguments for pytest in `make test` (default: none)",
}


class HubError(Exception):
    """A problem to be told to the person in plain words, without a traceback."""


def _port(name: str, default: int) -> int:
    """A port out of the environment, refused with its name when it is none."""
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not 1024 <= int(text) <= 65534:
        raise HubError(f"{name}={text!r} is not a port between 1024 and 65534.")
    return int(text)


def _path(name: str) -> Path | None:
    """A folder or file out of the environment, absolute; None when unset."""
    text = os.environ.get(name)
    return Path(text).expanduser().absolute() if text else None


@dataclass(frozen=True)
class Settings:
    """One reading of the environment; everything else is derived from it."""

    root: Path
    home: Path
    cluster: Path
    pg_bin: Path | None
    pg_port: int
    port: int
    receiver_port: int
    test_port: int
    system_port: int
    system_receiver_port: int
    broker: Path
    broker_port: int
    workers: int
    demo_database: str
    odoo: Path | None
    python: Path | None
    addons_path: tuple[str, ...]
    test_tags: str
    lint_fix: bool = False
    pytest_args: tuple[str, ...] = field(default=())

    @classmethod
    def read(cls) -> "Settings":
        """Read the environment.

        :raise HubError: when a variable has a value that cannot be used
        """
        root = Path(__file__).resolve().parents[2]
        home = _path("HUB_HOME") or root / ".hub"
        mark = hashlib.sha256(str(home).encode()).hexdigest()[:8]
        cluster = _path("HUB_CLUSTER") or Path(
            f"/var/tmp/finance-hub-{os.geteuid()}-{mark}"
        )
        workers = os.environ.get("HUB_WORKERS") or "6"
        if not workers.isdigit() or int(workers) < 1:
            raise HubError(f"HUB_WORKERS={workers!r} is not a number of workers.")
        return cls(
            root=root,
            home=home,
            cluster=cluster,
            pg_bin=_path("HUB_PG_BIN"),
            pg_port=_port("HUB_PG_PORT", 54369),
            port=_port("HUB_PORT", 8019),
            receiver_port=_port("HUB_RECEIVER_PORT", 8029),
            test_port=_port("HUB_TEST_PORT", 8039),
            system_port=_port("HUB_SYSTEM_PORT", 8049),
            system_receiver_port=_port("HUB_SYSTEM_RECEIVER_PORT", 8059),
            broker=_path("HUB_BROKER")
            or Path(f"/var/tmp/finance-hub-broker-{os.geteuid()}-{mark}"),
            broker_port=_port("HUB_BROKER_PORT", 8079),
            workers=int(workers),
            demo_database=os.environ.get("HUB_DB") or "finance_hub_demo",
            odoo=_path("HUB_ODOO"),
            python=_path("HUB_PYTHON"),
            addons_path=tuple(
                part.strip()
                for part in os.environ.get("HUB_ADDONS_PATH", "").split(",")
                if part.strip()
            ),
            test_tags=os.environ.get("HUB_TEST_TAGS") or f"/{ADDON}",
            lint_fix=os.environ.get("HUB_LINT_FIX", "") not in ("", "0"),
            pytest_args=tuple(shlex.split(os.environ.get("HUB_PYTEST_ARGS", ""))),
        )

    # === FOLDERS AND FILES === #
    @property
    def venv(self) -> Path:
        """The virtual environment of Odoo, the receiver and the tests."""
        return self.home / "venv"

    @property
    def venv_python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def prefix(self) -> Path:
        """Where Odoo's packages are unpacked."""
        return self.home / "odoo"

    @property
    def prefix_packages(self) -> Path:
        """The folder of the unpacked Odoo that Python imports from."""
        return self.prefix / "usr" / "lib" / "python3" / "dist-packages"

    @property
    def downloads(self) -> Path:
        return self.home / "downloads"

    @property
    def stamps(self) -> Path:
        """One file per finished step of the set-up, holding what it was made of."""
        return self.home / "stamps"

    @property
    def addons(self) -> Path:
        """An addons path of one entry: a link to the checkout, named as the addon."""
        return self.home / "addons"

    @property
    def logs(self) -> Path:
        return self.home / "log"

    @property
    def run(self) -> Path:
        """Notes about running processes."""
        return self.home / "run"

    @property
    def lint(self) -> Path:
        """The linters' own virtual environment and node modules."""
        return self.home / "lint"

    @property
    def dist(self) -> Path:
        return self.root / "dist"

    def requirements(self, name: str) -> Path:
        """One of the lock files ``run``, ``demo``, ``test``, ``dev``."""
        return self.root / "requirements" / f"{name}.txt"

    def data(self, role: str) -> Path:
        """Odoo's data folder (file store, sessions, generated key) of a role."""
        return self.home / "data" / role

    # === POSTGRESQL === #
    @property
    def pg_data(self) -> Path:
        return self.cluster / "data"

    @property
    def pg_socket(self) -> Path:
        """The folder of the cluster's only door: it does not listen on TCP."""
        return self.cluster / "socket"
