# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is said of each kind of exception."""

from dataclasses import dataclass
from datetime import timedelta

CLASSES = {
    "T": "technical",
    "D": "data_quality",
    "B": "business",
    "C": "control",
}

SEVERITIES = ("info", "low", "medium", "high", "critical")

MINUTES = {minutes: timedelta(minutes=minutes) for minutes in (15,)}
HOURS = {hours: timedelta(hours=hours) for hours in (1, 2, 4, 8)}
DAYS = {days: timedelta(days=days) for days in (1, 5)}


@dataclass(frozen=True, slots=True)
class ExceptionCode:
    """One kind of exception.

    :ivar code: stable name, ``<class letter>-<WORDS>``.
    :ivar klass: ``technical``, ``data_quality``, ``business`` or ``control``.
    :ivar title: what happened, in a few plain words.
    :ivar owner: the team that decides; empty when nobody has to.
    :ivar severity: one of :data:`SEVERITIES`.
    :ivar due: by when after opening; ``None`` when it follows from the case itself
        (a scheme's date, a cutoff) or when there is no hurry.
    :ivar remedy: what the hub does by itself; empty when nothing.
    :ivar next_step: what a person does, in plain words.
    """

    code: str
    klass: str
    title: str
    owner: str
    severity: str
    due: timedelta | None
    remedy: str
    next_step: str


def code(name, title, owner, severity, due, remedy, next_step) -> ExceptionCode:
    """Return an entry of the taxonomy; its class follows from its name."""
    return ExceptionCode(
        name, CLASSES[name[0]], title, owner, severity, due, remedy, next_step
    )


RETRIED = "Retried by the schedule, with backoff."
