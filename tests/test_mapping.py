from odoo.tests import tagged

from ..models.mapping.errors import Unmapped
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestMapping(FinanceHubCommon):
    """cap 6, 7, 8, 9, 12, 14, 109, 115: codes of other systems."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("ledger")
        cls.account = cls.company_data["default_account_expense"]
        cls.mappings = cls.env["finance.mapping"]

    def resolve(self, domain, code, date=None, connector=None):
        return self.mappings._resolve(connector or self.connector, domain, code, date)

    # === RESOLVING === #

    def test_interface(self):
        with self.assertRaises(Unmapped):
            self.resolve("account", "6000")
        self.make_mapping("account", "6000", self.account)
        self.assertEqual(self.resolve("account", "6000"), self.account)
        self.assertEqual(self.resolve("currency", "USD").name, "USD")
        partner = self.partner_a
        self.env["finance.reference"]._link(self.connector, partner, "C-1")
        self.env["finance.reference"]._link(self.connector, partner, "C-1")
        self.assertEqual(
            self.env["finance.reference"]._find(self.connector, "res.partner", "C-1"),
            partner,
        )
        self.assertEqual(self.resolve("counterparty", "C-1"), partner)
        self.env["finance.ownership"]._check(self.connector, "counterparties")
