"""The private PostgreSQL cluster of the demo and the tests.

It listens on a Unix socket only, inside a folder that nobody else may enter, so
"trust" is safe, no TCP port can be taken, and no other database of the machine is
touched. PostgreSQL refuses to run as root: then its own operating-system user
owns the cluster.
"""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .console import note, step
from .process import run
from .settings import PG_OS_USER, PG_ROLE, PG_SUPERUSER, HubError, Settings

#: Left on: fsync and synchronous_commit, since tests kill the server on purpose
#: and the benchmark's figures must be honest. JIT only costs on such queries.
CONFIGURATION = """\
# Written by scripts/hubtools/cluster.py at every start.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
port = {port}
max_connections = 200
shared_buffers = 256MB
effective_cache_size = 1GB
work_mem = 16MB
maintenance_work_mem = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
random_page_cost = 1.1
jit = off
log_min_messages = warning
log_line_prefix = '%m [%p] %d '
"""
_CONFIGURATION_FILE = "finance_hub.conf"
_SOCKET_PATH_LIMIT = 100
#: All that the cluster's folder may hold; nothing else is ever deleted.
_LOG = "postgresql.log"
_CONTENTS = {"data", "socket", _LOG}


def find_binaries(settings: Settings) -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None when there is none."""
    folders: Iterable[Path]
    if settings.pg_bin:
        folders = [settings.pg_bin]
    else:
        found = shutil.which("pg_ctl")
        newest = sorted(
            Path("/usr/lib/postgresql").glob("*/bin"),
            key=lambda folder: (len(folder.parent.name), folder.parent.name),
            reverse=True,
        )
        folders = [*newest, *([Path(found).resolve().parent] if found else [])]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    if settings.pg_bin:
        raise HubError(f"HUB_PG_BIN={settings.pg_bin} holds no initdb and pg_ctl.")
    return None


class Cluster:
    """The cluster of one state folder."""

    def __init__(self, settings: Settings):
        self.settings = settings

    # === HOW PROGRAMS RUN === #
    @property
    def _binaries(self) -> Path:
        found = find_binaries(self.settings)
        if not found:
            raise HubError("PostgreSQL is missing; run: make setup")
        return found

    def _identity(self) -> dict:
        """Options of ``subprocess.run`` that make a program not run as root."""
        if os.geteuid() != 0:
            return {}
        try:
            user = pwd.getpwnam(PG_OS_USER)
        except KeyError:
            raise HubError(
                f"PostgreSQL may not run as root and there is no user {PG_OS_USER}. "
                "Install the package postgresql, or run this as an ordinary user."
            ) from None
        groups = [
            group.gr_gid for group in grp.getgrall() if PG_OS_USER in group.gr_mem
        ]
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}

    def _call(self, program: str, *arguments: str | Path, what: str, **options) -> str:
        return run(
            [self._binaries / program, *arguments],
            what=what,
            cwd=Path("/"),
            env={"LC_ALL": "C.UTF-8", "PGOPTIONS": ""},
            **self._identity(),
            **options,
        )

    # === FOLDERS === #
    def _prepare_folder(self) -> None:
        """Make the cluster's folder, or make sure that the one there is ours.

        The default lies in a folder where everybody may write, so one that
        somebody else put there must not be used.
        """
        folder = self.settings.cluster
        if len(str(self.settings.pg_socket)) > _SOCKET_PATH_LIMIT:
            raise HubError(
                f"{folder} is too long for a socket; set HUB_CLUSTER to a shorter one."
            )
        identity = self._identity()
        owner = identity.get("user", os.geteuid())
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if not folder.is_dir() or folder.is_symlink() or found.st_uid != owner:
                raise HubError(
                    f"{folder} is there, but it is not a folder of the user that runs "
                    "PostgreSQL. Remove it, or set HUB_CLUSTER to another place."
                ) from None
            if {path.name for path in folder.iterdir()} - _CONTENTS:
                raise HubError(
                    f"{folder} holds other files; set HUB_CLUSTER to another place."
                ) from None
        except OSError as error:
            raise HubError(
                f"{folder} cannot be made: {error}. Set HUB_CLUSTER to another place."
            ) from error
        else:
            if identity:
                os.chown(folder, identity["user"], identity["group"])
        os.chmod(folder, 0o700)
        socket = self.settings.pg_socket
        if not socket.exists():
            socket.mkdir(mode=0o700)
            if identity:
                os.chown(socket, identity["user"], identity["group"])

    # === STATE === #
    def exists(self) -> bool:
        return (self.settings.pg_data / "PG_VERSION").exists()

    def running(self) -> bool:
        """Whether the server of this cluster runs."""
        if not self.exists() or not find_binaries(self.settings):
            return False
        done = subprocess.run(
            [self._binaries / "pg_ctl", "status", "-D", self.settings.pg_data],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
            **self._identity(),
        )
        return done.returncode == 0

    def start(self) -> None:
        """Create the cluster when there is none, and start it when it is down."""
        if self.running():
            return
        with step("Private PostgreSQL cluster"):
            self._prepare_folder()
            if not self.exists():
                self._create()
            data = self.settings.pg_data
            self._write(
                data / _CONFIGURATION_FILE,
                CONFIGURATION.format(
                    socket=self.settings.pg_socket, port=self.settings.pg_port
                ),
            )
            self._call(
                "pg_ctl",
                "start",
                "--pgdata",
                data,
                "--log",
                self.settings.cluster / _LOG,
                "--wait",
                "--timeout=60",
                "--silent",
                what="starting PostgreSQL",
                hint=f"Its log is {self.settings.cluster / _LOG}.",
                log=self._start_log,
            )
            if not self.value(f"SELECT 1 FROM pg_roles WHERE rolname = '{PG_ROLE}'"):
                self.sql(f"CREATE ROLE {PG_ROLE} LOGIN CREATEDB")
            note(f"socket {self.settings.pg_socket}, number {self.settings.pg_port}")

    @property
    def _start_log(self) -> Path:
        """``pg_ctl`` leaves its output open in the server, so it needs a file."""
        return self.settings.logs / "pg_ctl.log"

    def _write(self, path: Path, text: str) -> None:
        """Write a file that the cluster's user can read."""
        path.write_text(text)
        identity = self._identity()
        if identity:
            os.chown(path, identity["user"], identity["group"])
        path.chmod(0o600)

    def _create(self) -> None:
        data = self.settings.pg_data
        if data.exists():
            # Only an interrupted initdb leaves a folder without PG_VERSION.
            shutil.rmtree(data)
        self._call(
            "initdb",
            "--pgdata",
            data,
            "--username",
            PG_SUPERUSER,
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--auth=trust",
            what="creating the cluster",
        )
        with (data / "postgresql.conf").open("a") as stream:
            stream.write(f"\ninclude_if_exists = '{_CONFIGURATION_FILE}'\n")

    def stop(self) -> bool:
        """Stop the server.

        :return: whether it was running
        """
        if not self.running():
            return False
        self._call(
            "pg_ctl",
            "stop",
            "--pgdata",
            self.settings.pg_data,
            "--mode=fast",
            "--wait",
            "--silent",
            what="stopping PostgreSQL",
        )
        return True

    def remove(self) -> None:
        """Stop the server and delete the cluster with all of its databases."""
        self.stop()
        if self.settings.cluster.exists():
            identity = self._identity()
            owner = identity.get("user", os.geteuid())
            if self.settings.cluster.lstat().st_uid != owner:
                raise HubError(f"{self.settings.cluster} is not ours; left alone.")
            for name in _CONTENTS:
                path = self.settings.cluster / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            self.settings.cluster.rmdir()

    # === SQL === #
    def psql_command(self, database: str, role: str = PG_ROLE) -> list[str]:
        """The command line of ``psql`` on one of the databases."""
        return [
            str(self._binaries / "psql"),
            f"--host={self.settings.pg_socket}",
            f"--port={self.settings.pg_port}",
            f"--username={role}",
            f"--dbname={database}",
        ]

    def sql(self, statement: str, database: str = PG_SUPERUSER) -> str:
        """Run SQL as the superuser; the answer as unaligned text."""
        return run(
            [
                *self.psql_command(database, PG_SUPERUSER),
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                f"--command={statement}",
            ],
            what="SQL",
            env={"PGOPTIONS": "--client-min-messages=warning"},
        ).strip()

    def value(self, statement: str, database: str = PG_SUPERUSER) -> str:
        """The first value of a query; empty when there is no row."""
        return self.sql(statement, database).split("\n", 1)[0]

    def databases(self) -> list[str]:
        """The databases of Odoo's role."""
        answer = self.sql(
            "SELECT datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba "
            f"WHERE r.rolname = '{PG_ROLE}' ORDER BY datname"
        )
        return answer.split()

    def drop(self, database: str) -> None:
        self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def copy(self, source: str, target: str) -> None:
        """Make a database as a copy of another one."""
        self.drop(target)
        # Copying files is quicker than the default of version 15, which did not
        # exist before.
        version = int(self.value("SHOW server_version_num"))
        strategy = "STRATEGY file_copy" if version >= 150000 else ""
        self.sql(
            f'CREATE DATABASE "{target}" TEMPLATE "{source}" OWNER {PG_ROLE} {strategy}'
        )

    def rename(self, database: str, name: str) -> None:
        self.sql(f'ALTER DATABASE "{database}" RENAME TO "{name}"')
