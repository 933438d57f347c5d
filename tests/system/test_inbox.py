"""The inbox under real deaths: of the server that answers, of the job that works."""

import json
import os
import signal
import subprocess
import textwrap
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from hubtools.mainjob import CAPTURED, SHOP, Desk

DEATHS = 3
DATA = {
    "amount": "10.00",
    "currency": "USD",
    "captured_at": "2026-01-20T10:00:00Z",
}


@pytest.fixture
def desk(hub, receiver, settings) -> Desk:
    """The demo's people and systems, with both connectors live."""
    desk = Desk(
        hub.url, hub.database, receiver, settings.run / "system-test-secrets.json"
    )
    desk.go_live()
    return desk


def test_acknowledged_is_stored(desk, hub):
    """cap 38: a server that dies under fire has stored all that it acknowledged.

    What it stored and could not acknowledge is known again when it is sent again.
    """
    shop = desk.shop()
    mark = uuid.uuid4().hex[:8]
    names = [f"msg_{mark}_{number}" for number in range(600)]
    body = shop.envelope(CAPTURED, {**DATA, "provider_ref": "x", "document_ref": "y"})
    acknowledged, enough = set(), threading.Event()

    def send(name):
        try:
            answer = shop.send(CAPTURED, DATA, identifier=name, body=body)
        except (OSError, HTTPException):
            return None
        if answer.status == 202:
            acknowledged.add(name)
        if len(acknowledged) > 100:
            enough.set()
        return answer.status

    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, name) for name in names]
        assert enough.wait(60)
        hub.kill()
        statuses = [future.result() for future in sending]
    assert None in statuses, "killed too late to prove anything"
    stored = _names(hub, mark)
    assert stored >= acknowledged, f"{len(acknowledged - stored)} are lost"
    hub.resume()
    with ThreadPoolExecutor(8) as pool:
        again = {
            name: answer.content["duplicate"]
            for name, answer in zip(
                names,
                pool.map(
                    lambda name: shop.send(CAPTURED, DATA, identifier=name, body=body),
                    names,
                ),
                strict=True,
            )
        }
    assert {name for name, duplicate in again.items() if duplicate} == stored
    assert _names(hub, mark) == set(names)


def _names(hub, mark) -> set[str]:
    rows = hub.sql(
        "SELECT external_id FROM finance_message WHERE external_id LIKE %s",
        [f"msg_{mark}_%"],
    )
    assert len({row["external_id"] for row in rows}) == len(rows)
    return {row["external_id"] for row in rows}


def test_what_kills_its_process_is_parked(desk, hub):
    """cap 40: three real deaths in one command, and it is before a person."""
    mark = uuid.uuid4().hex[:8]
    references = [f"{mark}-{number}" for number in range(6)]
    hub.stop()
    assert _run(hub, _storing(references)) == 0
    for death in range(DEATHS):
        assert _run(hub, _processing(references[2])) == -signal.SIGKILL
        assert _state(hub, references[2]) == "received", f"after {death + 1} deaths"
    assert _run(hub, _processing(references[2])) == 0
    assert _state(hub, references[2]) == "failed"
    assert {_state(hub, name) for name in references if name != references[2]} == {
        "applied"
    }
    opened = hub.sql(
        "SELECT x.state FROM finance_exception x JOIN finance_command c "
        "ON x.res_model = 'finance.command' AND x.res_id = c.id "
        "WHERE x.code = 'T-INTERNAL' AND c.data_kept->>'provider_ref' = %s",
        [references[2]],
    )
    assert opened == [{"state": "open"}]


def _run(hub, script: str) -> int:
    """Run a script inside an Odoo process of its own; return how it ended."""
    role = hub.role
    command = role.odoo.command(
        "shell",
        "-c",
        role.write_config(),
        "-d",
        role.database,
        "--no-http",
        "--workers=0",
        "--max-cron-threads=0",
    )
    done = subprocess.run(
        [str(part) for part in command],
        input=script,
        text=True,
        env={**os.environ, **role.env},
        cwd=role.settings.home,
        check=False,
    )
    return done.returncode


def _state(hub, reference) -> str:
    return hub.value(
        "SELECT state FROM finance_command WHERE data_kept->>'provider_ref' = %s",
        [reference],
    )


def _storing(references) -> str:
    """A script that stores messages about one object, and wakes nobody."""
    bodies = {
        name: json.dumps(
            {
                "specversion": "1.0",
                "id": name,
                "source": "urn:test",
                "type": CAPTURED,
                "datacontenttype": "application/json",
                "data": {**DATA, "provider_ref": name, "parent_ref": "one"},
            }
        )
        for name in references
    }
    return textwrap.dedent(
        f"""
        connector = env["finance.connector"].search([("code", "=", {SHOP!r})])
        for name, body in {bodies!r}.items():
            env["finance.message"]._receive(
                connector, name, body.encode(),
                {{"Content-Type": "application/cloudevents+json"}}, "127.0.0.1", "test",
            )
        env.cr.postcommit.clear()
        env.cr.commit()
        """
    )


def _processing(poison) -> str:
    """A script that processes, and dies as soon as it comes to one command."""
    return textwrap.dedent(
        f"""
        import os, signal
        from odoo.addons.finance_hub.models.inbox.processing import Processor

        def handle(handler, command, content):
            if content.provider_ref == {poison!r}:
                os.kill(os.getpid(), signal.SIGKILL)

        type(env["finance.handler.payment.captured"])._handle = handle
        env.cr.rollback()
        Processor(env.registry).run(60)
        """
    )
