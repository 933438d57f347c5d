"""The configuration whose every change is recorded: one class each."""

from odoo import models


class FinanceConnector(models.Model):
    _name = "finance.connector"
    _inherit = ["finance.audited", "finance.connector"]


class FinanceCredential(models.Model):
    _name = "finance.credential"
    _inherit = ["finance.audited", "finance.credential"]


class FinanceEndpoint(models.Model):
    _name = "finance.endpoint"
    _inherit = ["finance.audited", "finance.endpoint"]


class FinanceSubscription(models.Model):
    _name = "finance.subscription"
    _inherit = ["finance.audited", "finance.subscription"]


class FinanceClient(models.Model):
    _name = "finance.client"
    _inherit = ["finance.audited", "finance.client"]


class FinanceScope(models.Model):
    _name = "finance.scope"
    _inherit = ["finance.audited", "finance.scope"]


class FinanceRetention(models.Model):
    _name = "finance.retention"
    _inherit = ["finance.audited", "finance.retention"]


class FinanceLegalHold(models.Model):
    _name = "finance.legal.hold"
    _inherit = ["finance.audited", "finance.legal.hold"]


class FinanceJsonMapping(models.Model):
    _name = "finance.json.mapping"
    _inherit = ["finance.audited", "finance.json.mapping"]


class FinanceJsonMappingLine(models.Model):
    _name = "finance.json.mapping.line"
    _inherit = ["finance.audited", "finance.json.mapping.line"]


class FinanceMapping(models.Model):
    _name = "finance.mapping"
    _inherit = ["finance.audited", "finance.mapping"]


class FinanceMappingDomain(models.Model):
    _name = "finance.mapping.domain"
    _inherit = ["finance.audited", "finance.mapping.domain"]


class FinanceMappingTerm(models.Model):
    _name = "finance.mapping.term"
    _inherit = ["finance.audited", "finance.mapping.term"]


class FinanceOwnership(models.Model):
    _name = "finance.ownership"
    _inherit = ["finance.audited", "finance.ownership"]


class FinanceExceptionKind(models.Model):
    _name = "finance.exception.kind"
    _inherit = ["finance.audited", "finance.exception.kind"]


class FinanceTeam(models.Model):
    _name = "finance.team"
    _inherit = ["finance.audited", "finance.team"]


class FinancePolicy(models.Model):
    _name = "finance.policy"
    _inherit = ["finance.audited", "finance.policy"]


class FinancePolicyStep(models.Model):
    _name = "finance.policy.step"
    _inherit = ["finance.audited", "finance.policy.step"]


class FinanceDelegation(models.Model):
    _name = "finance.delegation"
    _inherit = ["finance.audited", "finance.delegation"]


class FinanceFlow(models.Model):
    _name = "finance.flow"
    _inherit = ["finance.audited", "finance.flow"]


class FinanceFlowStep(models.Model):
    _name = "finance.flow.step"
    _inherit = ["finance.audited", "finance.flow.step"]
