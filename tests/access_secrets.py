from odoo.exceptions import AccessError
from odoo.tools import mute_logger

from .access_rows import SECRET
from .common import GROUPS


class SecretTests:
    """cap 90, 91: a stored secret comes out of no door of the ORM."""

    FIELDS = ("secret_token", "previous_secret_token")

    def keep_a_secret(self):
        """Put a secret in; return all those from whom it must be kept."""
        self.credential = self.shop.credential_ids
        self.credential._set_secret("whsec_" + "B" * 32)
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT secret_token, previous_secret_token FROM finance_credential"
            " WHERE id = %s",
            [self.credential.id],
        )
        self.tokens = self.env.cr.fetchone()
        admin = self.env.ref("base.user_admin")
        everybody = [*(self.users[group] for group in GROUPS), admin]
        admin.write(
            {
                "company_ids": [(4, self.company.id)],
                "group_ids": [(4, self.env.ref("finance_hub.group_administrator").id)],
            }
        )
        for user in everybody:
            user.group_ids += self.env.ref("base.group_allow_export")
        self.env.flush_all()
        self.env.invalidate_all()
        return everybody

    def test_no_door_leads_to_it(self):
        for user in self.keep_a_secret():
            credential = self.credential.with_user(user).with_company(self.company)
            for name in self.FIELDS:
                doors = {
                    "read": lambda c=credential, n=name: c.read([n]),
                    "attribute": lambda c=credential, n=name: c[n],
                    "search_read": lambda c=credential, n=name: c.search_read(
                        [("id", "=", c.id)], [n]
                    ),
                    "domain": lambda c=credential, n=name: c.search(
                        [(n, "like", "gAAAA")]
                    ),
                    "order": lambda c=credential, n=name: c.search([], order=n),
                    "group": lambda c=credential, n=name: c._read_group(
                        [], [n], ["__count"]
                    ),
                    "export": lambda c=credential, n=name: c.export_data([n]),
                    "web_read": lambda c=credential, n=name: c.web_read({n: {}}),
                    "related": lambda c=credential, n=name: c.connector_id.search(
                        [(f"credential_ids.{n}", "!=", False)]
                    ),
                    "write": lambda c=credential, n=name: c.write({n: "mine"}),
                    "create": lambda c=credential, n=name: c.create(
                        {"name": "x", "connector_id": c.connector_id.id, n: "mine"}
                    ),
                }
                for door, attempt in doors.items():
                    with (
                        self.subTest(user=user.login, field=name, door=door),
                        mute_logger("odoo.models"),
                        self.assertRaises(AccessError),
                    ):
                        attempt()

    def test_not_among_the_fields(self):
        for user in self.keep_a_secret():
            described = self.env["finance.credential"].with_user(user).fields_get()
            for name in self.FIELDS:
                self.assertNotIn(name, described, user.login)
            self.assertIn("secret_hint", described)

    def test_all_that_can_be_read_holds_no_secret(self):
        """Everything a user can read of a credential, in one go."""
        for user in self.keep_a_secret():
            credential = self.credential.with_user(user).with_company(self.company)
            text = str(credential.read()) + str(credential.copy_data())
            for token in self.tokens:
                self.assertNotIn(token, text)
            for secret in self.credential._secrets():
                self.assertNotIn(secret, text)
                self.assertNotIn(secret.removeprefix("whsec_"), text)

    def test_input_is_for_administrators(self):
        credential = self.shop.credential_ids
        for group in ("operator", "approver", "auditor", "nobody"):
            with (
                self.subTest(group),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                credential.with_user(self.users[group]).secret_input = SECRET

    def test_private_methods_stay_private(self):
        """What hands out clear secrets can't be called from outside."""
        for name in ("_secrets", "_set_secret", "_check_secret"):
            self.assertTrue(name.startswith("_"))
            self.assertTrue(hasattr(self.shop.credential_ids, name))

    def test_jobs_carry_no_secret(self):
        """Jobs name no record and no argument: they find their work themselves."""
        self.env["finance.delivery"]._wake()
        self.env["finance.message"]._wake()
        jobs = self.env["queue.job"].search([("identity_key", "like", "finance_hub.%")])
        self.assertEqual(len(jobs), 2)
        for job in jobs:
            self.assertFalse(job.args)
            self.assertFalse(job.kwargs)
            self.assertFalse(job.records)
