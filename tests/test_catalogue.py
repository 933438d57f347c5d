import json

from odoo import Command
from odoo.tests import Form, HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..contracts import EVENT_TYPES, asyncapi, json_schema, model_fields, newest
from .common import GROUPS, FinanceHubCommon

POSTED_1 = "finance.invoice.posted.v1"
POSTED_2 = "finance.invoice.posted.v2"


@tagged("post_install", "-at_install")
class TestCatalogue(FinanceHubCommon):
    """cap 26: the event types can be browsed, with fields, samples and subscribers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.types = cls.env["finance.event.type"]

    def type_of(self, name):
        return self.types.search([("name", "=", name)])

    # === ROWS === #

    def test_rows_are_what_is_published(self):
        rows = self.types.search([])
        self.assertEqual(rows.mapped("name"), list(EVENT_TYPES))
        for row in rows:
            declared = EVENT_TYPES[row.name]
            self.assertEqual(row.title, declared.title)
            self.assertEqual(row.description, declared.description)
            self.assertEqual(row.owner, declared.owner)
            self.assertEqual(row.dataclass, declared.dataclass)
            self.assertEqual(row.version, declared.version)
            latest = newest(row.name).name
            self.assertEqual(
                row.newest_id.name, latest if latest != row.name else False
            )

    def test_an_upgrade_follows_the_contracts(self):
        posted, paid = self.type_of(POSTED_2), self.type_of("finance.payment.paid.v1")
        posted.title = "Something else"
        posted.newest_id = paid
        paid.unlink()
        gone = self.types.create(
            {**self.types._values(EVENT_TYPES[POSTED_2], 1), "name": "finance.x.y.v1"}
        )
        self.types._sync()
        self.assertEqual(posted.title, EVENT_TYPES[POSTED_2].title)
        self.assertFalse(posted.newest_id)
        self.assertTrue(self.type_of("finance.payment.paid.v1"))
        self.assertFalse(gone.exists())

    def test_an_upgrade_without_change_writes_nothing(self):
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertQueryCount(2):
            self.types._sync()
            self.env.flush_all()

    # === WHAT IT SHOWS === #

    def test_fields(self):
        table = self.type_of(POSTED_2).field_table
        for field in model_fields(EVENT_TYPES[POSTED_2].model):
            self.assertIn(f"<code>{field.path}</code>", table)
        self.assertIn("The customer or vendor.", table)
        self.assertIn("Personal", table)
        self.assertIn("draft, posted, cancelled", table)

    def test_every_form_opens_for_every_role(self):
        for group in GROUPS:
            for row in self.types.search([]).with_user(self.users[group]):
                self.assertTrue(row.field_table, row.name)
                self.assertEqual(json.loads(row.sample)["type"], row.name)
            Form(self.type_of(POSTED_1).with_user(self.users[group]))

    def test_search_by_field(self):
        """Which events tell a tax number?"""
        found = self.types.search([("field_names", "ilike", "counterparty.vat")])
        self.assertIn(POSTED_2, found.mapped("name"))
        self.assertNotIn("finance.connector.ping.v1", found.mapped("name"))

    def test_older_versions(self):
        posted = self.type_of(POSTED_2)
        self.assertEqual(posted.older_ids, self.type_of(POSTED_1))
        self.assertFalse(posted.newest_id)
        self.assertEqual(self.type_of(POSTED_1).newest_id, posted)

    # === WHO SUBSCRIBED, WHAT HAPPENED === #

    def test_who_subscribed(self):
        endpoint = self.make_endpoint("http://127.0.0.1:8999/", patterns="*")
        mine = endpoint.subscription_ids
        mine.version = 1
        self.assertIn(mine, self.type_of(POSTED_1).subscription_ids)
        self.assertNotIn(mine, self.type_of(POSTED_2).subscription_ids)
        mine.version = 0
        row = self.type_of(POSTED_2)
        row.invalidate_recordset()
        self.assertIn(mine, row.subscription_ids)
        self.type_of(POSTED_1).invalidate_recordset()
        self.assertNotIn(mine, self.type_of(POSTED_1).subscription_ids)
        action = row.action_open_subscriptions()
        self.assertIn(mine, self.env[action["res_model"]].search(action["domain"]))
        mine.patterns = "finance.payment.*"
        row.invalidate_recordset()
        self.assertNotIn(mine, row.subscription_ids)

    def test_another_companys_subscribers_are_not_shown(self):
        endpoint = self.make_endpoint("http://127.0.0.1:8999/", patterns="*")
        company = self.env["res.company"].create({"name": "Elsewhere"})
        foreigner = new_test_user(
            self.env,
            "test_catalogue_foreigner",
            "finance_hub.group_operator",
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        row = self.type_of(POSTED_2).with_user(foreigner)
        self.assertFalse(row.subscription_ids & endpoint.subscription_ids)
        self.assertEqual(row.subscription_count, 0)

    def test_events_of_the_last_days(self):
        row = self.type_of(POSTED_2)
        before = row.event_count
        event = self.events_of(self.make_invoice())
        row.invalidate_recordset()
        self.assertEqual(row.event_count, before + 1)
        action = row.action_open_events()
        found = self.env[action["res_model"]].search(action["domain"])
        self.assertIn(event, found)
        self.assertEqual(set(found.mapped("type")), {POSTED_2})
        self.later(days=8)
        row.invalidate_recordset()
        self.assertEqual(row.event_count, 0)
        self.assertFalse(
            self.env["finance.event"].search(row.action_open_events()["domain"])
        )


@tagged("post_install", "-at_install")
class TestCatalogueHttp(HttpCase):
    """cap 26: the contracts can be fetched, and are not sent twice."""

    def get(self, path, status=200, **headers):
        response = self.url_open(path, headers=headers)
        self.assertEqual(response.status_code, status, path)
        return response

    def test_list(self):
        listed = self.get("/finance/v1/event-types").json()["event_types"]
        by_name = {entry["type"]: entry for entry in listed}
        self.assertEqual(list(by_name), list(EVENT_TYPES))
        older, latest = by_name[POSTED_1], by_name[POSTED_2]
        self.assertEqual(older["versions"], [1, 2])
        self.assertEqual((older["newest"], older["deprecated"]), (False, True))
        self.assertEqual((latest["newest"], latest["deprecated"]), (True, False))
        self.assertEqual(latest["dataclass"], "personal")
        for link in ("url", "schema", "sample"):
            self.get(latest[link])

    def test_one_type(self):
        found = self.get(f"/finance/v1/event-types/{POSTED_1}").json()
        self.assertEqual((found["type"], found["version"]), (POSTED_1, 1))
        self.assertEqual(found["example"]["data"], EVENT_TYPES[POSTED_1].sample)
        self.assertIn("properties", found["data_schema"])
        paths = {field["path"]: field for field in found["fields"]}
        self.assertEqual(paths["lines.unit_price"]["classification"], "confidential")
        self.assertTrue(paths["lines"]["list"])
        self.assertEqual(paths["state"]["values"], ["draft", "posted", "cancelled"])

    def test_without_version_it_is_the_newest(self):
        found = self.get("/finance/v1/event-types/finance.invoice.posted").json()
        self.assertEqual(found["type"], POSTED_2)
        found = self.get("/finance/v1/event-types/finance.invoice.posted/schema").json()
        self.assertTrue(found["$id"].endswith(f"/{POSTED_2}/schema"))

    def test_schema_and_sample(self):
        schema = self.get(f"/finance/v1/event-types/{POSTED_2}/schema")
        self.assertEqual(schema.headers["Content-Type"], "application/schema+json")
        self.assertEqual(
            schema.json(),
            json_schema(POSTED_2, self.base_url()),
        )
        sample = self.get(f"/finance/v1/event-types/{POSTED_2}/sample")
        self.assertEqual(sample.headers["Content-Type"], "application/cloudevents+json")
        self.assertEqual(sample.json()["data"], EVENT_TYPES[POSTED_2].sample)

    def test_asyncapi(self):
        found = self.get("/finance/v1/asyncapi.json").json()
        version = found["info"]["version"]
        self.assertTrue(version.startswith("19.0."))
        self.assertEqual(
            found, json.loads(json.dumps(asyncapi(self.base_url(), version)))
        )

    def test_manifest_schema(self):
        found = self.get("/finance/v1/batch-manifest/schema").json()
        self.assertIn("control_totals", found["properties"])

    def test_nothing_is_sent_twice(self):
        for path in (
            "/finance/v1/event-types",
            f"/finance/v1/event-types/{POSTED_2}",
            f"/finance/v1/event-types/{POSTED_2}/schema",
            "/finance/v1/asyncapi.json",
        ):
            first = self.get(path)
            self.assertIn("max-age", first.headers["Cache-Control"])
            self.assertNotIn("Set-Cookie", first.headers)
            again = self.get(path, 304, **{"If-None-Match": first.headers["ETag"]})
            self.assertFalse(again.content)
            self.assertEqual(again.headers["ETag"], first.headers["ETag"])
            self.get(path, 200, **{"If-None-Match": '"other"'})

    @mute_logger("odoo.http")
    def test_what_there_is_not(self):
        for name in ("finance.nothing", "finance.invoice.posted.v9", "v1", "x" * 500):
            for rest in ("", "/schema", "/sample"):
                response = self.get(f"/finance/v1/event-types/{name}{rest}", 404)
                self.assertEqual(
                    response.headers["Content-Type"], "application/problem+json"
                )
                self.assertEqual(response.json()["code"], "D-VERSION")
