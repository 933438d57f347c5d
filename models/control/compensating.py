"""What a compensation will do, in words and lines: its plan, and how it is shown."""

from markupsafe import Markup

from .. import constants


def plan_of(sentence, lines=(), notes=()):
    """Return the plan of a compensation as it is kept with it.

    :param str sentence: what will be done
    :param lines: dicts with ``account``, ``label``, ``debit`` and ``credit`` (texts)
    :param notes: further sentences
    :return: JSON
    """
    return {"sentence": sentence, "lines": list(lines), "notes": list(notes)}


def entry_lines(lines, *, swapped=False):
    """Return the lines of an entry for a plan.

    :param lines: ``account.move.line`` records
    :param bool swapped: as the reversal of them will be
    """
    shown = []
    for line in lines.filtered("account_id")[: constants.PREVIEW_ENTRY_LINES]:
        currency = line.company_id.currency_id
        debit, credit = line.debit, line.credit
        if swapped:
            debit, credit = credit, debit
        shown.append(
            {
                "account": line.account_id.display_name,
                "label": line.name or line.partner_id.display_name or "",
                "debit": currency.format(debit) if debit else "",
                "credit": currency.format(credit) if credit else "",
            }
        )
    return shown


def plan_html(env, plan):
    """Return a plan for the screen."""
    if not plan:
        return False
    parts = [Markup("<p>%s</p>") % plan["sentence"]]
    if plan["lines"]:
        rows = Markup().join(
            Markup(
                '<tr><td>%s</td><td>%s</td><td class="text-end">%s</td>'
                '<td class="text-end">%s</td></tr>'
            )
            % (line["account"], line["label"], line["debit"], line["credit"])
            for line in plan["lines"]
        )
        parts.append(
            Markup(
                '<table class="table table-sm"><thead><tr><th>%s</th><th>%s</th>'
                '<th class="text-end">%s</th><th class="text-end">%s</th></tr></thead>'
                "<tbody>%s</tbody></table>"
            )
            % (env._("Account"), env._("Label"), env._("Debit"), env._("Credit"), rows)
        )
    parts.extend(Markup("<p>%s</p>") % note for note in plan["notes"])
    return Markup().join(parts)
