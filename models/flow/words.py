"""What flows are made of: kinds of steps, what starts them, what they wait for."""

from ...contracts import ADVERSE, AXES, COMMAND_TYPES, EVENT_TYPES

STEP_KINDS = [
    ("check", "Check"),
    ("approval", "Approval"),
    ("hold", "Hold"),
    ("wait", "Wait"),
    ("post", "Post"),
    ("task", "Task"),
    ("notify", "Notify"),
]
# What is looked at in the life of money, one after the other.
MILESTONES = [
    ("initiated", "Initiated"),
    ("acknowledged", "Acknowledged"),
    ("settled", "Settled"),
    ("posted", "Posted"),
    ("reconciled", "Reconciled"),
    ("reported", "Reported"),
]
LATENCIES = [
    ("realtime", "Real Time"),
    ("micro_batch", "Micro-batch"),
    ("batch", "Batch"),
]
# Statuses that are no progress: whoever waits for something earlier goes on waiting.
_BACKWARD = {status for _axis, status in ADVERSE} | {
    "cancelled",
    "reversed",
    "unknown",
    "held",
}


def event_bases():
    """Return the event types of the catalogue without versions, for a selection."""
    return [
        (entry.base_name, f"{entry.title} ({entry.base_name})")
        for entry in EVENT_TYPES.values()
        if not entry.projection
    ]


def event_names(base):
    """Return every version of an event type: events of old versions stay in the log.

    :param str base: ``finance.invoice.posted``
    """
    return [entry.name for entry in EVENT_TYPES.values() if entry.base_name == base]


def command_names():
    """Return the command types of the catalogue, for a selection."""
    return [(name, f"{entry.title} ({name})") for name, entry in COMMAND_TYPES.items()]


def status_names():
    """Return every status of every axis, for a selection: ``settlement.settled``."""
    return [
        (
            f"{axis}.{status}",
            f"{axis.capitalize()}: {status.replace('_', ' ')}",
        )
        for axis, statuses in AXES.items()
        for status in statuses
        if status != "none"
    ]


def reached_by(wanted):
    """Return which statuses mean that a status was reached, on its axis.

    What is paid out was settled, too, though nobody said so.

    :param str wanted: ``settlement.settled``
    :return: (axis, [status])
    """
    axis, status = wanted.split(".", 1)
    ranks = AXES[axis]
    return axis, [
        other
        for other, rank in ranks.items()
        if other == status or (rank > ranks[status] and other not in _BACKWARD)
    ]


def adverse_of(wanted):
    """Return the statuses on the axis of a status that mean it will not be reached.

    :param str wanted: ``settlement.settled``
    """
    axis, status = wanted.split(".", 1)
    return axis, [
        other
        for other in AXES[axis]
        if other != status
        and ((axis, other) in ADVERSE or other in ("cancelled", "reversed"))
    ]


def command_attributes(command):
    """Return what a condition may ask of a command beside its content."""
    return {
        "type": command.type,
        "subject": command.aggregate or None,
        "correlationid": command.correlation_id or None,
    }
