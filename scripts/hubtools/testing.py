"""All tests behind one command, and one honest count at its end.

Three parts: the pure rooms under pytest, the addon's tests under Odoo's own runner,
and the system tests under pytest against a real server. A part that cannot even
start counts as a failure; a part that is not there counts nothing. The last line is
``N passed, N failed``, and the exit code says the same.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .cluster import Cluster
from .console import note, say, step, warn
from .databases import Databases
from .odoo import OdooRole
from .process import require_port, tail
from .provision import alone, setup
from .settings import ADDON, TEST_DATABASE, HubError, Settings

PARTS = ("pure", "odoo", "system")

_LOG_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ "
    r"(?P<level>[A-Z]+) (?P<database>\S+) (?P<logger>\S+): (?P<message>.*)$"
)
_RESULT = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")
_TEST = re.compile(r"^    def test_", re.MULTILINE)
#: Apps that the addon knows and does not need, and the tests of what it does with them.
APPS = ("purchase", "hr_expense")
APPS_TAG = "finance_hub_apps"
#: Runs of Odoo that share the addon's tests: for two cores.
SHARDS = 2
_SKIPPED = re.compile(r"skipped ")
_NOTES_SHOWN = 20
_FAILURES_SHOWN = 30


@dataclass
class Result:
    """What one part came to."""

    part: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def test(settings: Settings, parts: Sequence[str] | None, tags: str | None) -> int:
    """Run the tests.

    :param parts: which parts (default: all)
    :param tags: Odoo's test tags (default: all of the addon's)
    :return: the exit code
    """
    wanted = [part for part in PARTS if not parts or part in parts]
    try:
        setup(settings, "demo", "test", browser="odoo" in wanted)
    except HubError as error:
        print(f"\nError: {error}", file=sys.stderr, flush=True)
        say("0 passed, 1 failed")
        return 1
    with alone(settings, "tests"):
        return _conclude(_run(settings, wanted, tags or settings.test_tags))


def _run(settings: Settings, wanted: Sequence[str], tags: str) -> list[Result]:
    """Run the wanted parts beside each other.

    Most of each is one busy process; the system's part, which comes first as it takes
    longest in one piece, waits most of its time.
    """
    runs: list[tuple[str, Callable[[], Result]]] = []
    if "system" in wanted:
        runs.append(("system", partial(_system, settings)))
    if "odoo" in wanted:
        shards = _shards(settings) if tags == f"/{ADDON}" else [tags]
        for number, shard in enumerate(shards):
            runs.append(("odoo", partial(_odoo, settings, shard, number)))
        if tags == f"/{ADDON}":
            runs.append(("odoo", partial(_odoo, settings, APPS_TAG, SHARDS, APPS)))
    if "pure" in wanted:
        runs.append(("pure", partial(_pure, settings)))

    def run(part: str, work: Callable[[], Result]) -> Result:
        start = time.monotonic()
        try:
            result = work()
        except HubError as error:
            result = Result(part, failed=1, problems=[str(error)])
        result.seconds = time.monotonic() - start
        for problem in result.problems:
            say(problem)
        return result

    with ThreadPoolExecutor(SHARDS + 1) as pool:
        results = list(pool.map(lambda entry: run(*entry), runs))
    return [_together(results, part) for part in PARTS if part in wanted]


def _together(results: list[Result], part: str) -> Result:
    """Add up the shards of a part."""
    mine = [result for result in results if result.part == part]
    return Result(
        part,
        sum(result.passed for result in mine),
        sum(result.failed for result in mine),
        sum(result.skipped for result in mine),
        max((result.seconds for result in mine), default=0.0),
    )


def _shards(settings: Settings) -> list[str]:
    """Share the test files out over as many runs of Odoo as there are at once.

    By how long each took when that was noted in ``durations.json`` (seconds), else by
    its number of tests; the longest first, which is near enough.
    """
    folder = settings.root / "tests"
    noted = json.loads((folder / "durations.json").read_text())
    seconds = {
        path.name: noted.get(path.name) or len(_TEST.findall(path.read_text()))
        for path in sorted(folder.glob("test_*.py"))
    }
    shards: list[list[str]] = [[] for _number in range(SHARDS)]
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        least = min(shards, key=lambda shard: sum(seconds[other] for other in shard))
        least.append(name)
    return [
        ",".join(f"/{ADDON}/tests/{name}" for name in sorted(shard))
        for shard in shards
        if shard
    ]


def _conclude(results: list[Result]) -> int:
    say()
    for result in results:
        skipped = f", {result.skipped} skipped" if result.skipped else ""
        say(
            f"{result.part:8} {result.passed:5} passed, {result.failed} failed{skipped}"
            f"   in {result.seconds:.0f} s"
        )
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    if not passed and not failed:
        say("No test was found: that is no success.")
        failed = 1
    say(
        f"{passed} passed, {failed} failed"
        + (f", {skipped} skipped" if skipped else "")
    )
    return 1 if failed else 0


# === PYTEST === #
def _pytest(settings: Settings, part: str, folder: Path, **env: str) -> Result:
    """Run pytest on a folder that has a ``pytest.ini`` of its own.

    The folder is the root of that run, so that pytest does not import the addon's
    own ``__init__.py``, which needs Odoo.
    """
    result = Result(part)
    if not list(folder.rglob("test_*.py")):
        note(f"{part}: there are no tests in {folder.relative_to(settings.root)}")
        return result
    report = settings.run / f"pytest-{part}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    config = folder / "pytest.ini"
    command = [
        str(settings.venv_python),
        "-m",
        "pytest",
        *(["-c", str(config)] if config.exists() else []),
        f"--rootdir={folder}",
        f"--junitxml={report}",
        "-q",
        *settings.pytest_args,
        str(folder),
    ]
    # Into a file, and shown when it is done: another part runs beside it.
    log = settings.logs / f"pytest-{part}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(f"Tests: {part}"), log.open("wb") as stream:
        code = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env},
            check=False,
        ).returncode
    say(log.read_text(errors="replace"))
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            total = int(suite.get("tests", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            result.failed += failed
            result.skipped += skipped
            result.passed += max(0, total - failed - skipped)
    if code and not result.failed:
        result.failed = 1
        result.problems.append(f"{part}: pytest ended with exit code {code}.")
    return result


def _pure(settings: Settings) -> Result:
    return _pytest(settings, "pure", settings.root / "tests" / "pure")


def _system(settings: Settings) -> Result:
    return _pytest(settings, "system", settings.root / "tests" / "system")


# === ODOO === #
# A template that is being copied can't be copied a second time.
_copying = threading.Lock()


def test_role(settings: Settings, number: int = 0) -> OdooRole:
    """An Odoo of its own test runner: one threaded process, no runner of jobs."""
    suffix = f"-{number + 1}" if number else ""
    return OdooRole(
        settings,
        f"test{suffix}",
        f"{TEST_DATABASE}{suffix.replace('-', '_')}",
        # A role takes its port and the next two.
        settings.test_port + 3 * number,
        "HUB_TEST_PORT",
        workers=0,
        extra={"max_cron_threads": "0"},
        extra_env={"ODOO_QUEUE_JOB_CHANNELS": "root:0"},
    )


def _odoo(
    settings: Settings, tags: str, number: int = 0, apps: Sequence[str] = ()
) -> Result:
    """Install the addon on a fresh copy of the template and run its tests.

    :param number: of the run; each has its database and ports
    :param apps: other apps to install beside it
    """
    result = Result("odoo")
    if not (settings.root / "__manifest__.py").exists():
        note("odoo: there is no __manifest__.py yet")
        return result
    role = test_role(settings, number)
    require_port(role.port, role.port_variable, "Odoo's own tests")
    databases = Databases(settings)
    with _copying:
        template = databases.test_template()
    with step(f"Tests: odoo ({tags})"):
        with _copying:
            databases.copy(template, role.database, role)
        log = settings.logs / f"odoo-{role.name}.log"
        command = role.odoo.command(
            "-c",
            role.write_config(),
            "-d",
            role.database,
            "--init",
            ",".join((ADDON, *apps)),
            "--test-tags",
            tags,
            "--stop-after-init",
            # An addon that asks for nothing but what the template has must not
            # find a page of somebody else's on the port.
            f"--http-port={role.port}",
        )
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            code = subprocess.run(
                command,
                cwd=settings.home,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **role.env},
                check=False,
            ).returncode
    read_odoo_log(log, code, result)
    if result.failed:
        result.problems.append(f"The whole log is {log}.")
    return result


def _entries(log: Path) -> Iterator[tuple[str, str, str]]:
    """Level, logger and whole text (with its traceback) of each log entry."""
    entry: tuple[str, str, list[str]] | None = None
    with log.open(errors="replace") as stream:
        for line in stream:
            found = _LOG_LINE.match(line.rstrip("\n"))
            if found:
                if entry:
                    yield entry[0], entry[1], "\n".join(entry[2])
                entry = (found["level"], found["logger"], [found["message"]])
            elif entry:
                entry[2].append(line.rstrip("\n"))
    if entry:
        yield entry[0], entry[1], "\n".join(entry[2])


def read_odoo_log(log: Path, code: int, result: Result) -> None:
    """Read the outcome of Odoo's test runner out of its log.

    No success is believed without Odoo's own closing line and an exit code of 0:
    a failed installation prints no such line.
    """
    failures, notes = [], []
    summary = None
    for level, logger, text in _entries(log):
        first = text.split("\n", 1)[0]
        closing = _RESULT.search(text)
        if closing and logger == "odoo.tests.result":
            summary = tuple(map(int, closing.groups()))
        elif first.startswith(("FAIL: ", "ERROR: ")):
            failures.append(text)
        elif _SKIPPED.match(first) and logger.startswith(f"odoo.addons.{ADDON}."):
            result.skipped += 1
            notes.append(f"skipped: {first}")
        elif level in ("WARNING", "ERROR", "CRITICAL") and (
            ADDON in logger or ADDON in text or level != "WARNING"
        ):
            notes.append(f"{level} {logger}: {text}")
    if notes:
        warn(f"{len(notes)} remark(s) in Odoo's log:")
        for text in notes[:_NOTES_SHOWN]:
            lines = text.splitlines()
            note("\n    ".join(lines[:1] + lines[-4:] if len(lines) > 5 else lines))
    result.problems += failures[:_FAILURES_SHOWN]
    if summary is None:
        result.failed = 1
        result.problems.append(
            f"odoo: the tests did not run to their end (exit code {code}):\n{tail(log)}"
        )
        return
    failed, errors, total = summary
    result.failed = failed + errors
    result.passed = max(0, total - result.failed - result.skipped)
    if code and not result.failed:
        result.failed = 1
        result.problems.append(
            f"odoo: every test passed, but the exit code was {code}:\n{tail(log)}"
        )


def stop_tests(settings: Settings) -> None:
    """Drop the test databases; the templates stay."""
    if Cluster(settings).running():
        for number in range(SHARDS + 1):
            role = test_role(settings, number)
            Databases(settings).drop(role.database, role)
