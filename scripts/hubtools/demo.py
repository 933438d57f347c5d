"""The demo: start it, run the main job once, tell what to look at; stop it."""

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

from .apt import BROWSERS
from .cluster import Cluster
from .console import elapsed, note, say, step
from .databases import Databases, addon_digest
from .mainjob import Desk, Outcome, main_job
from .odoo import OdooRole
from .process import Background
from .provision import setup, stamp, stamped
from .receiving import Receiver
from .settings import ADDON, HubError, Settings


def demo_role(settings: Settings) -> OdooRole:
    """The demo's Odoo."""
    return OdooRole(
        settings,
        "demo",
        settings.demo_database,
        settings.port,
        "HUB_PORT",
        workers=settings.workers,
        front=True,
    )


def demo_receiver(settings: Settings) -> Receiver:
    """The demo's receiver."""
    return Receiver(settings, "demo", settings.receiver_port, "HUB_RECEIVER_PORT")


def demo(settings: Settings, *, reset: bool, job: bool) -> int:
    """Start the demo, and run the main job once.

    :param reset: begin with a new database
    :param job: whether to run the main job
    :return: the exit code
    """
    setup(settings, "demo")
    role = demo_role(settings)
    receiver = demo_receiver(settings)
    databases = Databases(settings)
    code = addon_digest(settings)
    installed = f"installed-{role.database}"
    outcome = settings.stamps / f"main-job-{role.database}.json"
    if reset:
        role.stop()
        receiver.stop()
        databases.drop(role.database, role)
    if role.database not in databases.cluster.databases():
        outcome.unlink(missing_ok=True)
        _create(role, databases)
        stamp(settings, installed, code)
    elif stamped(settings, installed) != code:
        with step(f"Demo database {role.database}: the addon's code changed, updating"):
            role.stop()
            role.run("--update", ADDON, what=f"updating {ADDON}")
            stamp(settings, installed, code)
    with step("Receiver"):
        receiver.start()
        note(receiver.url)
    with step(f"Odoo with {settings.workers} workers and queue_job's runner"):
        role.start()
        role.wait_runner()
        note(role.url)
    desk = Desk(
        role.url,
        role.database,
        receiver,
        settings.run / f"secrets-{role.database}.json",
    )
    with step("Connectors"):
        desk.go_live()
        note("configured by hub_admin, approved by hub_approver: both are live")
    if job and not outcome.exists():
        done = main_job(desk)
        outcome.write_text(json.dumps(asdict(done)))
    found = Outcome(**json.loads(outcome.read_text())) if outcome.exists() else None
    _tell(settings, role, receiver, found)
    return 0


def _create(role: OdooRole, databases: Databases) -> None:
    """Make the demo database: under another name first, so it is whole or absent."""
    base = databases.platform_template(demo=True, chart=True)
    with step(f"Demo database {role.database}"):
        final = role.database
        role.database = f"{final}_new"
        try:
            databases.copy(base, role.database, role)
            role.run("--init", ADDON, "--with-demo", what=f"installing {ADDON}")
            store = databases.file_store(role.name, role.database)
            target = databases.file_store(role.name, final)
            if store.exists():
                store.replace(target)
            databases.cluster.rename(role.database, final)
        finally:
            role.database = final


def _tell(
    settings: Settings, role: OdooRole, receiver: Receiver, outcome: Outcome | None
) -> None:
    say(
        f"""
The demo runs ({elapsed():.0f} s).

  Odoo        {role.url}/odoo
  Receiver    {receiver.url}    what the warehouse got; buttons that break it

  Logins (the password is the login)
    hub_admin      administrator: connectors, endpoints, credentials
    hub_operator   operator: follows events, retries, corrects and resubmits
    hub_approver   approver: puts connectors live, decides as the second person
    hub_auditor    auditor: sees everything, changes nothing
    admin          Odoo's own administrator"""
    )
    if outcome:
        say(
            f"""
  What to look at (menu Finance Integration)
    Going Out › Events         {outcome.invoice} posted and paid, each with its
                               delivery and the receiver's answer
    Coming In › Messages       the shop's payment of {outcome.invoice}: sent many
                               times, booked once
    Exceptions                 a payment with a wrong invoice number: as hub_operator
                               open it, Correct & Resubmit, and enter
                               {outcome.open_invoice}
    Break the receiver         press “Answer 503 (broken)” on its page, post an
                               invoice, and within a minute its delivery is an
                               exception; press “Answer OK” and then Retry"""
        )
    say(
        f"""
  make stop           stops it                make demo RESET=1   begins anew
  make logs           follows the logs        ({settings.logs})
"""
    )


def stop(settings: Settings, *, cluster: bool = True) -> int:
    """Stop everything that was started from this state folder.

    :param cluster: whether to stop PostgreSQL, too
    :return: the exit code
    """
    stopped = []
    for kind in ("front", "odoo", "receiver", "broker"):
        for note_file in sorted(settings.run.glob(f"{kind}-*.json")):
            name = note_file.stem
            if name.endswith("-secrets"):
                continue
            if Background(name, note_file, settings.logs / f"{name}.log").stop():
                stopped.append(name)
    if cluster and Cluster(settings).stop():
        stopped.append("PostgreSQL")
    say(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    return 0


def status(settings: Settings) -> int:
    """Tell what runs.

    :return: 0 when the demo runs, else 3 (as service managers answer)
    """
    role, receiver = demo_role(settings), demo_receiver(settings)
    cluster = Cluster(settings)
    running = cluster.running()
    for name, state in (
        ("PostgreSQL", f"socket {settings.pg_socket}" if running else ""),
        ("Odoo", role.background.pid and f"{role.url} (process {role.background.pid})"),
        (
            "Receiver",
            receiver.background.pid
            and f"{receiver.url} (process {receiver.background.pid})",
        ),
    ):
        say(f"{name:12} {state or 'not running'}")
    if running:
        say(f"{'Databases':12} {', '.join(cluster.databases()) or 'none'}")
    return 0 if role.background.pid and receiver.background.pid else 3


# === SCRIPTS OF THE PROJECT THAT NEED THE ENVIRONMENT === #
def bench(settings: Settings, arguments: list[str]) -> int:
    """Run the benchmarks in the virtual environment."""
    script = settings.root / "benchmarks" / "run.py"
    if not script.exists():
        raise HubError("There is no benchmarks/run.py.")
    setup(settings, "demo", "test")
    return _script(settings, script, arguments)


def month(settings: Settings, arguments: list[str]) -> int:
    """Run the month of a shop in the virtual environment."""
    setup(settings, "demo", "test")
    script = settings.root / "benchmarks" / "month" / "run.py"
    return _script(settings, script, arguments)


def screenshots(settings: Settings) -> int:
    """Photograph the screens of the running demo."""
    script = settings.root / "scripts" / "screenshots.py"
    if not script.exists():
        raise HubError("There is no scripts/screenshots.py.")
    role = demo_role(settings)
    if not role.background.pid:
        raise HubError("The demo does not run; start it with: make demo")
    setup(settings, "demo", "screenshots", browser=True)
    folder = settings.home / "screenshots"
    chromium = next(filter(None, map(shutil.which, BROWSERS)))
    return _script(
        settings,
        script,
        [f"--base={role.url}", f"--folder={folder}", f"--chromium={chromium}"],
    )


def _script(settings: Settings, script: Path, arguments: list[str]) -> int:
    """Run a script of the project with the tools on its path."""
    env = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(settings.root / "scripts"),
    }
    return subprocess.run(
        [settings.venv_python, script, *arguments],
        cwd=settings.root,
        env=env,
        check=False,
    ).returncode
