"""Payouts in the shape of ``contracts.events.payout``."""

from ...contracts import money_string
from .. import constants
from . import payload

# Kinds of lines, where the contract spells them otherwise.
KINDS = {
    "refund_reversal": "refund",
    "chargeback": "dispute",
    "chargeback_reversal": "dispute",
    "reserve": "adjustment",
}


def payout(record):
    """Return a ``finance.payout`` as contracts.events.payout.Payout."""
    digits = record.currency_id.decimal_places
    shown = record.line_ids[: constants.PAYOUT_MAX_ITEMS]
    items = [
        {
            "kind": KINDS.get(line.kind, line.kind),
            "provider_ref": line.provider_ref or None,
            "payment_id": str(line.transaction_id.payment_id.id)
            if line.transaction_id.payment_id
            else None,
            "amount": money_string(
                line.net if line.kind == "fee" else line.gross, digits
            ),
        }
        for line in shown
    ]
    kept = sum(line.fee for line in shown if line.kind != "fee")
    if kept:
        items.append({"kind": "fee", "amount": money_string(-kept, digits)})
    return {
        "id": str(record.id),
        "provider": record.connector_id.name,
        "provider_ref": record.payout_ref,
        "legal_entity": payload.legal_entity(record.company_id),
        "currency": record.currency_id.name,
        "gross": money_string(record.gross, digits),
        "fees": money_string(record.fees, digits),
        "refunds": money_string(record.refunds, digits),
        "net": money_string(record.net, digits),
        "value_date": record.value_date.isoformat() if record.value_date else None,
        "bank_transaction_id": str(record.statement_line_id.id)
        if record.statement_line_id
        else None,
        "count": record.line_count,
        "items": items,
    }
