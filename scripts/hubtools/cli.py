"""The commands of ``hub.py``; the Makefile has one target for each."""

import argparse
import os
import shutil
import sys

from . import console
from .cluster import Cluster
from .settings import VARIABLES, HubError, Settings


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    :return: the exit code: 0 when all is well, 1 on failure, 130 on Ctrl-C
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.function(Settings.read(), options) or 0
    except HubError as error:
        print(f"\nError: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Call it again to go on.", file=sys.stderr, flush=True)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hub.py", description="Finance Integration Hub: set-up, demo, tests."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, function, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        return sub

    command("setup", _setup, "get Odoo 19, the Python parts and PostgreSQL")
    sub = command("demo", _demo, "start the demo and run the main job once")
    sub.add_argument("--reset", action="store_true", help="begin with a new database")
    sub.add_argument(
        "--no-job", action="store_true", help="only start it; do not run the main job"
    )
    command("stop", _stop, "stop the demo, the receiver and PostgreSQL")
    command("status", _status, "tell what is running")
    sub = command("test", _test, "run all tests")
    sub.add_argument(
        "--only",
        choices=("pure", "odoo", "system"),
        action="append",
        help="only this part (may be repeated)",
    )
    sub.add_argument("--tags", help="Odoo test tags instead of HUB_TEST_TAGS")
    sub = command("bench", _bench, "run the benchmarks")
    sub.add_argument("--quick", action="store_true", help="small loads")
    sub.add_argument("--results", metavar="FILE", help="write the figures here")
    sub.add_argument("names", nargs="*", metavar="NAME", help="all unless named")
    sub = command("month", _month, "prove the books on a month of a shop")
    sub.add_argument("--samples", metavar="FOLDER", help="files to send as well")
    sub.add_argument("--orders", type=int, help="how many orders")
    sub = command("lint", _lint, "run all linters")
    sub.add_argument("--fix", action="store_true", help="correct what can be corrected")
    sub = command("lint-tool", _lint_tool, "run one linter (used by pre-commit)")
    sub.add_argument("tool")
    sub.add_argument("files", nargs=argparse.REMAINDER)
    command("schemas", _schemas, "freeze the published schemas of the events")
    command("lock", _lock, "renew the lock files in requirements/")
    command("wheel", _wheel, "build the wheel into dist/")
    command("screenshots", _screenshots, "photograph every screen of the demo")
    sub = command("clean", _clean, "stop everything and delete the state folder")
    sub.add_argument(
        "--databases", action="store_true", help="delete only the databases"
    )
    sub = command("shell", _shell, "an Odoo shell on the demo database")
    sub.add_argument("arguments", nargs=argparse.REMAINDER)
    sub = command("psql", _psql, "psql on the demo database (or another one)")
    sub.add_argument("database", nargs="?")
    sub.add_argument("arguments", nargs=argparse.REMAINDER)
    sub = command("logs", _logs, "follow the demo's logs")
    sub.add_argument("--lines", type=int, default=50)
    command("variables", _variables, "list the variables that change the defaults")
    return parser


# === COMMANDS === #
def _setup(settings: Settings, _options) -> int:
    from .provision import setup

    setup(settings, "demo")
    console.say(f"Ready ({console.elapsed():.0f} s).")
    return 0


def _demo(settings: Settings, options) -> int:
    from .demo import demo

    return demo(settings, reset=options.reset, job=not options.no_job)


def _stop(settings: Settings, _options) -> int:
    from .demo import stop

    return stop(settings)


def _status(settings: Settings, _options) -> int:
    from .demo import status

    return status(settings)


def _test(settings: Settings, options) -> int:
    from .testing import test

    return test(settings, parts=options.only, tags=options.tags)


def _bench(settings: Settings, options) -> int:
    from .demo import bench

    arguments = ["--quick"] if options.quick else []
    if options.results:
        arguments.append(f"--results={os.path.abspath(options.results)}")
    return bench(settings, [*arguments, *options.names])


def _month(settings: Settings, options) -> int:
    from .demo import month

    arguments = [f"--orders={options.orders}"] if options.orders else []
    if options.samples:
        arguments.append(f"--samples={os.path.abspath(options.samples)}")
    return month(settings, arguments)


def _lint(settings: Settings, options) -> int:
    from .linting import lint

    return lint(settings, fix=options.fix or settings.lint_fix)


def _lint_tool(settings: Settings, options) -> int:
    from .linting import lint_tool

    return lint_tool(settings, options.tool, options.files)


def _schemas(settings: Settings, _options) -> int:
    from .schemas import schemas

    return schemas(settings)


def _lock(settings: Settings, _options) -> int:
    from .packaging import lock

    return lock(settings)


def _wheel(settings: Settings, _options) -> int:
    from .packaging import wheel

    return wheel(settings)


def _screenshots(settings: Settings, _options) -> int:
    from .demo import screenshots

    return screenshots(settings)


def _clean(settings: Settings, options) -> int:
    from .broker import Broker
    from .demo import stop
    from .provision import is_ours

    stop(settings, cluster=False)
    Cluster(settings).remove()
    Broker(settings).remove()
    if options.databases:
        shutil.rmtree(settings.home / "data", ignore_errors=True)
    elif is_ours(settings):
        shutil.rmtree(settings.home)
    console.say("Clean.")
    return 0


def _shell(settings: Settings, options) -> int:
    from .demo import demo_role

    Cluster(settings).start()
    role = demo_role(settings)
    command = role.odoo.command(
        "shell",
        "-c",
        role.write_config(),
        "--no-http",
        "--workers=0",
        "--max-cron-threads=0",
        *options.arguments,
    )
    os.execvpe(command[0], command, {**os.environ, **role.env})


def _psql(settings: Settings, options) -> int:
    cluster = Cluster(settings)
    cluster.start()
    command = cluster.psql_command(options.database or settings.demo_database)
    os.execvp(command[0], [*command, *options.arguments])


def _logs(settings: Settings, options) -> int:
    logs = sorted(settings.logs.glob("*.log"))
    if not logs:
        raise HubError("There are no logs yet.")
    os.execvp("tail", ["tail", f"--lines={options.lines}", "-F", *map(str, logs)])


def _variables(_settings: Settings, _options) -> int:
    for name, meaning in VARIABLES.items():
        console.say(f"{name}\n    {meaning}")
    return 0
