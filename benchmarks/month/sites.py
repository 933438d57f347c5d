"""The hub as the month needs it, set up through its own interfaces; and the senders."""

import threading
from base64 import b64encode
from http.client import HTTPConnection
from urllib.parse import urlsplit

from shop import Delivery, Month

from hubtools.rpc import Rpc
from hubtools.system import Hub

#: Invoices made and posted in one call.
CHUNK = 50
#: The key of whoever fetches reports and statements from provider and bank.
API_KEY = "0123456789abcdef0123456789abcdef"
KEY_HEADER = "X-Api-Key"


class Connection:
    """The way of one external system to its connector; one socket per thread."""

    def __init__(self, url: str, code: str):
        self._address = urlsplit(url)
        self._path = f"/finance/v1/inbound/{code}"
        self._local = threading.local()

    def send(self, delivery: Delivery) -> int:
        """POST one message; return the answer's status."""
        headers = {"Content-Type": delivery.content_type, KEY_HEADER: API_KEY}
        for attempt in (1, 2):
            socket = getattr(self._local, "socket", None)
            if socket is None:
                socket = self._local.socket = HTTPConnection(
                    self._address.hostname, self._address.port, timeout=60
                )
            try:
                socket.request("POST", self._path, delivery.body, headers)
                answer = socket.getresponse()
                answer.read()
                return answer.status
            except OSError:
                # The server closed a connection that was idle.
                self._local.socket = None
                if attempt == 2:
                    raise
        return 0


class Bookkeeping:
    """Accounts, journals and connectors of the month, and its invoices."""

    CLEARING = "101777"
    FEES = "601777"
    DISPUTES = "101778"

    def __init__(self, hub: Hub, hmac_key: str, iban: str):
        self.hub = hub
        self.hmac_key = hmac_key
        self.iban = iban
        self.accountant: Rpc = hub.rpc("admin")
        self.administrator: Rpc = hub.rpc("hub_admin")
        self.approver: Rpc = hub.rpc("hub_approver")
        (company,) = self.accountant.read(
            "res.company", [("id", "=", 1)], ["name", "currency_id"]
        )
        self.currency = company["currency_id"][1]

    # === SETTING UP === #
    def prepare(self, month: Month) -> None:
        """Make what an accountant and an administrator make once."""
        notification = next(iter(month.notifications())).body
        statement = next(iter(month.statements())).body
        clearing = self._account(self.CLEARING, "Provider clearing", "asset_current")
        fees = self._account(self.FEES, "Provider fees", "expense", reconcile=False)
        disputes = self._account(self.DISPUTES, "Disputed payments", "asset_current")
        provider = self._journal("Provider", "PRV", clearing)
        bank = self._journal("House bank", "HBK", None, iban=self.iban)
        self._connector(
            "provider",
            {
                "adapter": "adyen",
                "file_adapter": "adyen_settlement",
                "payment_journal_id": provider,
                "fee_account_id": fees,
                "dispute_account_id": disputes,
            },
            [
                ("adyen", self.hmac_key, {}),
                ("api_key", API_KEY, {"inbound_header": KEY_HEADER}),
            ],
            notification,
        )
        self._connector(
            "bank",
            {"adapter": "camt", "payment_journal_id": bank},
            [("api_key", API_KEY, {"inbound_header": KEY_HEADER})],
            statement,
        )

    def _account(self, code, name, kind, *, reconcile=True) -> int:
        return self.accountant.create(
            "account.account",
            {"code": code, "name": name, "account_type": kind, "reconcile": reconcile},
        )

    def _journal(self, name, code, clearing, iban=None) -> int:
        values = {"name": name, "code": code, "type": "bank"}
        if iban:
            values["bank_acc_number"] = iban
        journal = self.accountant.create("account.journal", values)
        if clearing:
            lines = self.accountant.search(
                "account.payment.method.line", [("journal_id", "=", journal)]
            )
            self.accountant.write(
                "account.payment.method.line", lines, {"payment_account_id": clearing}
            )
        return journal

    def _connector(self, code, values, credentials, trial: bytes) -> int:
        """Make a connector live.

        :param trial: a message that it has to understand before
        """
        api = self.administrator
        connector = api.create(
            "finance.connector",
            {
                "name": code.capitalize(),
                "code": code,
                "runbook": "<p>Ask the other side to send it again.</p>",
                **values,
            },
        )
        for scheme, secret, settings in credentials:
            credential = api.create(
                "finance.credential",
                {
                    "name": f"{code} {scheme}",
                    "connector_id": connector,
                    "direction": "inbound",
                    "scheme": scheme,
                    **settings,
                },
            )
            self.enter_secret(credential, secret)
        trying = api.create(
            "finance.try.wizard",
            {"connector_id": connector, "upload": b64encode(trial).decode()},
        )
        api.call("finance.try.wizard", "action_try", [trying])
        api.call("finance.connector", "action_request_review", [connector])
        self.approver.call("finance.connector", "action_approve", [connector])
        return connector

    def enter_secret(self, credential: int, secret: str) -> None:
        """Enter the secret that the other side made, as the form does."""
        self.administrator.write(
            "finance.credential", credential, {"secret_input": secret}
        )

    # === BUSINESS === #
    def invoice(self, month: Month) -> None:
        """Post one invoice for each order, and note its number."""
        api = self.accountant
        partners = api.search(
            "res.partner",
            [("is_company", "=", True), ("customer_rank", ">", 0)],
            limit=20,
        )
        for start in range(0, len(month.orders), CHUNK):
            orders = month.orders[start : start + CHUNK]
            ids = api.call(
                "account.move",
                "create",
                [
                    {
                        "move_type": "out_invoice",
                        "partner_id": partners[order.number % len(partners)],
                        "ref": f"ORDER-{order.number}",
                        "invoice_date": str(order.day),
                        "invoice_line_ids": [
                            (
                                0,
                                0,
                                {
                                    "name": f"Order {order.number}",
                                    "quantity": 1,
                                    "price_unit": float(order.amount),
                                    "tax_ids": [(5, 0, 0)],
                                },
                            )
                        ],
                    }
                    for order in orders
                ],
            )
            api.call("account.move", "action_post", ids)
            names = api.call("account.move", "read", ids, ["name"])
            for order, row in zip(orders, names, strict=True):
                order.invoice = row["name"]
