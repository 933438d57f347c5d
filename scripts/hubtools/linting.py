"""The linters: one list of hooks for commits, `make lint` and integration.

``pre-commit`` chooses the files and calls ``hub.py lint-tool`` for each hook; the
tools come from the lock files (PyPI and npm), since hooks that are cloned from a
forge would bring versions that nobody here has pinned. Node comes as a Python
package, so that the machine needs none.
"""

import os
import re
import shutil
import subprocess
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from .console import say, step
from .process import run
from .provision import alone, digest, link_addon, pip_install, stamp, stamped
from .settings import ADDON, HubError, Settings

_MAX_BYTES = 500_000
_CONFLICT = re.compile(rb"^(<{7} |={7}$|>{7} )", re.MULTILINE)
_MARKDOWN = {".md", ".rst"}


def install(settings: Settings) -> None:
    """Install the linters from their lock files."""
    node = settings.root / "requirements" / "node"
    locks = [settings.requirements("dev"), *sorted(node.glob("*.json"))]
    wanted = digest(str(settings.lint), *locks)
    with alone(settings):
        link_addon(settings)
        if stamped(settings, "lint") == wanted and settings.lint.exists():
            return
        with step("Linters"):
            shutil.rmtree(settings.lint, ignore_errors=True)
            venv.create(settings.lint / "venv", with_pip=True, symlinks=True)
            pip_install(settings.lint / "venv" / "bin" / "python", locks[:1])
            (settings.lint / "node").mkdir()
            for lock in locks[1:]:
                shutil.copy(lock, settings.lint / "node")
            run(
                [settings.lint / "venv/bin/npm", "ci", "--no-fund", "--no-audit"],
                what="npm ci",
                cwd=settings.lint / "node",
                env=_environment(settings),
            )
            stamp(settings, "lint", wanted)


def _environment(settings: Settings) -> dict[str, str]:
    folders = [settings.lint / "venv/bin", settings.lint / "node/node_modules/.bin"]
    return {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]),
        "NODE_PATH": str(settings.lint / "node" / "node_modules"),
        "PRE_COMMIT_HOME": str(settings.lint / "pre-commit"),
        "HUB_LINT_FIX": "1" if settings.lint_fix else "",
    }


def lint(settings: Settings, *, fix: bool) -> int:
    """Run all hooks on all files, also on those not yet committed.

    :param fix: let the tools correct what they can
    :return: the exit code
    """
    install(settings)
    listing = run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        what="listing the files",
        cwd=settings.root,
    )
    files = [name for name in listing.split("\0") if (settings.root / name).is_file()]
    if not files:
        raise HubError("There are no files to look at.")
    code = subprocess.run(
        [settings.lint / "venv/bin/pre-commit", "run", "--files", *files],
        cwd=settings.root,
        env={**_environment(settings), "HUB_LINT_FIX": "1" if fix else ""},
        check=False,
    ).returncode
    if code and not fix:
        say("`make format` corrects what can be corrected by a tool.")
    return code


def lint_tool(settings: Settings, tool: str, files: Sequence[str]) -> int:
    """Run one tool on files; this is what the hooks call.

    :return: the exit code
    """
    if tool == "text":
        return _text(settings, files)
    makers: dict[str, Callable[[Settings, Sequence[str]], tuple[list[str], Path]]] = {
        "ruff": _ruff,
        "ruff-format": _ruff_format,
        "pylint-odoo": _pylint,
        "oca-module": _oca_module,
        "oca-po": _oca_po,
        "prettier": _prettier,
        "eslint": _eslint,
    }
    if tool not in makers:
        raise HubError(
            f"There is no linter {tool}; there are: text, {', '.join(makers)}"
        )
    install(settings)
    command, folder = makers[tool](settings, files)
    return subprocess.run(
        command, cwd=folder, env=_environment(settings), check=False
    ).returncode


# === THE TOOLS === #
def _ruff(settings: Settings, files: Sequence[str]) -> tuple[list[str], Path]:
    fix = ["--fix"] if settings.lint_fix else []
    return ["ruff", "check", "--force-exclude", *fix, *files], settings.root


def _ruff_format(settings: Settings, files: Sequence[str]) -> tuple[list[str], Path]:
    check = [] if settings.lint_fix else ["--check", "--diff"]
    return ["ruff", "format", "--force-exclude", *check, *files], settings.root


def _pylint(settings: Settings, files: Sequence[str]) -> tuple[list[str], Path]:
    """Pylint sees the addon under its technical name, as Odoo does."""
    return (
        [
            "pylint",
            f"--rcfile={settings.root / '.pylintrc'}",
            "--jobs=1",
            *(f"{ADDON}/{name}" for name in files),
        ],
        settings.addons,
    )


def _oca_module(settings: Settings, _files: Sequence[str]) -> tuple[list[str], Path]:
    fix = ["--fix"] if settings.lint_fix else []
    config = ["--config", str(settings.root / ".oca_hooks.cfg")]
    if not Path(config[1]).exists():
        config = []
    return ["oca-checks-odoo-module", *config, *fix, ADDON], settings.addons


def _oca_po(settings: Settings, files: Sequence[str]) -> tuple[list[str], Path]:
    return ["oca-checks-po", *files], settings.root


def _prettier(settings: Settings, files: Sequence[str]) -> tuple[list[str], Path]:
    mode = "--write" if settings.lint_fix else "--check"
    return ["prettier", mode, "--log-level=warn", *files], settings.root


def _eslint(settings: Settings, files: Sequence[str]) -> tuple[list[str], Path]:
    fix = ["--fix"] if settings.lint_fix else []
    return ["eslint", "--max-warnings=0", *fix, *files], settings.root


def _text(settings: Settings, files: Sequence[str]) -> int:
    """Line ends, white space at line ends, last lines, conflicts, large files."""
    bad = 0
    for name in files:
        path = settings.root / name
        data = path.read_bytes()
        problems = []
        if len(data) > _MAX_BYTES:
            problems.append(f"larger than {_MAX_BYTES // 1000} kB")
        if path.suffix not in _MARKDOWN and _CONFLICT.search(data):
            problems.append("a mark of a merge conflict")
        lines = data.replace(b"\r\n", b"\n").split(b"\n")
        keep = path.suffix == ".md"
        clean = b"\n".join(line if keep else line.rstrip(b" \t\r") for line in lines)
        clean = clean.rstrip(b"\n") + b"\n" if clean.strip() else b""
        if clean != data:
            if settings.lint_fix:
                path.write_bytes(clean)
                problems.append("white space or line ends (corrected)")
            else:
                problems.append("white space at line ends, line ends, or last line")
        for problem in problems:
            say(f"{name}: {problem}")
        bad += len(problems)
    return 1 if bad else 0
