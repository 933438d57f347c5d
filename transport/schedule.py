# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The retry schedule of an endpoint as people write it."""

from collections.abc import Sequence

from . import constants as const


def parse_schedule(text: str) -> tuple[float, ...]:
    """Return the delay before each attempt in seconds, from ``"0, 5, 300"``.

    :raises ValueError: naming what is wrong and how it should look.
    """
    parts = [part.strip() for part in (text or "").split(",")]
    if len(parts) > const.SCHEDULE_MAX_LENGTH:
        raise ValueError(
            f"A retry schedule has at most {const.SCHEDULE_MAX_LENGTH} attempts."
        )
    delays = []
    for part in parts:
        if not part.isascii() or not part.isdigit():
            raise ValueError(
                f"“{part}” is not a number of seconds. Write whole seconds separated "
                "by commas, such as 0, 5, 300, 1800."
            )
        delay = int(part)
        if delay > const.SCHEDULE_MAX_DELAY:
            raise ValueError(
                f"{delay} seconds is too long to wait; "
                f"{const.SCHEDULE_MAX_DELAY} at most."
            )
        delays.append(float(delay))
    return tuple(delays)


def format_schedule(schedule: Sequence[float]) -> str:
    """Return a schedule as :func:`parse_schedule` reads it."""
    return ", ".join(str(int(delay)) for delay in schedule)
