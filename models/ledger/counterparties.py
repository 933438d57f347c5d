"""Who a counterparty is that another system names."""

from .. import constants
from .errors import CommandError, CommandWaits


def find_counterparty(command, external_id):
    """Return the ``res.partner`` that a sender speaks of, by its commercial entity.

    The cross-reference decides; without an entry, the reference or the tax id that
    the partner has in Odoo.

    :param command: the ``finance.command`` that speaks of it
    :param str external_id: as the sender names it
    :raise CommandWaits: D-ORPHAN, until it is there
    :raise CommandError: D-DUPLICATE-PARTY, when several fit
    """
    env = command.with_company(command.company_id).env
    connector, company = command.connector_id, command.company_id
    partners = env["res.partner"]
    if "finance.reference" in env:
        partners = env["finance.reference"]._find(connector, "res.partner", external_id)
    for field in ("ref", "vat"):
        if partners:
            break
        partners = partners.search(
            [
                (field, "=", external_id),
                ("company_id", "in", (False, company.id)),
            ]
        ).commercial_partner_id
    if len(partners) > 1:
        raise CommandError(
            "D-DUPLICATE-PARTY",
            env._(
                "“%(id)s” is the reference of several counterparties: %(names)s. Give "
                "each a reference of its own, then retry.",
                id=external_id,
                names=", ".join(partners.mapped("display_name")),
            ),
        )
    if not partners:
        raise CommandWaits(
            "D-ORPHAN",
            env._(
                "No counterparty is known as “%s”. Link it in the cross-reference, or "
                "give the contact this reference.",
                external_id,
            ),
            key=f"counterparty:{connector.id}:{external_id}",
            grace=constants.ORPHAN_GRACE,
        )
    return partners.commercial_partner_id


def find_currency(env, code):
    """Return the active currency of a code.

    :raise CommandError: D-UNMAPPED
    """
    currency = env["res.currency"].search([("name", "=", code)])
    if not currency:
        raise CommandError(
            "D-UNMAPPED",
            env._(
                "The currency %s is not active in Odoo. Activate it, then retry.", code
            ),
        )
    return currency


def check_ownership(command, domain):
    """Refuse a write of a system that does not own the data.

    :param str domain: such as ``exposure``
    :raise CommandError: D-OWNERSHIP
    """
    if "finance.ownership" in command.env:
        command.env["finance.ownership"]._check(command.connector_id, domain)
