# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Quiet windows: when the other side wants nothing. Pure functions.

Written as people write them: ``Mon-Fri 22:00-06:00; Sun`` is every night of the week
from ten to six, beginning on Monday to Friday, and the whole of Sunday.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from . import constants as const

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_PART = re.compile(
    r"(?P<days>[A-Za-z]{3}(?:\s*[-,]\s*[A-Za-z]{3})*)?\s*"
    r"(?P<times>(?P<from>\d{1,2}:\d{2})\s*-\s*(?P<to>\d{1,2}:\d{2}))?"
)


@dataclass(frozen=True, slots=True)
class QuietWindow:
    """A time of the day on some days of the week.

    :ivar days: the days it begins on, 0 is Monday.
    :ivar start: minutes after midnight.
    :ivar length: minutes; up to a whole day, and it may run over midnight.
    """

    days: frozenset[int]
    start: int
    length: int


def parse_quiet(text: str | None) -> tuple[QuietWindow, ...]:
    """Return the windows of ``Mon-Fri 22:00-06:00; Sun``.

    :raises ValueError: naming what is wrong and how it should look.
    """
    parts = [part.strip() for part in (text or "").split(";")]
    parts = [part for part in parts if part]
    if len(parts) > const.QUIET_MAX_WINDOWS:
        raise ValueError(f"At most {const.QUIET_MAX_WINDOWS} quiet windows.")
    return tuple(_window(part) for part in parts)


def _window(part):
    found = _PART.fullmatch(part)
    if not found:
        raise ValueError(
            f"“{part}” is no quiet window. Write days and times such as "
            "“Mon-Fri 22:00-06:00”, several of them separated by semicolons."
        )
    days = _days(found["days"]) if found["days"] else frozenset(range(7))
    if not found["times"]:
        return QuietWindow(days, 0, _DAY_MINUTES)
    start, end = _minutes(found["from"]), _minutes(found["to"])
    length = (end - start) % _DAY_MINUTES or _DAY_MINUTES
    return QuietWindow(days, start % _DAY_MINUTES, length)


def _days(text):
    found = set()
    for part in text.split(","):
        names = [name.strip().lower() for name in part.split("-")]
        for name in names:
            if name not in DAYS:
                raise ValueError(
                    f"“{name}” is no day of the week. Write Mon, Tue, Wed, Thu, Fri, "
                    "Sat or Sun."
                )
        if len(names) > 2:
            raise ValueError(f"“{part.strip()}” is no range of days, such as Mon-Fri.")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        found |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    return frozenset(found)


def _minutes(text):
    hours, minutes = (int(part) for part in text.split(":"))
    if hours > 24 or minutes > 59 or (hours == 24 and minutes):
        raise ValueError(f"“{text}” is no time of the day; write 00:00 to 24:00.")
    return hours * 60 + minutes


def quiet_until(
    windows: tuple[QuietWindow, ...], now: datetime, zone: tzinfo
) -> datetime | None:
    """Return when the quiet ends, ``None`` when it is not quiet now.

    Windows that touch or overlap count as one. Times of the day are wall-clock times
    of ``zone``, on the days when clocks are changed, too.

    :param now: timezone-aware.
    :return: timezone-aware, in the zone of ``now``; a time far ahead when the windows
        leave nothing open.
    """
    end = now
    for _step in range(const.QUIET_MAX_CHAIN):
        later = _covering_end(windows, end, zone)
        if later is None:
            break
        end = later
    return end.astimezone(now.tzinfo) if end > now else None


def _covering_end(windows, moment, zone):
    # In UTC: comparing within one zone ignores that clocks are changed.
    moment = moment.astimezone(timezone.utc)
    local = moment.astimezone(zone)
    ends = []
    for window in windows:
        for back in (0, 1):
            day = local.date() - timedelta(days=back)
            if day.weekday() not in window.days:
                continue
            # Wall-clock arithmetic: 22:00 is 22:00 on every day of the year.
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            start = midnight + timedelta(minutes=window.start)
            end = start + timedelta(minutes=window.length)
            if start <= moment < end:
                ends.append(end)
    return max(ends, key=lambda end: end.timestamp(), default=None)
