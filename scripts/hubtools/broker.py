"""A private message broker for the AMQP tests: Debian's RabbitMQ, only unpacked.

The packages are fetched by the machine's own apt and unpacked, never installed. All
that runs listens on this machine's loopback address only, on four ports of its own:
AMQP, AMQP over TLS, Erlang's name service (epmd) and the port of the node. Started by
root, all of it runs as an unprivileged user.
"""

import json
import os
import pwd
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from . import apt
from .console import note, step
from .process import Background, require_port, run, wait_until
from .provision import alone, digest, stamp, stamped
from .settings import (
    BROKER_OS_USER,
    BROKER_PACKAGES,
    START_TIMEOUT,
    HubError,
    Settings,
)

HOST = "127.0.0.1"
_NODE = f"finance_hub@{HOST}"

#: All that the broker's folder may hold; nothing else is ever deleted.
_CONTENTS = {"program", "program.new", "etc", "data"}

#: Users and virtual hosts at every start. The passwords are no secrets: the broker
#: can be reached from this machine only, and holds nothing but tests.
VHOST = "finance"
USER, PASSWORD = "hub", "hub-password"
#: May log in and read, but not write.
READER = "reader"
#: Has no virtual host that it may enter.
STRANGER = "stranger"
#: Logs in by its client certificate, whose common name this is.
MACHINE = "hub-machine"

CONFIGURATION = """\
# Written by scripts/hubtools/broker.py at every start.
listeners.tcp.1 = {host}:{port}
load_definitions = {definitions}
loopback_users = none
log.console = true
log.console.level = info
log.file = false
disk_free_limit.absolute = 50MB
max_message_size = {max_message_size}
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
"""
_TLS_CONFIGURATION = """\
listeners.ssl.1 = {host}:{port}
ssl_options.cacertfile = {ca}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_cert_login_from = common_name
"""

#: Largest message, in bytes: small, so that a test can exceed it.
MAX_MESSAGE_SIZE = 1024 * 1024


@dataclass(frozen=True)
class TlsFiles:
    """What the TLS listener needs, as PEM.

    :ivar ca: signs the broker's certificate, and those of its clients
    :ivar certificate: the broker's own
    :ivar key: of that certificate
    """

    ca: bytes
    certificate: bytes
    key: bytes


class Broker:
    """The RabbitMQ of one state folder.

    :param tls: turns on the TLS listener, which asks for client certificates
    """

    def __init__(self, settings: Settings, tls: TlsFiles | None = None):
        self.settings = settings
        self.tls = tls
        self.host = HOST
        self.port = settings.broker_port
        self.tls_port = settings.broker_port + 1
        self._epmd_port = settings.broker_port + 2
        self._node_port = settings.broker_port + 3
        self._folder = settings.broker
        self._program = self._folder / "program"
        self._etc = self._folder / "etc"
        self._data = self._folder / "data"
        self.server = Background(
            "RabbitMQ",
            settings.run / "broker-server.json",
            settings.logs / "broker.log",
        )
        self._epmd = Background(
            "epmd", settings.run / "broker-epmd.json", settings.logs / "broker-epmd.log"
        )

    # === GETTING IT === #
    def provide(self) -> None:
        """Fetch and unpack the packages, unless they are here."""
        wanted = digest(*BROKER_PACKAGES, str(self._program))
        with alone(self.settings):
            self._claim()
            if stamped(self.settings, "broker") == wanted and self._program.exists():
                return
            for program in ("apt-get", "dpkg"):
                if not shutil.which(program):
                    raise HubError(
                        f"{program} is missing: the broker of the AMQP tests can be "
                        "fetched on Debian and its kin only."
                    )
            with step("RabbitMQ (about 35 MB, unpacked, not installed)"):
                downloads = self.settings.home / "downloads-broker"
                shutil.rmtree(downloads, ignore_errors=True)
                apt.download_stable(BROKER_PACKAGES, downloads)
                note("unpacking")
                fresh = self._folder / "program.new"
                shutil.rmtree(fresh, ignore_errors=True)
                for package in sorted(downloads.glob("*.deb")):
                    apt.unpack(package, fresh)
                fresh.chmod(0o755)
                shutil.rmtree(self._program, ignore_errors=True)
                fresh.replace(self._program)
                shutil.rmtree(downloads)
                stamp(self.settings, "broker", wanted)

    def _claim(self) -> None:
        """Make the folder, or make sure that the one there is ours.

        It lies where everybody may write, so one that somebody else put there must
        not be used.
        """
        try:
            self._folder.mkdir(mode=0o755)
        except FileExistsError:
            found = self._folder.lstat()
            if (
                self._folder.is_symlink()
                or not self._folder.is_dir()
                or found.st_uid != os.geteuid()
                or {path.name for path in self._folder.iterdir()} - _CONTENTS
            ):
                raise HubError(
                    f"{self._folder} is there, but it is not the broker's. Remove it, "
                    "or set HUB_BROKER to another place."
                ) from None
        except OSError as error:
            raise HubError(
                f"{self._folder} cannot be made: {error}. Set HUB_BROKER to another "
                "place."
            ) from error
        self._folder.chmod(0o755)

    def _identity(self) -> dict:
        """Options of ``subprocess`` that make a program not run as root."""
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(BROKER_OS_USER)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def _only(self, pattern: str) -> Path:
        """The one path of the program that fits; versions are in their names."""
        found = sorted(self._program.glob(pattern))
        if len(found) != 1:
            raise HubError(
                f"The unpacked RabbitMQ has {len(found)} × {pattern}. Remove "
                f"{self._program} and try again."
            )
        return found[0]

    # === HOW IT RUNS === #
    @property
    def _binaries(self) -> Path:
        return self._only("usr/lib/erlang/erts-*/bin")

    def _environment(self) -> dict[str, str]:
        home = self._only("usr/lib/rabbitmq/lib/rabbitmq_server-*")
        data, etc = self._data, self._etc
        return {
            "HOME": str(data),
            "LC_ALL": "C.UTF-8",
            "ROOTDIR": str(self._program / "usr/lib/erlang"),
            "BINDIR": str(self._binaries),
            "EMU": "beam",
            "PROGNAME": "erl",
            "ERL_LIBS": str(home / "plugins"),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_MAX_ETS_TABLES": "50000",
            "ERL_MAX_PORTS": "4096",
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(etc / "advanced.config"),
            "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(data / "feature_flags"),
            "RABBITMQ_HOME": str(home),
            "RABBITMQ_LOG_BASE": str(data / "log"),
            "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_PID_FILE": str(data / "pid"),
            "RABBITMQ_PLUGINS_DIR": str(home / "plugins"),
            "RABBITMQ_USE_LONGNAME": "true",
        }

    def _configure(self) -> None:
        identity = self._identity()
        for folder, mode in ((self._etc, 0o755), (self._data, 0o700)):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        definitions = self._etc / "definitions.json"
        text = CONFIGURATION.format(
            host=HOST,
            port=self.port,
            definitions=definitions,
            max_message_size=MAX_MESSAGE_SIZE,
        )
        files = {
            definitions: json.dumps(_definitions()).encode(),
            self._etc / "enabled_plugins": b"[rabbitmq_auth_mechanism_ssl].\n",
            self._etc / "advanced.config": b"[].\n",
        }
        if self.tls:
            names = {
                "ca": self._etc / "ca.pem",
                "certificate": self._etc / "broker.pem",
                "key": self._etc / "broker-key.pem",
            }
            files |= {path: getattr(self.tls, name) for name, path in names.items()}
            text += _TLS_CONFIGURATION.format(host=HOST, port=self.tls_port, **names)
        files[self._etc / "rabbitmq.conf"] = text.encode()
        for path, content in files.items():
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            path.chmod(0o644)
        # What lets programs talk to the node; Erlang wants it private.
        cookie = self._data / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        if identity:
            for path in (self._data, cookie):
                os.chown(path, identity["user"], identity["group"])

    # === LIFE === #
    def running(self) -> bool:
        return bool(self.server.pid)

    def start(self) -> None:
        """Get it where needed, start it, and wait until it takes connections."""
        if self.running():
            return
        self.provide()
        self._configure()
        environment = self._environment()
        options = {"env": environment, "cwd": self._data, **self._identity()}
        variable = "HUB_BROKER_PORT"
        for port in (self.port, self.tls_port, self._node_port):
            require_port(port, variable, "the broker of the AMQP tests")
        if not self._epmd.pid:
            require_port(self._epmd_port, variable, "the broker's epmd")
            command = ["epmd", "-port", str(self._epmd_port), "-address", HOST]
            self._epmd.start([self._binaries / command[0], *command[1:]], **options)
            self._epmd.wait_ready(lambda: _listens(self._epmd_port), START_TIMEOUT)
        arguments = (
            "-noinput +W w +sbwt none +sbwtdcpu none +sbwtdio none "
            "-boot start_sasl -s rabbit boot "
            "-kernel inet_dist_use_interface {127,0,0,1} "
            "-kernel prevent_overlapping_partitions false "
            "-syslog logger [] -syslog syslog_error_logger false"
        )
        self.server.start([self._binaries / "erlexec", *arguments.split()], **options)
        last = self.tls_port if self.tls else self.port
        try:
            self.server.wait_ready(
                lambda: _listens(self.port) and _listens(last), START_TIMEOUT
            )
        except HubError:
            self.stop()
            raise

    def stop(self) -> bool:
        """End it politely.

        :return: whether it was running
        """
        stopped = self.server.stop()
        self._epmd.stop(timeout=5)
        return stopped

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL); what is on its disk stays."""
        self.server.kill()
        wait_until(lambda: not _listens(self.port), 10)

    def forget(self) -> None:
        """Delete what the stopped broker has on its disk."""
        shutil.rmtree(self._data, ignore_errors=True)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        if self._folder.exists():
            self.stop()
            self._claim()
            for name in _CONTENTS:
                shutil.rmtree(self._folder / name, ignore_errors=True)
            self._folder.rmdir()

    # === TALKING TO IT === #
    def call(self, function: str, arguments: str = "[]") -> str:
        """Call a function inside of the broker, as ``rabbitmqctl`` does.

        :param function: ``module name``, such as ``rabbit status``
        :param arguments: an Erlang list
        :return: what the function returned, as Erlang writes it
        """
        return run(
            [
                self._program / "usr/lib/erlang/bin/erl_call",
                *("-name", _NODE, "-a", f"{function} {arguments}"),
            ],
            what=f"RabbitMQ: {function}",
            env=self._environment(),
            cwd=self._data,
            **self._identity(),
        ).strip()

    def set_memory_limit(self, share: float) -> None:
        """Set the memory limit; ``0.0`` makes the broker block all publishers."""
        self.call("vm_memory_monitor set_vm_memory_high_watermark", f"[{share!r}]")


#: The memory limit that RabbitMQ starts with.
MEMORY_LIMIT = 0.4


def _definitions() -> dict:
    """Users, virtual hosts and permissions, as RabbitMQ imports them."""
    rights = {
        USER: (".*", ".*", ".*"),
        MACHINE: (".*", ".*", ".*"),
        READER: ("^$", "^$", ".*"),
    }
    return {
        "vhosts": [{"name": "/"}, {"name": VHOST}],
        "users": [
            {"name": name, "password": PASSWORD, "tags": ""}
            for name in (USER, MACHINE, READER, STRANGER)
        ],
        "permissions": [
            {"user": name, "vhost": VHOST}
            | dict(zip(("configure", "write", "read"), allowed, strict=True))
            for name, allowed in rights.items()
        ],
    }


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
