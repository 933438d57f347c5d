# Copyright 2026 Finance Integration Hub contributors
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
{
    "name": "Finance Integration Hub",
    "summary": "Governed exchange of finance events and commands with banks, "
    "payment providers, treasury, risk, tax and ledger systems",
    "version": "19.0.0.1.0",
    "category": "Accounting/Accounting",
    "license": "LGPL-3",
    "author": "Finance Integration Hub contributors",
    "application": True,
    "depends": ["account", "queue_job"],
    "external_dependencies": {
        "python": ["pydantic", "cryptography", "requests", "aiohttp"],
    },
    "data": [
        "security/groups.xml",
        "security/ir.model.access.csv",
        "security/rules.xml",
        "data/queue_job.xml",
        "data/ir_cron.xml",
        "data/finance_scope.xml",
        "views/finance_event_views.xml",
        "views/finance_attempt_views.xml",
        "views/finance_delivery_views.xml",
        "views/finance_command_views.xml",
        "views/finance_message_views.xml",
        "views/finance_transaction_views.xml",
        "views/finance_exception_views.xml",
        "views/finance_credential_views.xml",
        "views/finance_subscription_views.xml",
        "views/finance_endpoint_views.xml",
        "views/finance_client_views.xml",
        "views/finance_connector_views.xml",
        "views/finance_trace_views.xml",
        "views/account_move_views.xml",
        "views/account_payment_views.xml",
        "wizards/finance_correct_wizard_views.xml",
        "wizards/finance_reason_wizard_views.xml",
        "views/menus.xml",
    ],
    "demo": [
        "demo/res_users.xml",
        "demo/finance_connector.xml",
    ],
    "assets": {
        "web.assets_backend": [
            "finance_hub/static/src/**/*.js",
            "finance_hub/static/src/**/*.xml",
            "finance_hub/static/src/**/*.scss",
        ],
        "web.assets_tests": [
            "finance_hub/static/tests/tours/**/*.js",
        ],
    },
    "installable": True,
}
