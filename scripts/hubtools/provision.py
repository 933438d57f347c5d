"""The set-up: system packages, Odoo 19, the virtual environment, the cluster.

Each step leaves a stamp with a digest of what it was made of. A step whose stamp
fits is skipped; one that was interrupted has none and is done again. What a step
makes is put in place by one rename, so half of it is never taken for the whole.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import apt
from .cluster import Cluster
from .console import note, step, warn
from .odoo import find_odoo
from .process import run
from .settings import (
    ADDON,
    MIN_PYTHON,
    ODOO_PACKAGE,
    ODOO_SERIES,
    ODOO_SUITE,
    ODOO_SUITE_PACKAGES,
    STABLE_PACKAGES,
    HubError,
    Settings,
)

#: Odoo's bundles name this file, which the Debian package leaves out (it belongs
#: to the blurred background of video calls); without it every bundle logs an
#: error, and browser tests fail on errors.
MISSING_ASSET = "odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"
MISSING_ASSET_TEXT = (
    "/* Left out of this package of Odoo; video calls do not blur. */\n"
)


def setup(settings: Settings, *locks: str, browser: bool = False) -> None:
    """Bring everything here that the demo (or the tests) need.

    :param locks: the lock files to install beside ``run``
    :param browser: whether a browser is needed, too
    :raise HubError: with what to do about it
    """
    if sys.version_info < MIN_PYTHON:
        wanted = ".".join(map(str, MIN_PYTHON))
        found = ".".join(map(str, sys.version_info[:3]))
        raise HubError(
            f"Python {wanted} or newer is needed, this is {found}; name another one: "
            "make PYTHON=python3.12 …"
        )
    with alone(settings):
        missing = apt.needed_for_setup(settings)
        if browser:
            missing |= apt.needed_for_tests()
        apt.install(missing)
        if not settings.odoo:
            fetch_odoo(settings)
        make_venv(settings, *locks)
        link_addon(settings)
        find_odoo(settings).check()
        Cluster(settings).start()


def claim(settings: Settings) -> None:
    """Make the state folder, or make sure that the one there is ours.

    ``make clean`` deletes it, so a folder with anything else in it must not become
    one because of a slip in ``HUB_HOME``.

    :raise HubError: when it holds other things
    """
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    if not is_ours(settings):
        if any(home.iterdir()):
            raise HubError(
                f"HUB_HOME={home} holds other files. Name a folder that is empty or "
                "not there yet."
            )
        settings.stamps.mkdir()
    # Keep the state out of version control wherever HUB_HOME points.
    (home / ".gitignore").write_text("*\n")


def is_ours(settings: Settings) -> bool:
    """Whether the state folder was made by these tools."""
    return settings.stamps.is_dir()


@contextmanager
def alone(settings: Settings, work: str = "set-up") -> Iterator[None]:
    """Let only one command at a time do some work here; others wait for it."""
    claim(settings)
    with (settings.home / f"{work}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"another command is at the same work ({work}); waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# === STAMPS === #
def digest(*parts: str | Path) -> str:
    """One digest over texts and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()[:20]


def stamped(settings: Settings, name: str) -> str:
    """What a step was last made of; empty when it was not, or not to its end."""
    path = settings.stamps / name
    return path.read_text().strip() if path.exists() else ""


def stamp(settings: Settings, name: str, value: str) -> None:
    """Note that a step is done."""
    settings.stamps.mkdir(parents=True, exist_ok=True)
    new = settings.stamps / f"{name}.new"
    new.write_text(value + "\n")
    new.replace(settings.stamps / name)


# === ODOO === #
def fetch_odoo(settings: Settings) -> None:
    """Fetch Odoo's Debian package and unpack it in the state folder."""
    wanted = digest(
        ODOO_SUITE, *ODOO_SUITE_PACKAGES, *STABLE_PACKAGES, MISSING_ASSET_TEXT
    )
    if stamped(settings, "odoo") == wanted and settings.prefix_packages.exists():
        return
    _require_debian()
    with step(f"Odoo {ODOO_SERIES} (about 120 MB, unpacked here, not installed)"):
        downloads = settings.downloads
        private = apt.PrivateApt(settings.home / "apt", ODOO_SUITE)
        version = private.version(ODOO_PACKAGE)
        if not version.startswith(f"{ODOO_SERIES}."):
            raise HubError(
                f"The suite {ODOO_SUITE} has {ODOO_PACKAGE} {version or 'no more'} "
                f"today, not {ODOO_SERIES}. Set HUB_ODOO to an Odoo {ODOO_SERIES} of "
                "yours."
            )
        for package in ODOO_SUITE_PACKAGES:
            if not _downloaded(downloads, package):
                note(f"downloading {package}")
                _fetch(
                    lambda folder, name=package: private.download((name,), folder),
                    downloads,
                )
        for package in STABLE_PACKAGES:
            if not _downloaded(downloads, package):
                note(f"downloading {package}")
                _fetch(
                    lambda folder, name=package: apt.download_stable((name,), folder),
                    downloads,
                )
        note("unpacking")
        fresh = settings.home / "odoo.new"
        shutil.rmtree(fresh, ignore_errors=True)
        for package in (*ODOO_SUITE_PACKAGES, *STABLE_PACKAGES):
            apt.unpack(_downloaded(downloads, package), fresh)
        asset = fresh / "usr/lib/python3/dist-packages" / MISSING_ASSET
        if not asset.exists():
            asset.parent.mkdir(parents=True, exist_ok=True)
            asset.write_text(MISSING_ASSET_TEXT)
        shutil.rmtree(settings.prefix, ignore_errors=True)
        fresh.replace(settings.prefix)
        stamp(settings, "odoo", wanted)
        # Unpacked and done with; a second set-up finds the stamp.
        shutil.rmtree(downloads, ignore_errors=True)
        shutil.rmtree(settings.home / "apt", ignore_errors=True)


def _require_debian() -> None:
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise HubError(
                f"{program} is missing: Odoo can be fetched on Debian and its kin "
                f"only. Elsewhere set HUB_ODOO to an Odoo {ODOO_SERIES} of yours."
            )


def _downloaded(folder: Path, package: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{package}_*.deb"))), None)


def _fetch(download, folder: Path) -> None:
    """Download into a side folder, and move over only what is complete."""
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    download(partial)
    for package in partial.glob("*.deb"):
        package.replace(folder / package.name)
    shutil.rmtree(partial, ignore_errors=True)


# === PYTHON === #
def make_venv(settings: Settings, *locks: str) -> None:
    """Make the virtual environment and install the locked packages.

    Packages are installed without asking for their dependencies: the lock files
    name them all, and one of them asks for the source of a database driver whose
    ready-made twin is locked.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    base = digest(version, os.path.realpath(sys.executable), str(settings.venv))
    if stamped(settings, "venv") != base or not settings.venv_python.exists():
        with step(f"Virtual environment (Python {version})"):
            shutil.rmtree(settings.venv, ignore_errors=True)
            for old in settings.stamps.glob("requirements-*"):
                old.unlink()
            venv.create(settings.venv, with_pip=True, symlinks=True)
            stamp(settings, "venv", base)
    if not settings.odoo:
        packages = next((settings.venv / "lib").glob("python3.*")) / "site-packages"
        (packages / "odoo19.pth").write_text(f"{settings.prefix_packages}\n")
    wanted = [
        (name, digest(settings.requirements(name)))
        for name in dict.fromkeys(("run", *locks))
    ]
    todo = [
        (name, value)
        for name, value in wanted
        if stamped(settings, f"requirements-{name}") != value
    ]
    if not todo:
        return
    names = [name for name, _value in todo]
    with step(f"Python packages ({', '.join(names)})"):
        pip_install(
            settings.venv_python, (settings.requirements(name) for name in names)
        )
        for name, value in todo:
            stamp(settings, f"requirements-{name}", value)


def pip_install(python: Path, locks: Iterable[Path]) -> None:
    """Install lock files as they are."""
    arguments: list[str | Path] = []
    for lock in locks:
        arguments += ["--requirement", lock]
    run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--retries=5",
            "--root-user-action=ignore",
            *arguments,
        ],
        what="pip install",
        hint="Check the network and call the command again: it goes on from here.",
    )


def link_addon(settings: Settings) -> None:
    """Show the checkout to Odoo under the addon's name."""
    settings.addons.mkdir(parents=True, exist_ok=True)
    link = settings.addons / ADDON
    if link.is_symlink() and link.resolve() == settings.root:
        return
    if link.is_symlink() or link.exists():
        warn(f"{link} pointed elsewhere; it now leads to {settings.root}")
        link.unlink()
    link.symlink_to(settings.root, target_is_directory=True)
