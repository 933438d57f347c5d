"""The main job, from outside: what the demo shows, done as its users would do it.

Everything goes through the external interfaces: the API of Odoo as the demo's
people, HTTP as the web shop, and the receiver as the warehouse. Nothing reaches
into the database.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .console import note, step
from .process import wait_until
from .receiving import Receiver
from .rpc import Rpc
from .sender import Sender
from .settings import HubError

WAREHOUSE, SHOP = "warehouse", "shop"
CAPTURED = "payment.captured.v1"
#: How often, and by how many at once, the shop sends the same message.
REPEATS, AT_ONCE = 50, 8
#: Seconds that an arrow of the picture may take before the demo calls it broken.
PATIENCE = 60


@dataclass(frozen=True)
class Outcome:
    """What the main job left to be looked at."""

    invoice: str
    open_invoice: str
    exception: str


class Desk:
    """The people and systems of the demo, as clients of the running hub."""

    def __init__(self, url: str, database: str, receiver: Receiver, secrets: Path):
        self.url = url
        self.receiver = receiver
        self.secrets = secrets
        self.administrator = Rpc(url, database, "hub_admin", "hub_admin")
        self.approver = Rpc(url, database, "hub_approver", "hub_approver")
        self.operator = Rpc(url, database, "hub_operator", "hub_operator")
        self.accountant = Rpc(url, database, "admin", "admin")

    # === PUTTING THE CONNECTORS LIVE === #
    def go_live(self) -> None:
        """Configure both connectors as administrator, approve them as approver."""
        self._configure_warehouse()
        self._configure_shop()
        for code in (WAREHOUSE, SHOP):
            connector = self._connector(code)
            if connector["state"] == "draft":
                self._test(code, connector["id"])
                self.administrator.call(
                    "finance.connector", "action_request_review", [connector["id"]]
                )
            if self._connector(code)["state"] == "in_review":
                self.approver.call(
                    "finance.connector", "action_approve", [connector["id"]]
                )

    def _test(self, code: str, connector: int) -> None:
        """Try the connection, as going live asks for."""
        api = self.administrator
        if code == WAREHOUSE:
            found = api.search("finance.endpoint", [("connector_id", "=", connector)])
            api.call("finance.endpoint", "action_test", found)
            return
        content = {
            "specversion": "1.0",
            "id": "trial",
            "source": f"/{SHOP}",
            "type": CAPTURED,
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "provider_ref": "trial",
                "amount": "1.00",
                "currency": "EUR",
                "captured_at": "2026-01-01T00:00:00Z",
                "document_ref": "trial",
            },
        }
        trial = api.create(
            "finance.try.wizard",
            {"connector_id": connector, "content": json.dumps(content)},
        )
        api.call("finance.try.wizard", "action_try", [trial])

    def _connector(self, code: str) -> dict:
        found = self.administrator.read(
            "finance.connector",
            [("code", "=", code)],
            ["name", "state", "company_id", "payment_journal_id"],
        )
        if not found:
            raise HubError(
                f"The demo's connector “{code}” is gone; begin anew with: "
                "make demo RESET=1"
            )
        return found[0]

    def _configure_warehouse(self) -> None:
        """Endpoint, subscription, and a secret that the receiver knows."""
        api = self.administrator
        connector = self._connector(WAREHOUSE)
        credential = self._secret(connector["id"], "outbound", WAREHOUSE)
        self.receiver.set_secret(WAREHOUSE, self._known()[WAREHOUSE])
        url = self.receiver.hook(WAREHOUSE)
        endpoints = api.read(
            "finance.endpoint", [("connector_id", "=", connector["id"])], ["url"]
        )
        if endpoints:
            endpoint = endpoints[0]["id"]
            if endpoints[0]["url"] != url:
                api.write("finance.endpoint", endpoint, {"url": url})
        else:
            endpoint = api.create(
                "finance.endpoint",
                {
                    "name": "Warehouse",
                    "connector_id": connector["id"],
                    "credential_id": credential,
                    "url": url,
                    # Short, so that a person who breaks the receiver sees the
                    # exception within a minute.
                    "retry_schedule": "0,5,15",
                },
            )
        if not api.count("finance.subscription", [("endpoint_id", "=", endpoint)]):
            api.create(
                "finance.subscription",
                {
                    "name": "Everything",
                    "endpoint_id": endpoint,
                    "patterns": "finance.*",
                },
            )

    def _configure_shop(self) -> None:
        """A secret that the shop knows, and the journal for its payments."""
        api = self.administrator
        connector = self._connector(SHOP)
        self._secret(connector["id"], "inbound", SHOP)
        journal = (connector["payment_journal_id"] or [self._bank(connector)])[0]
        if not connector["payment_journal_id"]:
            api.write(
                "finance.connector", connector["id"], {"payment_journal_id": journal}
            )
        self._set_outstanding_account(journal)

    def _bank(self, connector: dict) -> int:
        """The bank journal of a connector's company."""
        company = connector["company_id"][0]
        domain = [("type", "=", "bank"), ("company_id", "=", company)]
        return self.administrator.search("account.journal", domain, limit=1)[0]

    def _set_outstanding_account(self, journal: int) -> None:
        """Choose where captured payments wait for the bank, as an accountant does.

        Odoo leaves it open; without it a payment has no entry to match.
        """
        api = self.accountant
        lines = api.read(
            "account.payment.method.line",
            [("journal_id", "=", journal), ("payment_type", "=", "inbound")],
            ["payment_account_id"],
        )
        if any(line["payment_account_id"] for line in lines):
            return
        account = api.search(
            "account.account", [("name", "=", "Outstanding Receipts")], limit=1
        )
        api.write(
            "account.payment.method.line",
            [line["id"] for line in lines],
            {"payment_account_id": account[0]},
        )

    def _known(self) -> dict[str, str]:
        """The secrets that were shown once, and that the demo wrote down."""
        try:
            return json.loads(self.secrets.read_text())
        except (OSError, ValueError):
            return {}

    def _secret(self, connector: int, direction: str, name: str) -> int:
        """Have a secret made, unless its owner still knows the last one.

        :return: the credential's id
        """
        api = self.administrator
        domain = [("connector_id", "=", connector), ("direction", "=", direction)]
        found = api.read("finance.credential", domain, ["state"], limit=1)
        known = self._known()
        credential = found[0]["id"]
        if found[0]["state"] != "active" or name not in known:
            shown = api.call("finance.credential", "action_generate", [credential])
            known[name] = shown["params"]["secret"]
            self.secrets.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as stream:
                json.dump(known, stream)
        return credential

    # === BUSINESS === #
    def invoice(self, reference: str, amount: float) -> dict:
        """Post a customer invoice as the operator.

        :return: its ``id``, ``name``, ``amount_total`` and currency
        """
        api = self.operator
        partner = api.search(
            "res.partner",
            [("is_company", "=", True), ("customer_rank", ">", 0)],
            limit=1,
        )
        move = api.create(
            "account.move",
            {
                "move_type": "out_invoice",
                "partner_id": partner[0],
                "ref": reference,
                "invoice_date": datetime.now(UTC).date().isoformat(),
                "invoice_line_ids": [
                    (0, 0, {"name": reference, "quantity": 1, "price_unit": amount})
                ],
            },
        )
        api.call("account.move", "action_post", [move])
        return self.read_invoice(move)

    def read_invoice(self, move: int) -> dict:
        fields = ["name", "amount_total", "currency_id", "payment_state"]
        return self.operator.read("account.move", [("id", "=", move)], fields)[0]

    def shop(self) -> Sender:
        """The web shop, with the secret it was given."""
        return Sender(self.url, SHOP, self._known()[SHOP])

    def await_event(self, event_type: str, word: str, after: int = 0) -> dict:
        """Wait until the warehouse has taken a genuine event about something.

        :param word: what its body must contain
        :raise HubError: when it does not come
        """
        found: list[dict] = []

        def arrived() -> bool:
            items = self.receiver.received(after, type=event_type)["items"]
            found[:] = [
                item for item in items if item["verified"] and word in item["body"]
            ]
            return bool(found)

        if not wait_until(arrived, PATIENCE, pause=0.3):
            raise HubError(
                f"{event_type} of {word} did not reach the receiver within "
                f"{PATIENCE} s. Look at Going Out › Deliveries and at `make logs`."
            )
        return found[0]


def captured(invoice: dict, reference: str, document: str | None = None) -> dict:
    """The data of a ``payment.captured`` command that pays an invoice."""
    return {
        "provider_ref": reference,
        "amount": f"{invoice['amount_total']:.2f}",
        "currency": invoice["currency_id"][1],
        "captured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "document_ref": document or invoice["name"],
        "payer_name": "Demo customer",
        "method": "card",
    }


def main_job(desk: Desk) -> Outcome:
    """Run the main job once: invoice out, payment in, one exception left to solve.

    :raise HubError: when any arrow does not arrive
    """
    stamp = datetime.now(UTC).strftime("%H%M%S")
    with step("Main job: an invoice goes out"):
        invoice = desk.invoice(f"Demo order {stamp}-1", 1000.0)
        note(f"{invoice['name']} posted by hub_operator")
        item = desk.await_event("finance.invoice.posted.v2", invoice["name"])
        note(f"its event {item['id']} reached the receiver, signature verified")
    with step("Main job: its payment comes in"):
        reference = f"pay_{stamp}_1"
        _pay_once(desk, invoice, reference)
        item = desk.await_event("finance.invoice.paid.v2", invoice["name"])
        note(f"{invoice['name']} is paid, and the receiver was told: {item['id']}")
    with step("Main job: a payment that nobody can match"):
        other = desk.invoice(f"Demo order {stamp}-2", 250.0)
        exception = _pay_wrongly(desk, other, f"pay_{stamp}_2")
        note(f"exception: {exception}")
    return Outcome(invoice["name"], other["name"], exception)


def _pay_once(desk: Desk, invoice: dict, reference: str) -> None:
    """Send one payment many times, at once too, and see that it is booked once."""
    shop = desk.shop()
    data = captured(invoice, reference)
    body = shop.envelope(CAPTURED, data, reference)

    def send(_number: int) -> int:
        return shop.send(CAPTURED, data, identifier=reference, body=body).status

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = set(pool.map(send, range(REPEATS)))
    if statuses != {202}:
        raise HubError(f"The hub answered the shop with {sorted(statuses)}, not 202.")
    note(f"payment.captured sent {REPEATS} times, {AT_ONCE} at once: 202 each time")

    def paid() -> bool:
        state = desk.read_invoice(invoice["id"])["payment_state"]
        return state in ("paid", "in_payment")

    if not wait_until(paid, PATIENCE, pause=0.3):
        raise HubError(
            f"{invoice['name']} was not paid within {PATIENCE} s. Look at Coming In › "
            "Messages and at `make logs`."
        )
    payments = desk.operator.count(
        "account.payment", [("payment_reference", "=", reference)]
    )
    if payments != 1:
        raise HubError(f"{payments} payments were booked for one message.")
    note("one payment was booked and matched")


def _pay_wrongly(desk: Desk, invoice: dict, reference: str) -> str:
    """Send a payment with a wrong invoice number, and wait for the exception.

    :return: the exception's summary
    """
    wrong = f"{invoice['name']}-X"
    answer = desk.shop().send(CAPTURED, captured(invoice, reference, wrong))
    if answer.status != 202:
        raise HubError(f"The hub answered the shop with {answer.status}, not 202.")
    domain = [("code", "=", "B-UNMATCHED"), ("state", "=", "open")]
    found: list[dict] = []

    def opened() -> bool:
        found[:] = desk.operator.read(
            "finance.exception", domain, ["summary", "cause"], order="id desc", limit=1
        )
        return bool(found) and wrong in f"{found[0]['summary']} {found[0]['cause']}"

    if not wait_until(opened, PATIENCE, pause=0.3):
        raise HubError(
            f"No exception was opened within {PATIENCE} s for a payment of “{wrong}”."
        )
    return found[0]["summary"]
