"""Figures in the words of the screens."""

from odoo import fields
from odoo.tools.misc import format_date, format_time, formatLang


def age_text(env, age):
    """Return how long something lasts, in its largest unit: ``2 h``."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return env._("less than a minute")
    if minutes < 60:
        return env._("%s min", minutes)
    if minutes < 48 * 60:
        return env._("%s h", minutes // 60)
    return env._("%s days", minutes // (24 * 60))


def moment_text(env, moment, now):
    """Return a moment as people say it: the time, and the date if it is not today.

    :param moment: naive, UTC; the same for ``now``
    """
    record = env.user
    local = fields.Datetime.context_timestamp(record, moment)
    zone = env.context.get("tz") or record.tz
    time = format_time(env, moment, tz=zone, time_format="short")
    if local.date() == fields.Datetime.context_timestamp(record, now).date():
        return time
    return f"{format_date(env, local.date())} {time}"


def percent_text(env, share):
    """Return a share in percent; what is not all of it is never shown as 100."""
    if share is None:
        return False
    tenths = int(share * 1000)
    return f"{formatLang(env, tenths / 10, digits=0 if tenths == 1000 else 1)} %"


def duration_text(env, milliseconds):
    """Return a duration: ``34 ms``, ``2.1 s``."""
    if milliseconds is None:
        return False
    if milliseconds < 1000:
        return f"{formatLang(env, milliseconds, digits=0)} ms"
    return f"{formatLang(env, milliseconds / 1000, digits=1)} s"


def phases_text(env, phases):
    """Return what took how long: ``Connecting 3 ms, answer 40 ms``."""
    names = {
        "dns": env._("name lookup"),
        "connect": env._("connecting"),
        "tls": env._("TLS"),
        "answer": env._("waiting for the answer"),
        "body": env._("reading the answer"),
    }
    return ", ".join(
        f"{names.get(name, name)} {duration_text(env, milliseconds)}"
        # In the order in which they happen; the database keeps none.
        for name, milliseconds in sorted(
            (phases or {}).items(),
            key=lambda item: list(names).index(item[0]) if item[0] in names else 99,
        )
    )


def header_lines(headers):
    """Return headers as they stand in a request, one a line."""
    return "\n".join(f"{name}: {value}" for name, value in (headers or {}).items())


def count_text(env, count, limit):
    """Return a count that ends at ``limit``: ``10,000+``."""
    text = formatLang(env, min(count, limit), digits=0)
    return f"{text}+" if count >= limit else text
