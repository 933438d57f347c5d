#!/usr/bin/env python3
"""Photograph every screen of the running demo, as each kind of user.

``make screenshots`` writes them to the state folder; a person then looks at them.
Narrow pictures are taken too, as finance users work on half a screen.
"""

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

USERS = ("hub_admin", "hub_operator", "hub_approver", "hub_auditor")
# Time for pictures, fonts and badges to arrive after the view stands.
SETTLE_MS = 700
WIDE = {"width": 1400, "height": 900}
NARROW = {"width": 420, "height": 860}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# name of the picture: (action, whether to open the first row)
SCREENS = {
    "exceptions": ("finance_hub.finance_exception_action", False),
    "exception": ("finance_hub.finance_exception_action", True),
    "events": ("finance_hub.finance_event_action", False),
    "event": ("finance_hub.finance_event_action", True),
    "deliveries": ("finance_hub.finance_delivery_action", False),
    "delivery": ("finance_hub.finance_delivery_action", True),
    "messages": ("finance_hub.finance_message_action", False),
    "message": ("finance_hub.finance_message_action", True),
    "commands": ("finance_hub.finance_command_action", False),
    "command": ("finance_hub.finance_command_action", True),
    "transactions": ("finance_hub.finance_transaction_action", False),
    "transaction": ("finance_hub.finance_transaction_action", True),
    "connectors": ("finance_hub.finance_connector_action", False),
    "connector": ("finance_hub.finance_connector_action", True),
    "endpoints": ("finance_hub.finance_endpoint_action", False),
    "endpoint": ("finance_hub.finance_endpoint_action", True),
    "subscriptions": ("finance_hub.finance_subscription_action", False),
    "credentials": ("finance_hub.finance_credential_action", False),
    "credential": ("finance_hub.finance_credential_action", True),
}


def login(page: Page, base: str, user: str) -> None:
    """Log in by the form, as a person does."""
    page.goto(f"{base}/web/login")
    page.fill("input[name=login]", user)
    page.fill("input[name=password]", user)
    page.click("button[type=submit]")
    page.wait_for_selector(".o_web_client", timeout=60_000)


def photograph(page: Page, base: str, name: str, folder: Path, prefix: str) -> None:
    """Open a screen and take its picture."""
    action, first_row = SCREENS[name]
    page.goto(f"{base}/odoo/action-{action}")
    page.wait_for_selector(
        ".o_list_view, .o_kanban_view, .o_view_nocontent", timeout=60_000
    )
    if first_row:
        row = page.query_selector(".o_data_row td.o_data_cell, .o_kanban_record")
        if row is None:
            return
        row.click()
        page.wait_for_selector(".o_form_view", timeout=60_000)
    # The web client keeps a connection open for ever, so the network is never idle.
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=folder / f"{prefix}{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="http://127.0.0.1:8019")
    parser.add_argument("--folder", type=Path, default=Path(".hub/screenshots"))
    parser.add_argument("--user", action="append", choices=USERS)
    parser.add_argument("--screen", action="append", choices=list(SCREENS))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=list(FLAGS)
        )
        for user in options.user or USERS:
            for prefix, size in ((f"{user}-", WIDE), (f"{user}-narrow-", NARROW)):
                context = browser.new_context(viewport=size)
                page = context.new_page()
                login(page, options.base, user)
                for name in options.screen or SCREENS:
                    photograph(page, options.base, name, options.folder, prefix)
                context.close()
        browser.close()
    print(f"Pictures are in {options.folder}")


if __name__ == "__main__":
    main()
