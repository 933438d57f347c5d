"""Debian packages: the few that are installed, and those that are only unpacked.

Installing touches the machine, so it happens only for what is missing and is
announced with its reason. Odoo itself is never installed: it is fetched from the
unstable suite with lists and caches of our own, and unpacked in the state folder.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .console import note, step, warn
from .process import run
from .settings import PG_OS_USER, HubError, Settings

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CREATECLUSTER = Path("/etc/postgresql-common/createcluster.d")
_ATTEMPTS = 3

#: The names under which Odoo's tests look for a browser.
BROWSERS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")


def has_package(name: str) -> bool:
    """Whether a Debian package is installed and configured."""
    if not shutil.which("dpkg-query"):
        return False
    try:
        status = run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
            what=f"asking for {name}",
        )
    except HubError:
        return False
    return status.strip() == "installed"


def _as_root(command: list[str]) -> list[str]:
    """The command with ``sudo`` before it, where we are not root.

    :raise HubError: without sudo there is nobody to do it
    """
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo"):
        return ["sudo", *command]
    raise HubError(
        "System packages are missing, and neither root nor sudo is here. Ask an "
        f"administrator to run: {' '.join(command)}"
    )


@contextmanager
def _no_main_cluster() -> Iterator[None]:
    """Keep the PostgreSQL package from making and starting a database of its own.

    The tools run a private cluster; nobody asked for a second one at boot.
    """
    drop_in = _CREATECLUSTER / "finance-hub.conf"
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as text:
        text.write("create_main_cluster = false\n")
        text.flush()
        os.chmod(text.name, 0o644)
        run(_as_root(["mkdir", "-p", str(_CREATECLUSTER)]), what="preparing")
        run(_as_root(["cp", text.name, str(drop_in)]), what="preparing")
    try:
        yield
    finally:
        run(_as_root(["rm", "-f", str(drop_in)]), what="tidying up")


def install(packages: Mapping[str, str]) -> None:
    """Install Debian packages.

    :param packages: the names, each with the reason that is told to the person
    """
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise HubError(
            "This machine has no apt-get. Install these by hand: "
            + ", ".join(f"{name} ({why})" for name, why in packages.items())
        )
    with step("System packages that are missing here"):
        for name, why in packages.items():
            note(f"{name}: {why}")
        options = ["-q", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        run(
            _as_root([*environment, "apt-get", *options, "update"]),
            what="apt-get update",
            hint="Is the machine on-line, and does its /etc/apt work?",
        )
        command = [
            *environment,
            "apt-get",
            *options,
            "install",
            "--yes",
            "--no-install-recommends",
            *packages,
        ]
        if "postgresql" in packages:
            with _no_main_cluster():
                run(_as_root(command), what="apt-get install")
        else:
            run(_as_root(command), what="apt-get install")


# === PACKAGES THAT ARE ONLY UNPACKED === #
def _own_mirror() -> tuple[str, str]:
    """Address and keyring of the Debian archive this machine already uses.

    :return: the address, and the ``signed-by`` option of a source line (or "")
    """
    wanted = "$(SITE)\t$(ORIGIN)\t$(SUITE)\t$(SIGNED_BY)"
    listing = run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"],
        what="asking apt for its mirror",
        hint="Run apt-get update once, or set HUB_ODOO to an Odoo 19 of yours.",
    )
    rows = [line.split("\t") for line in listing.splitlines() if "://" in line]
    rows = [row for row in rows if len(row) == 4 and "security" not in row[0]]
    rows.sort(key=lambda row: (row[1] != "Debian", "-" in row[2]))
    if not rows:
        raise HubError(
            "apt knows no archive to fetch Odoo 19 from. Run apt-get update, or set "
            "HUB_ODOO to an Odoo 19 of yours."
        )
    site, _origin, _suite, signed_by = rows[0]
    if _KEYRING.exists():
        return site, f"[signed-by={_KEYRING}] "
    if signed_by.startswith("/"):
        return site, f"[signed-by={signed_by}] "
    return site, ""


class PrivateApt:
    """apt with lists, caches and sources of its own, for one other suite."""

    def __init__(self, folder: Path, suite: str):
        self.folder = folder
        self.suite = suite
        self._ready = False

    def _options(self) -> list[str]:
        base = self.folder
        options = {
            "Dir::State::lists": f"{base}/lists",
            "Dir::State::status": f"{base}/status",
            "Dir::Cache": f"{base}/cache",
            "Dir::Etc::sourcelist": f"{base}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "APT::Get::List-Cleanup": "false",
            "APT::Update::Post-Invoke-Success::": "",
        }
        if os.geteuid() == 0:
            # The folder is ours alone, so apt's unprivileged user cannot enter it.
            options["APT::Sandbox::User"] = "root"
        return [f"-o{name}={value}" for name, value in options.items()]

    def _update(self) -> None:
        if self._ready:
            return
        site, signed_by = _own_mirror()
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text(
            f"deb {signed_by}{site} {self.suite} main\n"
        )
        _retry(
            ["apt-get", "-q", *self._options(), "update"],
            what=f"reading the package list of {self.suite}",
            cwd=self.folder,
        )
        self._ready = True

    def version(self, package: str) -> str:
        """The version the suite offers; empty when it has no such package."""
        self._update()
        text = run(
            ["apt-cache", *self._options(), "show", "--no-all-versions", package],
            what=f"asking for {package}",
            hint=f"The suite {self.suite} has no {package} today.",
        )
        for line in text.splitlines():
            if line.startswith("Version: "):
                return line.removeprefix("Version: ")
        return ""

    def download(self, packages: tuple[str, ...], folder: Path) -> None:
        """Fetch packages into a folder; apt checks their signatures and sums."""
        self._update()
        folder.mkdir(parents=True, exist_ok=True)
        _retry(
            ["apt-get", "-q", *self._options(), "download", *packages],
            what="downloading " + " ".join(packages),
            cwd=folder,
        )


def download_stable(packages: tuple[str, ...], folder: Path) -> None:
    """Fetch packages of the machine's own suite into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-oAPT::Sandbox::User=root"] if os.geteuid() == 0 else []
    command = ["apt-get", "-q", *options, "download", *packages]
    try:
        run(command, what="downloading " + " ".join(packages), cwd=folder)
    except HubError:
        # A machine that never read its package lists knows no package yet.
        note("reading the machine's package lists")
        run(_as_root(["apt-get", "-q", "update"]), what="apt-get update")
        _retry(command, what="downloading " + " ".join(packages), cwd=folder)


def _retry(command: list[str], *, what: str, cwd: Path) -> None:
    """Run a command that uses the network, a few times if it must be."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            run(command, what=what, cwd=cwd)
        except HubError as error:
            if attempt == _ATTEMPTS:
                raise HubError(
                    f"{error}\nCheck the network and call the command again: it goes "
                    "on where it stopped."
                ) from error
            warn(f"{what}: failed, trying again ({attempt} of {_ATTEMPTS - 1})")
            time.sleep(2 * attempt)
        else:
            return


def unpack(package: Path, folder: Path) -> None:
    """Unpack a downloaded package below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    run(["dpkg", "-x", package, folder], what=f"unpacking {package.name}")


# === WHAT IS NEEDED === #
def needed_for_setup(settings: Settings) -> dict[str, str]:
    """Packages the demo cannot do without and that are missing."""
    from .cluster import find_binaries

    missing = {}
    if not find_binaries(settings):
        missing["postgresql"] = "the database server (only its programs are used)"
    elif os.geteuid() == 0 and not _user_exists(PG_OS_USER):
        missing["postgresql"] = f"the user {PG_OS_USER}, since root may not run it"
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        missing["python3-venv"] = "virtual environments for Python"
    return missing


def needed_for_tests() -> dict[str, str]:
    """Packages that only the tests need and that are missing."""
    missing = {}
    if not any(shutil.which(name) for name in BROWSERS):
        missing["chromium"] = "the browser that runs the tours"
        if not has_package("fonts-dejavu-core"):
            missing["fonts-dejavu-core"] = "letters for that browser"
    return missing


def _user_exists(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
