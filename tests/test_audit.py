from odoo.tests import tagged
from .common import FinanceHubCommon

@tagged("post_install", "-at_install")
class TestAuditSmoke(FinanceHubCommon):
    def test_smoke(self):
        connector = self.make_connector(state="draft")
        self.end_transaction()
        entries = self.env["finance.audit.entry"].search([("res_model", "=", "finance.connector"), ("res_id", "=", connector.id)])
        print([(e.action, e.actor, e.before, e.after) for e in entries])
        self.assertTrue(entries)
        n = self.env["finance.audit.seal"]._seal()
        self.assertTrue(n)
        report = self.env["finance.audit.seal"]._verify()
        self.assertEqual(report.findings, [])
