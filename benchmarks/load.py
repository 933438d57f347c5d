"""Rows by the million, made from one real event and its delivery.

All SQL that builds rows of the addon's tables stands here. A row is a copy of a real
one (the *model row*) in which the columns named here are replaced, so that a column
which the addon gains later is filled as the addon itself fills it.
"""

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg2
import psycopg2.extensions

from hubtools.settings import PG_SUPERUSER, Settings

#: The lanes by urgency, as the addon names or numbers them.
LANES = ("critical", "standard", "bulk")
#: Rows of one transaction.
CHUNK = 250_000
#: Real events that stand model, and where made-up documents are numbered from.
_TYPE = "finance.invoice.posted.v%"
_DOCUMENTS = 500_000_000


def _identifier(version: str) -> str:
    """An expression for a UUID: unique, and cheap to keep an index of."""
    return f"%(mark)s || '-0000-{version}-8000-' || lpad(to_hex(n), 12, '0')"


# === WHAT IS DIFFERENT IN EACH ROW === #
# Expressions over ``n``, the number of the row in its chunk.
_NOW = "now() AT TIME ZONE 'UTC'"
_DOCUMENT = "'invoice/' || %(mark)s || (n - 1) / %(per)s"
_DONE = "n %% 100 < %(done)s"
_MODELS = {"finance_event": "event", "finance_delivery": "delivery"}
_EVENT = {
    "id": "%(first)s + n",
    "event_id": _identifier("5000"),
    "correlation_id": _identifier("4000"),
    "aggregate": _DOCUMENT,
    "subject": _DOCUMENT,
    "sequence": "(n - 1) %% %(per)s + 1",
    "label": "'INV/' || %(mark)s || '/' || n",
    "res_id": "%(documents)s + n",
    "occurred_at": _NOW,
}
_SMALL = {"data": "'{}'"}
_DELIVERY = {
    "event_id": "%(first)s + n",
    "endpoint_id": (
        "(%(endpoints)s::int[])[1 + n %% cardinality(%(endpoints)s::int[])]"
    ),
    "aggregate": _DOCUMENT,
    "state": f"CASE WHEN {_DONE} THEN 'delivered' ELSE 'waiting' END",
    "created_at": _NOW,
    "due_at": _NOW,
    "delivered_at": f"CASE WHEN {_DONE} THEN {_NOW} END",
    "attempt_count": f"CASE WHEN {_DONE} THEN 1 ELSE 0 END",
    "throttle_count": "0",
    "last_status": f"CASE WHEN {_DONE} THEN 200 END",
    "last_error": "NULL",
    "exception_id": "NULL",
}


#: Exceptions as they are in a shop: of all severities, due lately and soon, half of
#: them nobody's yet, one in twenty put off, three in five about money.
_EXCEPTION = {
    "summary": "'Exception ' || n",
    "code": "kind.code",
    "klass": "kind.klass",
    "severity": "kind.severity",
    "severity_rank": (
        "array_position(ARRAY['critical', 'high', 'medium', 'low', 'info'], "
        "kind.severity::text) - 1"
    ),
    "state": "CASE WHEN n %% 10 = 0 THEN 'in_progress' ELSE 'open' END",
    "company_id": "endpoint.company_id",
    "connector_id": "endpoint.connector_id",
    "team_id": "kind.team_id",
    "user_id": ("(ARRAY[NULL, operator.id, NULL, admin.id])[1 + n / 7 %% 4]"),
    "cause": "'Made for the benchmark.'",
    "opened_at": f"{_NOW} - n %% 720 * interval '1 hour'",
    "last_seen_at": _NOW,
    "due_at": f"{_NOW} + (n %% 2880 - 1440) * interval '1 minute'",
    "snoozed_until": f"CASE WHEN n %% 20 = 3 THEN {_NOW} + interval '1 day' END",
    "occurrences": "1",
    "amount": "CASE WHEN n %% 5 < 3 THEN (n %% 9000) / 4.0 END",
    "currency_id": "CASE WHEN n %% 5 < 3 THEN company.currency_id END",
    "res_model": "'finance.endpoint'",
    "res_id": "endpoint.id",
    "fingerprint": "'bench:' || n",
    "create_uid": "1",
    "write_uid": "1",
    "create_date": _NOW,
    "write_date": _NOW,
}


@dataclass(frozen=True)
class ModelRows:
    """A real event and a real delivery of it, as JSON."""

    event: str
    delivery: str


class Loader:
    """Makes rows in one database, as PostgreSQL's superuser.

    Foreign keys and triggers are not run for the rows (they would take most of the
    time), and a commit does not wait for the disk; all indexes are there and grow.
    """

    def __init__(self, settings: Settings, database: str):
        self._settings = settings
        self._database = database
        self._connection = psycopg2.connect(
            host=str(settings.pg_socket),
            port=settings.pg_port,
            user=PG_SUPERUSER,
            dbname=database,
        )
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._run("SET session_replication_role = replica")
        self._run("SET synchronous_commit = off")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._connection.close()

    def _run(self, query: str, parameters=None) -> list[tuple]:
        self._cursor.execute(query, parameters)
        return self._cursor.fetchall() if self._cursor.description else []

    def _columns(self, table: str) -> dict[str, str]:
        """The columns of a table and their types, in its order, without ``id``."""
        return dict(
            self._run(
                "SELECT column_name, udt_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = %s "
                "AND column_name <> 'id' AND is_generated = 'NEVER' "
                "ORDER BY ordinal_position",
                [table],
            )
        )

    # === MAKING === #

    def model_rows(self, endpoint: int) -> ModelRows:
        """The newest delivered event of a posted invoice at an endpoint."""
        rows = self._run(
            "SELECT to_json(e)::text, to_json(d)::text FROM finance_event e "
            "JOIN finance_delivery d ON d.event_id = e.id "
            "WHERE e.type LIKE %s AND d.endpoint_id = %s AND d.state = 'delivered' "
            "ORDER BY e.id DESC LIMIT 1",
            [_TYPE, endpoint],
        )
        return ModelRows(*rows[0])

    def load(
        self,
        model: ModelRows,
        count: int,
        endpoints: list[int],
        *,
        lane: str = "standard",
        delivered: float = 0.0,
        per_document: int = 1,
        small: bool = False,
    ) -> None:
        """Make events with one delivery each.

        :param endpoints: they take turns
        :param delivered: share of the deliveries that are done already, the rest is
            due; the two are mixed evenly
        :param per_document: events of one document, which are sent in order
        :param small: leave the events' content out: for what never reads it
        """
        columns = {
            table: self._columns(table)
            for table in ("finance_event", "finance_delivery")
        }
        numbered = columns["finance_delivery"].get("lane", "").startswith("int")
        changed = {
            "finance_event": _EVENT | (_SMALL if small else {}),
            "finance_delivery": _DELIVERY
            | ({"lane": "%(lane_number)s"} if numbered else {"lane": "%(lane)s"}),
        }
        values = {
            "event": model.event,
            "delivery": model.delivery,
            "endpoints": endpoints,
            "per": per_document,
            "documents": _DOCUMENTS,
            # Of each hundred deliveries this many are done.
            "done": round(delivered * 100),
            "lane": lane,
            "lane_number": LANES.index(lane),
        }
        chunks = []
        for start in range(0, count, CHUNK):
            size = min(CHUNK, count - start)
            # The ids before these are taken; nobody else gets these.
            ((last,),) = self._run(
                "SELECT setval('finance_event_id_seq', last_value + %s) "
                "FROM finance_event_id_seq",
                [size],
            )
            # Eight hexadecimal digits that no other chunk has, for unique texts.
            mark = secrets.token_hex(4)
            chunks.append({**values, "count": size, "first": last - size, "mark": mark})

        def insert(loader: Loader, table: str) -> None:
            for chunk in chunks:
                loader._insert(table, columns[table], changed[table], chunk)

        # The two tables at once, as there are two cores.
        with (
            Loader(self._settings, self._database) as other,
            ThreadPoolExecutor(1) as pool,
        ):
            events = pool.submit(insert, other, "finance_event")
            insert(self, "finance_delivery")
            events.result()

    def load_exceptions(self, count: int, endpoint: int) -> None:
        """Make open exceptions of an endpoint, of every kind in turn.

        Half of those with an owner are the operator's, whose screens are measured.
        """
        self._run(
            f"""
            WITH kinds AS (
                SELECT *, row_number() OVER (ORDER BY code) - 1 AS number
                  FROM finance_exception_kind WHERE severity <> 'info'
            )
            INSERT INTO finance_exception ({", ".join(_EXCEPTION)})
            SELECT {", ".join(_EXCEPTION.values())}
              FROM generate_series(1, %(count)s) n
              JOIN finance_endpoint endpoint ON endpoint.id = %(endpoint)s
              JOIN res_company company ON company.id = endpoint.company_id
              JOIN res_users operator ON operator.login = 'hub_operator'
              JOIN res_users admin ON admin.login = 'admin'
              JOIN kinds kind
                ON kind.number = n %% (SELECT count(*) FROM kinds)
             ORDER BY n
            """,
            {"count": count, "endpoint": endpoint},
        )

    def _insert(
        self, table: str, columns: dict, changed: dict[str, str], values: dict
    ) -> None:
        names = ["id"] if "id" in changed else []
        names += columns
        chosen = {name: changed.get(name, f"model.{name}") for name in names}
        self._run(
            f"INSERT INTO {table} ({', '.join(chosen)}) "
            f"SELECT {', '.join(chosen.values())} "
            f"FROM json_populate_record(NULL::{table}, %({_MODELS[table]})s) model, "
            "generate_series(1, %(count)s) n ORDER BY n",
            values,
        )

    def settle(self) -> None:
        """Let PostgreSQL know what the tables hold, as its own daemon does in time."""
        self._run(
            "VACUUM (ANALYZE) finance_event, finance_delivery, finance_attempt, "
            "finance_exception"
        )
        self._run("CHECKPOINT")

    # === CHANGING === #

    def suspend(self, endpoints: list[int]) -> None:
        """Take endpoints out of use, beneath the ORM."""
        self._set_state(endpoints, "suspended")

    def resume(self, endpoints: list[int]) -> None:
        """Put endpoints into use, beneath the ORM."""
        self._set_state(endpoints, "live")

    def _set_state(self, endpoints: list[int], state: str) -> None:
        self._run(
            "UPDATE finance_endpoint SET state = %s WHERE id = ANY(%s)",
            [state, endpoints],
        )

    def forget_deliveries(self) -> None:
        """Empty the table of deliveries, and all that hangs on them."""
        self._run("TRUNCATE finance_delivery CASCADE")
