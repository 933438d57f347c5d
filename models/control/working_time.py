"""Due times that count working hours."""

from datetime import timedelta

from .. import clock


def due_after(calendar, hours, start):
    """Return the moment so many working hours after another.

    :param calendar: ``resource.calendar``; empty counts round the clock
    :param float hours: of work
    :param start: naive UTC
    :return: naive UTC
    """
    if calendar:
        planned = calendar.plan_hours(hours, clock.aware(start), compute_leaves=True)
        if planned:
            return clock.naive(planned)
    return start + timedelta(hours=hours)
