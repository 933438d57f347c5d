#!/usr/bin/env python3
"""An Odoo process that measures itself from the inside, steered line by line.

It loads the registry of one database as any Odoo process does and then reads one
command a line from its standard input: ``{"do": name, …}``. It answers each with one
line of JSON.

    post   make ``count`` draft invoices, then time their posting in one transaction
    post_audited
           post ``count`` invoices with an audit entry each and ``count`` without one
    claim  time how a dispatcher claims its batches, ``count`` of them
    drain  run a dispatcher to its end under a sampling profiler
    process   store messages that pay ``count`` new invoices, then time their processing
    register  register and reconcile as many payments by Odoo's own API
    statement  time how a camt.053 with ``count`` entries becomes bank transactions
"""

import argparse
import functools
import gc
import inspect
import json
import resource
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from datetime import date, timedelta

import psycopg2.extensions

ADDON = "odoo.addons.finance_hub."
#: Seconds between two looks of the profiler.
SAMPLE_INTERVAL = 0.002


class Meter:
    """Time and queries of the addon's own code, what it calls by super() excluded.

    Time belongs to the addon from the moment one of its methods is entered until it
    returns, except while a method that it overrides runs: that one would run without
    the addon as well.
    """

    def __init__(self):
        self.seconds = 0.0
        self.queries = 0
        self._depth = 0
        self._since = 0.0
        self.running = False

    def clear(self):
        self.seconds, self.queries = 0.0, 0

    def _start(self):
        self.running = True
        self._since = time.perf_counter()

    def _stop(self):
        self.seconds += time.perf_counter() - self._since
        self.running = False

    def entering(self, function):
        """Wrap a method of the addon."""

        @functools.wraps(function)
        def entered(*arguments, **keywords):
            if self.running:
                return function(*arguments, **keywords)
            self._start()
            try:
                return function(*arguments, **keywords)
            finally:
                self._stop()

        return entered

    def leaving(self, function):
        """Wrap a method that one of the addon's calls by super()."""

        @functools.wraps(function)
        def left(*arguments, **keywords):
            if not self.running:
                return function(*arguments, **keywords)
            self._stop()
            try:
                return function(*arguments, **keywords)
            finally:
                self._start()

        return left


METER = Meter()


class CountingCursor(psycopg2.extensions.cursor):
    """Counts every statement, those that run beneath Odoo's cursor, too."""

    total = 0

    def execute(self, query, parameters=None):
        CountingCursor.total += 1
        if METER.running:
            METER.queries += 1
        return super().execute(query, parameters)


def instrument(registry) -> int:
    """Wrap the addon's methods, and what they override, in the meter.

    :return: how many methods of the addon were wrapped
    """
    found: dict[tuple[type, str], bool] = {}
    for model in registry.models.values():
        lineage = model.__mro__
        for position, kind in enumerate(lineage):
            if not kind.__module__.startswith(ADDON):
                continue
            for name, member in vars(kind).items():
                if not inspect.isfunction(member):
                    continue
                found[kind, name] = True
                for parent in lineage[position + 1 :]:
                    below = vars(parent).get(name)
                    if inspect.isfunction(below):
                        if not parent.__module__.startswith(ADDON):
                            found.setdefault((parent, name), False)
                        break
    for (kind, name), ours in found.items():
        wrap = METER.entering if ours else METER.leaving
        setattr(kind, name, wrap(vars(kind)[name]))
    return sum(found.values())


class Probe:
    """One loaded database."""

    def __init__(self, config_file: str, database: str):
        from odoo.modules.registry import Registry
        from odoo.service.server import load_server_wide_modules
        from odoo.tools import config

        config.parse_config(
            ["-c", config_file, "-d", database, "--no-http", "--workers=0"],
            setup_logging=True,
        )
        load_server_wide_modules()
        self.registry = Registry(database)
        self.wrapped = 0

    @contextmanager
    def _environment(self):
        from odoo import SUPERUSER_ID, api

        with self.registry.cursor() as cr:
            cr._obj.close()
            cr._obj = cr._cnx.cursor(cursor_factory=CountingCursor)
            yield api.Environment(cr, SUPERUSER_ID, {})

    # === POSTING === #

    def _drafts(self, count: int) -> list[int]:
        with self._environment() as env:
            company = env.ref("base.main_company")
            partner = env["res.partner"].search([("customer_rank", ">", 0)], limit=1)
            values = {
                "move_type": "out_invoice",
                "partner_id": partner.id,
                "invoice_date": "2026-01-15",
                "invoice_line_ids": [
                    (0, 0, {"name": "Load", "quantity": 1, "price_unit": 10.0})
                ],
            }
            moves = env["account.move"].with_company(company).create([values] * count)
            return moves.ids

    def post(self, count: int) -> dict:
        """Post invoices; the time until they are committed, and the addon's in it.

        :return: ``total``, ``added`` and ``after_commit`` in seconds (the last is what
            the addon does after the commit), ``queries`` and ``added_queries``, and
            how many methods of the addon were ``wrapped``
        """
        if not self.wrapped and "finance.delivery" in self.registry.models:
            self.wrapped = instrument(self.registry)
        ids = self._drafts(count)
        seen = {"wrapped": self.wrapped}
        with self._environment() as env:
            METER.clear()
            before = CountingCursor.total
            started = time.perf_counter()

            # Before any other callback: the moment of the commit.
            @env.cr.postcommit.add
            def committed():
                seen.update(
                    total=time.perf_counter() - started,
                    added=METER.seconds,
                    queries=CountingCursor.total - before,
                    added_queries=METER.queries,
                )
                METER.clear()

            env["account.move"].browse(ids).action_post()
            env.cr.commit()
            seen["after_commit"] = METER.seconds
        return seen

    # === AUDIT === #

    def post_audited(self, count: int) -> dict:
        """Post invoices in turn with and without an audit entry, while a job seals.

        :return: ``audited`` and ``plain``, seconds of ``count`` transactions each;
            ``entry``, the part of it in which an entry was noted and written, and
            ``added_queries`` of one; how many ``entries`` there are, and how many were
            ``sealed`` meanwhile
        """
        ids = self._drafts(2 * count)
        took = {True: 0.0, False: 0.0}
        queries = {True: 0, False: 0}
        action = f"bench.post.{time.time_ns()}"
        done, sealed = threading.Event(), []
        sealer = threading.Thread(target=self._seal, args=(done, sealed), daemon=True)
        sealer.start()
        entry = 0.0
        for number, move in enumerate(ids):
            audited = bool(number % 2)
            with self._environment() as env:
                before = CountingCursor.total
                started = time.perf_counter()
                record = env["account.move"].browse(move)
                record.action_post()
                if audited:
                    noting = time.perf_counter()
                    env["finance.audit.entry"]._note(
                        action, record, after={"state": "posted"}
                    )
                    entry += time.perf_counter() - noting
                env.cr.commit()
                took[audited] += time.perf_counter() - started
                queries[audited] += CountingCursor.total - before
        done.set()
        sealer.join()
        with self._environment() as env:
            entries = env["finance.audit.entry"].search_count([("action", "=", action)])
        return {
            "audited": took[True],
            "plain": took[False],
            "entry": entry / count,
            "added_queries": (queries[True] - queries[False]) / count,
            "entries": entries,
            "sealed": sum(sealed),
        }

    def _seal(self, done, sealed) -> None:
        """Seal every second until ``done``, as the scheduled action does."""
        from odoo import SUPERUSER_ID, api

        while not done.wait(1):
            with self.registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, {})
                sealed.append(env["finance.audit.seal"]._seal())

    # === CLAIMING === #

    def claim(self, count: int) -> dict:
        """Claim batches as a dispatcher does, and send nothing.

        The dispatcher is the real one; only its engine is replaced by one that
        claims and drops what it gets.

        :return: ``seconds`` of each claim that brought something, and their ``rows``
        """
        from odoo.addons.finance_hub.models.outbox import dispatcher

        seconds, rows = [], []

        class ClaimOnly:
            def __init__(self, *_arguments, claim, **_keywords):
                self._claim = claim

            def run(self):
                for _number in range(count):
                    started = time.perf_counter()
                    parcels = self._claim({}).parcels
                    if not parcels:
                        break
                    seconds.append(time.perf_counter() - started)
                    rows.append(len(parcels))
                return False

        real, dispatcher.Engine = dispatcher.Engine, ClaimOnly
        try:
            dispatcher.Dispatcher(self.registry).run()
        finally:
            dispatcher.Engine = real
        return {"seconds": seconds, "rows": rows}

    # === COMING IN === #

    def _invoices(self, count: int) -> list[dict]:
        ids = self._drafts(count)
        with self._environment() as env:
            moves = env["account.move"].browse(ids)
            moves.action_post()
            return [
                {
                    "id": move.id,
                    "name": move.name,
                    "amount": f"{move.amount_total:.2f}",
                    "currency": move.currency_id.name,
                }
                for move in moves
            ]

    def _unpaid(self, invoices: list[dict]) -> int:
        with self._environment() as env:
            return env["account.move"].search_count(
                [
                    ("id", "in", [invoice["id"] for invoice in invoices]),
                    ("payment_state", "not in", ("paid", "in_payment")),
                ]
            )

    def process(self, count: int) -> dict:
        """Time the processing of messages that are stored already.

        :return: ``seconds``, and how many invoices are ``unpaid`` afterwards
        """
        from odoo.addons.finance_hub.models.inbox.processing import Processor

        invoices = self._invoices(count)
        with self._environment() as env:
            connector = env["finance.connector"].search([("code", "=", "shop")])
            for invoice in invoices:
                identifier = f"pay_{uuid.uuid4().hex}"
                event = {
                    "specversion": "1.0",
                    "id": identifier,
                    "source": "urn:bench",
                    "type": "payment.captured.v1",
                    "datacontenttype": "application/json",
                    "data": {
                        "provider_ref": identifier,
                        "amount": invoice["amount"],
                        "currency": invoice["currency"],
                        "captured_at": "2026-01-20T10:00:00Z",
                        "document_ref": invoice["name"],
                    },
                }
                env["finance.message"]._receive(
                    connector,
                    identifier,
                    json.dumps(event).encode(),
                    {"Content-Type": "application/cloudevents+json"},
                    "127.0.0.1",
                    "bench",
                )
            # Nobody is to be woken: the processing is done here.
            env.cr.postcommit.clear()
        started = time.perf_counter()
        Processor(self.registry).run(float("inf"))
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "unpaid": self._unpaid(invoices)}

    def register(self, count: int) -> dict:
        """Time a plain loop over Odoo's own API, one commit for each payment.

        :return: as :meth:`process`
        """
        invoices = self._invoices(count)
        with self._environment() as env:
            connector = env["finance.connector"].search([("code", "=", "shop")])
            company = connector.company_id
            journal = connector.payment_journal_id
            started = time.perf_counter()
            for invoice in invoices:
                register = (
                    env["account.payment.register"]
                    .with_company(company)
                    .with_context(
                        active_model="account.move", active_ids=[invoice["id"]]
                    )
                )
                register.create(
                    {"journal_id": journal.id, "payment_date": "2026-01-20"}
                ).action_create_payments()
                env.cr.commit()
            seconds = time.perf_counter() - started
        return {"seconds": seconds, "unpaid": self._unpaid(invoices)}

    # === BANK STATEMENTS === #

    def statement(self, count: int, number: int) -> dict:
        """Process a camt.053 that is in the inbox; parse, import and commit.

        :param number: of the statement, which no other one may have
        :return: ``seconds`` until the commit, those of this process's own work
            (``processor``), ``lines`` it made, and the most memory the process had
            until then, in KiB
        """
        from odoo.addons.finance_hub.models.inbox.processing import Processor

        body = camt053(count, number)
        with self._environment() as env:
            connector = _bank(env)
            env["finance.message"]._receive(
                connector,
                f"statement-{number}",
                body,
                {"Content-Type": "application/xml"},
                "127.0.0.1",
                "benchmark",
            )
            # Nobody is to be woken: the processing is done here.
            env.cr.postcommit.clear()
        gc.collect()
        processor = time.process_time()
        started = time.perf_counter()
        Processor(self.registry).run(float("inf"))
        seconds = time.perf_counter() - started
        processor = time.process_time() - processor
        with self._environment() as env:
            statement = env["finance.statement"].search(
                [("reference", "=", f"BENCH-{number}")]
            )
            found = {"lines": statement.new_count, "state": statement.state}
        return {
            **found,
            "seconds": seconds,
            "processor": processor,
            "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }

    # === PROFILING === #

    def drain(self, count: int = 40) -> dict:
        """Deliver what is due, looked at by a profiler.

        :param count: how many of the most frequent frames are told
        :return: ``seconds``, ``samples``, and by thread the share of samples in
            which a function was at work itself (``self``) or was waiting for
            others (``with``)
        """
        from odoo.addons.finance_hub.models.outbox import dispatcher

        own: dict[str, Counter] = {}
        whole: dict[str, Counter] = {}
        done = threading.Event()
        me = threading.get_ident

        def look():
            watcher = me()
            while not done.wait(SAMPLE_INTERVAL):
                names = {thread.ident: thread.name for thread in threading.enumerate()}
                for ident, frame in sys._current_frames().items():
                    if ident == watcher:
                        continue
                    name = names.get(ident, "?")
                    seen = set()
                    own.setdefault(name, Counter())[_where(frame)] += 1
                    at = frame
                    while at:
                        seen.add(_where(at, line=False))
                        at = at.f_back
                    whole.setdefault(name, Counter()).update(seen)

        watcher = threading.Thread(target=look, name="profiler", daemon=True)
        run = dispatcher.Dispatcher(self.registry)
        processor = time.process_time()
        started = time.perf_counter()
        watcher.start()
        run.run()
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        return {
            "seconds": seconds,
            "processor": time.process_time() - processor,
            "statistics": str(getattr(run, "statistics", "")),
            "own": {name: seen.most_common(count) for name, seen in own.items()},
            "whole": {name: seen.most_common(count) for name, seen in whole.items()},
        }


IBAN = "NL77ABNA0574908765"
ENTRY = """
<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>
<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>
<AcctSvcrRef>R{number}-{place}</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly>
<Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls><TxDtls><Refs>
<EndToEndId>E{number}-{place}</EndToEndId><TxId>T{number}-{place}</TxId></Refs>
<RltdPties><Dbtr><Nm>Customer {place}</Nm></Dbtr><DbtrAcct><Id>
<IBAN>BE21319980275903</IBAN></Id></DbtrAcct></RltdPties>
<RmtInf><Ustrd>Invoice {place}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""
STATEMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>
<GrpHdr><MsgId>BENCH-{number}</MsgId><CreDtTm>{day}T23:00:00Z</CreDtTm></GrpHdr><Stmt>
<Id>BENCH-{number}</Id><ElctrncSeqNb>{number}</ElctrncSeqNb>
<CreDtTm>{day}T23:00:00Z</CreDtTm><Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>{currency}</Ccy>
</Acct>{entries}</Stmt></BkToCstmrStmt></Document>"""


def camt053(count: int, number: int, currency: str = "USD") -> bytes:
    """A statement of one day with so many entries, each with its own words."""
    day = (date(2026, 1, 1) + timedelta(days=number)).isoformat()
    entries = "".join(
        ENTRY.format(
            currency=currency,
            amount=f"{place % 997 + 1}.{place % 100:02}",
            day=day,
            number=number,
            place=place,
        )
        for place in range(count)
    )
    return STATEMENT.format(
        number=number, day=day, iban=IBAN, currency=currency, entries=entries
    ).encode()


def _bank(env):
    """Return the connector of a bank, with the journal of its account."""
    connector = env["finance.connector"].search([("code", "=", "bench-bank")])
    if connector:
        return connector
    company = env.ref("base.main_company")
    journal = env["account.journal"].create(
        {
            "name": "Benchmark Bank",
            "type": "bank",
            "code": "BENCH",
            "company_id": company.id,
            "currency_id": env.ref("base.USD").id,
            "bank_acc_number": IBAN,
        }
    )
    connector = env["finance.connector"].create(
        {
            "name": "Benchmark Bank",
            "code": "bench-bank",
            "company_id": company.id,
            "adapter": "camt",
            "payment_journal_id": journal.id,
        }
    )
    connector.state = "live"
    return connector


def _where(frame, line: bool = True) -> str:
    code = frame.f_code
    path = "/".join(code.co_filename.split("/")[-3:])
    text = (
        f"{path}:{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}"
    )
    return f"{text}:{frame.f_lineno}" if line else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--database", required=True)
    options = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr
    probe = Probe(options.config, options.database)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(probe, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
