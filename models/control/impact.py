"""What an exception weighs against the others: its rank."""

import math

from .. import constants


def rank(severity, amount, criticality, *, warned=False, late=False, level=0):
    """Return the weight of an exception; the highest is looked at first.

    :param str severity: of the taxonomy
    :param amount: at stake, in the company's currency; None where none is
    :param criticality: of the connector, None without one
    :param bool warned: whether somebody was told that it is due soon
    :param bool late: whether it is past due
    :param int level: steps of the escalation
    """
    weight = constants.RANK_SEVERITY[severity]
    if amount:
        powers = math.log10(max(abs(amount), 1)) - 1
        steps = int(max(powers, 0) * constants.RANK_AMOUNT_STEP)
        weight += min(steps, constants.RANK_AMOUNT_MAX)
    weight += constants.RANK_CRITICALITY.get(criticality, 0)
    if late:
        weight += constants.RANK_LATE
    elif warned:
        weight += constants.RANK_WARNED
    return weight + constants.RANK_ESCALATED * min(level, constants.RANK_ESCALATED_MAX)


def in_company_currency(amount, currency, company, date):
    """Return an amount at stake in the company's currency, None without one."""
    if amount is None or not currency:
        return None
    own = company.currency_id
    if currency == own:
        return amount
    return currency._convert(amount, own, company, date)
