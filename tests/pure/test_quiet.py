# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import contextlib
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from finance_hub.transport import parse_quiet, quiet_until
from finance_hub.transport.constants import QUIET_MAX_WINDOWS
from hypothesis import given
from hypothesis import strategies as st

BRUSSELS = ZoneInfo("Europe/Brussels")
UTC = timezone.utc
WINDOWS = [
    "22:00-06:00",
    "Mon-Fri 22:00-06:00; Sun",
    "Sat,Sun",
    "Fri-Mon 23:30-00:15",
    "02:00-03:00",
    "00:00-24:00",
    "Wed 12:00-12:00",
    "00:00-12:00; 12:00-13:30; 13:30-14:00",
]


def until(text, moment, zone=BRUSSELS):
    """Return the end of the quiet on the wall clock, from one on the wall clock."""
    now = datetime.fromisoformat(moment).replace(tzinfo=zone).astimezone(UTC)
    end = quiet_until(parse_quiet(text), now, zone)
    return end and end.astimezone(zone).replace(tzinfo=None).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    "text, moment, end",
    [
        ("22:00-06:00", "2026-03-10 21:59", None),
        ("22:00-06:00", "2026-03-10 22:00", "2026-03-11 06:00"),
        ("22:00-06:00", "2026-03-11 05:59", "2026-03-11 06:00"),
        ("22:00-06:00", "2026-03-11 06:00", None),
        # Begins on Friday, ends on Saturday; Saturday night is open, Sunday is not.
        ("Mon-Fri 22:00-06:00; Sun", "2026-03-14 05:00", "2026-03-14 06:00"),
        ("Mon-Fri 22:00-06:00; Sun", "2026-03-14 23:00", None),
        ("Mon-Fri 22:00-06:00; Sun", "2026-03-15 00:00", "2026-03-16 00:00"),
        ("Sat,Sun", "2026-03-14 10:00", "2026-03-16 00:00"),
        ("Fri - Mon 23:30-00:15", "2026-03-17 00:10", "2026-03-17 00:15"),
        ("fri-mon 23:30-00:15", "2026-03-18 00:10", None),
        ("Wed 12:00-12:00", "2026-03-11 12:00", "2026-03-12 12:00"),
        (
            "08:00-10:00; 10:00-12:00; 11:00-13:00",
            "2026-03-10 08:30",
            "2026-03-10 13:00",
        ),
        ("", "2026-03-10 08:30", None),
        # Clocks go from 02:00 to 03:00 on 29 March, and back on 25 October.
        ("22:00-06:00", "2026-03-28 23:00", "2026-03-29 06:00"),
        ("22:00-06:00", "2026-10-24 23:00", "2026-10-25 06:00"),
        ("Sun", "2026-03-29 12:00", "2026-03-30 00:00"),
        ("02:00-03:00", "2026-03-29 03:30", None),
    ],
)
def test_windows(text, moment, end):
    assert until(text, moment) == end


def test_a_night_lasts_as_long_as_it_does_on_the_wall():
    night = parse_quiet("22:00-06:00")
    lengths = []
    for day in ("2026-03-27", "2026-03-28", "2026-10-24"):
        begin = datetime.fromisoformat(f"{day} 22:00").replace(tzinfo=BRUSSELS)
        begin = begin.astimezone(UTC)
        lengths.append((quiet_until(night, begin, BRUSSELS) - begin).seconds / 3600)
    assert lengths == [8, 7, 9]


def test_the_hour_that_comes_twice():
    """02:30 happens at 00:30 and at 01:30 UTC: quiet from the first to the end."""
    window = parse_quiet("02:15-04:00")
    for hour in (0, 1, 2):
        now = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        assert quiet_until(window, now, BRUSSELS) == datetime(
            2026, 10, 25, 3, tzinfo=UTC
        )


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York", "UTC"])
def test_other_zones(zone):
    zone = ZoneInfo(zone)
    assert until("22:00-06:00", "2026-03-10 23:00", zone) == "2026-03-11 06:00"


def test_quiet_without_end_is_far_away_and_found_at_once():
    now = datetime(2026, 3, 10, 8, tzinfo=UTC)
    for text in ("Mon-Sun", "00:00-24:00", "00:00-12:00; 12:00-24:00"):
        assert quiet_until(parse_quiet(text), now, BRUSSELS) - now > timedelta(days=7)


@pytest.mark.parametrize(
    "text",
    [
        "25:00-26:00",
        "24:30-01:00",
        "10:60-11:00",
        "10:00",
        "Mon 10:00",
        "Moo",
        "Mon-Tue-Wed",
        "Mon,",
        "Mon 10:00-11:00 UTC",
        "nonsense",
        ";".join(["Mon"] * (QUIET_MAX_WINDOWS + 1)),
    ],
)
def test_what_is_wrong_is_named(text):
    with pytest.raises(ValueError, match=r"quiet window|day|time"):
        parse_quiet(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        parse_quiet(text)


@given(
    st.sampled_from(WINDOWS),
    st.integers(0, 365 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from(["Europe/Brussels", "America/St_Johns", "Australia/Lord_Howe"]),
)
def test_the_end_is_ahead_and_open(text, now, zone):
    windows, zone = parse_quiet(text), ZoneInfo(zone)
    end = quiet_until(windows, now, zone)
    if end is None:
        return
    assert end > now and end.tzinfo is UTC
    if text != "00:00-24:00":
        assert quiet_until(windows, end, zone) is None
        just_before = max(now, end - timedelta(seconds=1))
        assert quiet_until(windows, just_before, zone) == end
