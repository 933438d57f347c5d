"""The one place where the ORM rooms learn the time.

Schedules, leases and deadlines are tested by patching :func:`now`, so that no
test has to sleep. Nothing else in ``models/`` asks the system clock.
"""

from datetime import datetime, timezone


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
