#!/usr/bin/env python3
"""A month of a shop, twice: undisturbed, and as networks really are (``make month``).

The same invoices are posted, then the provider's notifications and settlement reports
and the bank's statements are sent over HTTP to a real server with its job runner: once
one after the other in the order of time, and once shuffled, each three times, over
eight connections. At the end both books must be the same, and right: every invoice in
its state, nothing left on the clearing account, the fees as reported.

With ``--samples FOLDER`` (``make month SAMPLES=folder``) every file of a folder is sent
as well, to a connector of the format that its content shows; what became of each is
listed.
"""

import argparse
import random
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from samples import send_samples
from shop import IBAN, Delivery, Month
from sites import Bookkeeping, Connection

from hubtools.databases import Databases
from hubtools.settings import BENCH_DATABASE, HubError, Settings
from hubtools.system import BENCH, Hub

#: The month; long enough ago that every payout is on the bank account.
FIRST_DAY = date(2026, 2, 1)
#: With which the made-up provider signs.
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
#: How often each message comes in the disturbed run, and over how many connections.
REPEATS, CONNECTIONS = 3, 8
#: Seconds until a run that makes no progress gives up.
PATIENCE = 900
PREPARED = f"{BENCH_DATABASE}_month"


@dataclass
class Books:
    """What a run left behind."""

    seconds: float
    sent: int
    answers: Counter
    invoices: dict[str, tuple[str, Decimal]]
    balances: dict[str, Decimal]
    clearing_open: Decimal
    fees: Decimal
    transactions: dict[str, tuple]
    exceptions: Counter
    commands: Counter
    duplicates: int
    payouts: Counter = field(default_factory=Counter)


class Run:
    """One run of the month on a copy of the prepared database."""

    def __init__(self, hub: Hub, databases: Databases, month: Month):
        self.hub = hub
        self.databases = databases
        self.month = month
        #: The newest exception and command of the preparation: what the files of a
        #: folder left open is theirs, not the month's.
        self.prepared = {"exception": 0, "command": 0}

    def __call__(self, *, disturbed: bool) -> Books:
        self.hub.stop()
        # The same database: with another identity its audit trail would be foreign.
        self.databases.cluster.copy(PREPARED, self.hub.database)
        self.hub._clients.clear()
        self.hub.start()
        self.prepared = {
            name: self.hub.value(f"SELECT COALESCE(max(id), 0) FROM finance_{name}")
            for name in self.prepared
        }
        connections = {
            code: Connection(self.hub.url, code) for code in ("provider", "bank")
        }
        deliveries = [
            *self.month.notifications(),
            *self.month.reports(),
            *self.month.statements(),
        ]
        began = time.monotonic()
        if disturbed:
            deliveries *= REPEATS
            # In the same disorder each time, so that a failure can be repeated.
            random.Random(7).shuffle(deliveries)
        answers: Counter = Counter()

        def send(delivery: Delivery) -> None:
            answers[connections[delivery.connector].send(delivery)] += 1

        with ThreadPoolExecutor(CONNECTIONS if disturbed else 1) as pool:
            list(pool.map(send, deliveries))
        self._settle()
        return self._books(time.monotonic() - began, len(deliveries), answers)

    def _settle(self) -> None:
        """Wait until everything that came in has been dealt with."""
        query = """
            SELECT (SELECT count(*) FROM finance_message WHERE state = 'received')
                 + (SELECT count(*) FROM finance_command
                     WHERE state IN ('received', 'waiting') AND id > %s)
        """
        newest = [self.prepared["command"]]
        if not self.hub.wait_until(
            lambda: not self.hub.value(query, newest), PATIENCE, 0.5
        ):
            left = self.hub.sql(
                "SELECT type, state, error_code, waits_for, count(*) "
                "FROM finance_command WHERE state IN ('received', 'waiting') "
                "AND id > %s GROUP BY 1, 2, 3, 4 LIMIT 10",
                newest,
            )
            print(f"  not settled after {PATIENCE} s: {left}")

    # === WHAT IS THERE === #
    def _books(self, seconds: float, sent: int, answers: Counter) -> Books:
        rows, value = self.hub.sql, self.hub.value
        return Books(
            seconds,
            sent,
            answers,
            {
                row["name"]: (row["payment_state"], row["amount_residual"])
                for row in rows(
                    "SELECT name, payment_state, amount_residual FROM account_move "
                    "WHERE ref LIKE 'ORDER-%' AND move_type = 'out_invoice'"
                )
            },
            {
                row["code"]: row["balance"]
                for row in rows(
                    "SELECT a.code_store->>'1' AS code, sum(l.balance) AS balance "
                    "FROM account_move_line l JOIN account_account a "
                    "ON a.id = l.account_id WHERE l.parent_state = 'posted' "
                    "GROUP BY 1 ORDER BY 1"
                )
            },
            value(
                "SELECT COALESCE(sum(l.amount_residual), 0) FROM account_move_line l "
                "JOIN account_account a ON a.id = l.account_id "
                "WHERE l.parent_state = 'posted' AND NOT l.reconciled "
                "AND a.code_store->>'1' = %s",
                [Bookkeeping.CLEARING],
            ),
            value(
                "SELECT COALESCE(sum(l.balance), 0) FROM account_move_line l "
                "JOIN account_account a ON a.id = l.account_id "
                "WHERE l.parent_state = 'posted' AND a.code_store->>'1' = %s",
                [Bookkeeping.FEES],
            ),
            {
                row["provider_ref"]: (
                    row["execution"],
                    row["settlement"],
                    row["refund"],
                    row["dispute"],
                    row["accounting"],
                )
                for row in rows(
                    "SELECT provider_ref, execution, settlement, refund, dispute, "
                    "accounting FROM finance_transaction"
                )
            },
            Counter(
                {
                    row["code"]: row["count"]
                    for row in rows(
                        "SELECT code, count(*) FROM finance_exception "
                        "WHERE state IN ('open', 'in_progress') AND id > %s "
                        "GROUP BY 1",
                        [self.prepared["exception"]],
                    )
                }
            ),
            Counter(
                {
                    f"{row['type']} {row['state']}": row["count"]
                    for row in rows(
                        "SELECT type, state, count(*) FROM finance_command "
                        "WHERE id > %s GROUP BY 1, 2",
                        [self.prepared["command"]],
                    )
                }
            ),
            value("SELECT count(*) FROM finance_message_duplicate"),
            Counter(
                {
                    row["state"]: row["count"]
                    for row in rows(
                        "SELECT state, count(*) FROM finance_payout GROUP BY 1"
                    )
                }
            ),
        )


def _problems(month: Month, calm: Books, rough: Books) -> list[str]:
    """What is not as it has to be, in words."""
    found = []
    for name, books in (("undisturbed", calm), ("disturbed", rough)):
        if set(books.answers) != {200} and set(books.answers) - {200, 202}:
            found.append(f"{name}: answers were {dict(books.answers)}")
        if books.clearing_open:
            found.append(f"{name}: {books.clearing_open} is left on the clearing")
        if books.fees != month.fees():
            found.append(f"{name}: fees of {books.fees} instead of {month.fees()}")
        wrong = {
            order.invoice: books.invoices.get(order.invoice)
            for order in month.orders
            if books.invoices.get(order.invoice) not in _right_states(month, order)
        }
        if wrong:
            found.append(
                f"{name}: {len(wrong)} invoices, such as {list(wrong.items())[:3]}"
            )
        if set(books.payouts) != {"reconciled"} or sum(books.payouts.values()) != 4:
            found.append(f"{name}: payouts are {dict(books.payouts)}")
        unexpected = set(books.exceptions) - {"B-DISPUTE"}
        if unexpected:
            found.append(f"{name}: exceptions {dict(books.exceptions)}")
    if calm.balances != rough.balances:
        different = {
            code: (calm.balances.get(code), rough.balances.get(code))
            for code in calm.balances.keys() | rough.balances.keys()
            if calm.balances.get(code) != rough.balances.get(code)
        }
        found.append(f"the trial balances differ: {different}")
    if calm.transactions != rough.transactions:
        different = [
            (reference, calm.transactions.get(reference), status)
            for reference, status in rough.transactions.items()
            if calm.transactions.get(reference) != status
        ]
        found.append(f"{len(different)} statuses differ, such as {different[:3]}")
    if calm.invoices != rough.invoices:
        found.append("the invoices' states differ")
    return found


def _right_states(month: Month, order) -> list[tuple[str, Decimal]]:
    """The states in which an invoice may be at the end of the month."""
    lost = month.disputed[-1]
    if order is lost:
        return [("not_paid", order.amount), ("paid", Decimal(0))]
    return [("paid", Decimal(0))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--samples", type=Path, help="folder of files to send as well")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, lambda *_received: sys.exit(143))
    settings = Settings.read()
    hub = Hub(settings, BENCH)
    databases = Databases(settings)
    try:
        hub.create_database()
        hub.start()
        books = Bookkeeping(hub, HMAC_KEY, IBAN)
        month = Month(FIRST_DAY, books.currency, HMAC_KEY, orders=options.orders)
        books.prepare()
        if options.samples:
            if not options.samples.is_dir():
                raise HubError(f"There is no folder {options.samples}.")
            send_samples(hub, books, options.samples)
        books.invoice(month)
        hub.stop()
        databases.cluster.copy(hub.database, PREPARED)
        run = Run(hub, databases, month)
        print(f"undisturbed: {options.orders} orders, each message once, in order")
        calm = run(disturbed=False)
        _tell(calm)
        print(f"disturbed: each message {REPEATS} times, {CONNECTIONS} connections")
        rough = run(disturbed=True)
        _tell(rough)
    finally:
        hub.drop_database()
        databases.cluster.drop(PREPARED)
    problems = _problems(month, calm, rough)
    for problem in problems:
        print(f"  WRONG: {problem}")
    right = sum(
        rough.invoices.get(order.invoice) in _right_states(month, order)
        for order in month.orders
    )
    print(
        f"month: {right} of {len(month.orders)} invoices right, "
        f"clearing {rough.clearing_open:.2f} open, "
        f"fees {rough.fees:.2f} of {month.fees():.2f}, "
        f"trial balances {'equal' if calm.balances == rough.balances else 'DIFFER'}, "
        f"{rough.sent} messages with {rough.duplicates} repetitions in "
        f"{rough.seconds:.0f} s: {'balanced' if not problems else 'NOT balanced'}"
    )
    return 1 if problems else 0


def _tell(books: Books) -> None:
    print(
        f"  {books.sent} messages in {books.seconds:.0f} s, answers "
        f"{dict(books.answers)}, commands {dict(sorted(books.commands.items()))}"
    )
    print(
        f"  exceptions {dict(books.exceptions)}, payouts {dict(books.payouts)}, "
        f"clearing open {books.clearing_open:.2f}, fees {books.fees:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
