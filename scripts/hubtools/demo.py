"""The demo: start it, run the main job once, tell what to look at; stop it."""

import os
import subprocess
from pathlib import Path

from .cluster import Cluster
from .console import elapsed, note, say, step
from .databases import Databases
from .odoo import OdooRole
from .process import Background
from .provision import setup
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
    from .mainjob import main_job

    setup(settings, "demo")
    role = demo_role(settings)
    receiver = demo_receiver(settings)
    databases = Databases(settings)
    if reset:
        role.stop()
        databases.drop(role.database, role)
    if role.database not in databases.cluster.databases():
        _create(role, databases)
    with step("Receiver"):
        receiver.start()
        note(receiver.url)
    with step(f"Odoo with {settings.workers} workers and queue_job's runner"):
        role.start()
        role.wait_runner()
        note(role.url)
    if job:
        main_job(settings, role, receiver)
    _tell(settings, role, receiver)
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


def _tell(settings: Settings, role: OdooRole, receiver: Receiver) -> None:
    say(
        f"""
The demo runs ({elapsed():.0f} s).

  Odoo        {role.url}
  Receiver    {receiver.url}    (what was delivered; buttons that break it)

  Logins (password = login)
    hub_admin      administrator: connectors, credentials, everything
    hub_operator   operator: watches events and deliveries, retries them
    hub_approver   approver: decides what another one corrected
    hub_auditor    auditor: sees everything, changes nothing

  Stop it with: make stop        Begin anew with: make demo RESET=1
  Logs: {settings.logs}
"""
    )


def stop(settings: Settings, *, cluster: bool = True) -> int:
    """Stop everything that was started from this state folder.

    :param cluster: whether to stop PostgreSQL, too
    :return: the exit code
    """
    stopped = []
    for note_file in sorted(settings.run.glob("odoo-*.json")):
        name = note_file.stem
        if Background(name, note_file, settings.logs / f"{name}.log").stop():
            stopped.append(name)
    for note_file in sorted(settings.run.glob("receiver-*.json")):
        if note_file.stem.endswith("-secrets"):
            continue
        name = note_file.stem
        if Background(name, note_file, settings.logs / f"{name}.log").stop(5):
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


def screenshots(settings: Settings) -> int:
    """Photograph the screens of the running demo."""
    script = settings.root / "scripts" / "screenshots.py"
    if not script.exists():
        raise HubError("There is no scripts/screenshots.py.")
    setup(settings, "demo", "screenshots", browser=True)
    return _script(settings, script, [])


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
