"""The one place where the ORM rooms learn the time.

Schedules, leases and deadlines are tested by patching :func:`now`, so that no
test has to sleep. Nothing else in ``models/`` asks the system clock.
"""

from datetime import date, datetime, time, timezone


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def naive(moment: datetime) -> datetime:
    """Return ``moment`` the way Odoo stores it: UTC without a time zone."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """Return a time as Odoo stores it with its time zone, which is UTC."""
    return moment.replace(tzinfo=timezone.utc)


def naive_now() -> datetime:
    """Return the current time the way Odoo stores it."""
    return naive(now())


def day(digits: str) -> date:
    """Return the day that eight digits name: ``20260131``."""
    return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 (no time in it)


def end_of_day(moment: date) -> datetime:
    """Return the last second of a day, aware, in UTC."""
    return datetime.combine(moment, time(23, 59, 59), timezone.utc)
