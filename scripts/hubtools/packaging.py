"""The wheel, and the lock files.

``whool`` names an addon after its folder and takes everything in it, so the wheel
is built from a copy in a folder of the right name that holds the addon only.
"""

import os
import re
import shutil
import tempfile
import venv
import zipfile
from pathlib import Path

from .console import note, step
from .linting import install as install_tools
from .process import run
from .settings import ADDON, HubError, Settings

#: What belongs to the project but not to the addon that is installed.
_LEFT_OUT = (
    ".*",
    "*.pyc",
    "__pycache__",
    "*.egg-info",
    "/Makefile",
    "/benchmarks",
    "/build",
    "/dist",
    "/eslint.config.cjs",
    "/node_modules",
    "/prettier.config.cjs",
    "/requirements",
    "/scripts",
    "/tests/pure",
    "/tests/system",
)

#: Optional parts of the wheel, ``pip install 'odoo-addon-finance_hub[amqp]'``: each
#: with the packages it brings. ``whool`` knows only what the manifest says.
_EXTRAS = {"amqp": ("pika>=1.3",), "jwt": ("PyJWT>=2.8",)}

#: Lock file → what it is resolved from, and the lock files it stands beside.
_LOCKS = {
    "run": ("run.in", ()),
    "demo": ("demo.in", ("run",)),
    "test": ("test.in", ("run", "demo")),
    "screenshots": ("screenshots.in", ("run", "demo", "test")),
    "dev": ("dev.in", ()),
}
#: What a fresh virtual environment brings along.
_NOT_LOCKED = {"pip", "setuptools"}


def _ignore(settings: Settings):
    """What ``copytree`` leaves out; a pattern with a slash counts from the root."""
    root = str(settings.root)
    everywhere = shutil.ignore_patterns(*(p for p in _LEFT_OUT if "/" not in p))
    from_root = {p[1:] for p in _LEFT_OUT if p.startswith("/")}

    def ignore(folder: str, names: list[str]) -> set[str]:
        inside = os.path.relpath(folder, root)
        prefix = "" if inside == "." else f"{inside}/"
        return everywhere(folder, names) | {
            name for name in names if f"{prefix}{name}" in from_root
        }

    return ignore


def wheel(settings: Settings) -> int:
    """Build the addon's wheel into ``dist/``.

    :return: the exit code
    """
    install_tools(settings)
    with step("Wheel"), tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / ADDON
        shutil.copytree(settings.root, source, ignore=_ignore(settings))
        python = settings.lint / "venv" / "bin" / "python"
        built = Path(folder) / "dist"
        run(
            [
                python,
                "-m",
                "build",
                "--wheel",
                "--no-isolation",
                "--outdir",
                built,
                source,
            ],
            what="building the wheel",
            # A version of their own would be made up of commits otherwise.
            env={"WHOOL_POST_VERSION_STRATEGY_OVERRIDE": "none"},
        )
        found = list(built.glob("*.whl"))
        if len(found) != 1:
            raise HubError("The build left no wheel.")
        add_extras(python, found[0])
        with zipfile.ZipFile(found[0]) as archive:
            names = archive.namelist()
        manifest = f"odoo/addons/{ADDON}/__manifest__.py"
        if manifest not in names:
            raise HubError(f"{found[0].name} holds no {manifest}.")
        settings.dist.mkdir(exist_ok=True)
        target = settings.dist / found[0].name
        shutil.copy(found[0], target)
        size = target.stat().st_size // 1024
        note(f"{target.relative_to(settings.root)}: {len(names)} files, {size} kB")
    return 0


def add_extras(python: Path, wheel_file: Path) -> None:
    """Write the optional parts into the metadata of a wheel, in its place.

    :param python: one that has the package ``wheel``
    """
    folder = wheel_file.parent
    with tempfile.TemporaryDirectory() as place:
        unpack = [python, "-m", "wheel", "unpack", "--dest", place, wheel_file]
        run(unpack, what="opening the wheel")
        root = next(Path(place).iterdir())
        metadata = next(root.glob("*.dist-info")) / "METADATA"
        head, separator, description = metadata.read_text().partition("\n\n")
        lines = []
        for extra, packages in _EXTRAS.items():
            lines.append(f"Provides-Extra: {extra}")
            lines += [
                f"Requires-Dist: {package}; extra == '{extra}'" for package in packages
            ]
        metadata.write_text("\n".join([head, *lines]) + separator + description)
        wheel_file.unlink()
        pack = [python, "-m", "wheel", "pack", "--dest-dir", folder, root]
        run(pack, what="closing the wheel")


def lock(settings: Settings) -> int:
    """Resolve the ``.in`` files anew and write the lock files.

    A lock file holds every package that its ``.in`` file leads to, except those of
    the lock files beside which it is installed. Resolve with the oldest Python that
    is to be supported (Debian's own): some packages drop an older one even between
    its patch releases.

    :return: the exit code
    """
    folder = settings.root / "requirements"
    for name, (source, beside) in _LOCKS.items():
        with step(f"requirements/{name}.txt"), tempfile.TemporaryDirectory() as place:
            venv.create(place, with_pip=True, symlinks=True)
            pip = [Path(place) / "bin" / "python", "-m", "pip", "--quiet"]
            sources = [*(_LOCKS[other][0] for other in beside), source]
            wanted = [
                line
                for other in sources
                for line in (folder / other).read_text().splitlines()
                if line and not line.startswith("#")
            ]
            addons = [line for line in wanted if line.startswith("odoo-addon-")]
            constraints = [
                part
                for other in beside
                for part in ("--constraint", str(folder / f"{other}.txt"))
            ]
            others = [line for line in wanted if line not in addons]
            run([*pip, "install", *constraints, *others], what=f"resolving {source}")
            if addons:
                # Their dependencies are Odoo, which is no package of the index, and
                # what is named in the .in file.
                run([*pip, "install", "--no-deps", *addons], what=f"adding {addons}")
            frozen = run([*pip, "freeze", "--all"], what="pip freeze")
            known = {
                line.lower()
                for other in beside
                for line in (folder / f"{other}.txt").read_text().splitlines()
            }
            lines = [
                line
                for line in frozen.splitlines()
                if re.fullmatch(r"[\w.-]+==[\w.+!-]+", line)
                and line.lower() not in known
                and line.partition("==")[0].lower() not in _NOT_LOCKED
            ]
            target = folder / f"{name}.txt"
            head = [
                line for line in target.read_text().splitlines() if line.startswith("#")
            ]
            target.write_text("\n".join([*head, *sorted(lines, key=str.lower)]) + "\n")
            note(f"{len(lines)} packages")
    return 0
