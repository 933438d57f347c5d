"""One decision is one entry, however much it sets in motion.

A *frame* stands around a button, a decision or a write to the configuration. The
outermost one of a thread takes the values before and after and notes the entry; what
is decided inside on the way is told in it. Writes to other audited records inside keep
entries of their own: they are changes of another record.
"""

from contextlib import contextmanager
from contextvars import ContextVar

from odoo import SUPERUSER_ID
from odoo.exceptions import AccessError, UserError

from . import constants, values

# What a person is refused with; its subclasses say that something was missing or
# wrong, which is no refusal.
REFUSALS = (AccessError, UserError)
_current = ContextVar("finance_hub_audit_frame", default=None)


class Frame:
    """A decision that is being carried out.

    :ivar model: name of the model it is about
    :ivar ids: of its records
    :ivar action: the code of the entry
    :ivar plain: a write without a decision: a decision inside gives it its name
    :ivar reason: why, if it was said
    :ivar inside: {code: ids} of what was decided on the way
    :ivar asked: it answered with a screen: without a change nothing was decided
    """

    __slots__ = ("action", "asked", "ids", "inside", "model", "plain", "reason")

    def __init__(self, records, action, plain=False, reason=None):
        self.model = records._name
        self.ids = set(records._ids)
        self.action = action
        self.plain = plain
        self.reason = reason
        self.inside = {}
        self.asked = False

    def holds(self, records):
        """Whether this is about all of ``records``."""
        return self.model == records._name and self.ids.issuperset(records._ids)


@contextmanager
def transparent(records, action):
    """Stand around a dialogue: what it decides is noted, and what it is refused."""
    with _refusals(records, action):
        yield


@contextmanager
def decision(records, action, *, all_fields=False, reason=None, plain=False):
    """Note what happens to ``records`` inside, as one entry for each of them.

    :param str action: the code, such as ``connector.approve``
    :param all_fields: see ``values.audited_fields``
    :param plain: it is a write, see :class:`Frame`
    :return: the frame, whose ``asked`` may be set
    """
    outer = _current.get()
    if outer is not None and outer.holds(records) and records:
        if outer.plain and not plain:
            outer.action, outer.plain = action, False
        outer.reason = outer.reason or reason
        yield outer
        return
    if outer is not None and not plain and not outer.plain:
        outer.inside.setdefault(action, set()).update(records._ids)
        yield Frame(records, action)
        return
    frame = Frame(records, action, plain, reason)
    names = values.audited_fields(records, all_fields=all_fields)
    few = len(records) <= constants.EACH_MAX
    with _refusals(records, frame):
        before = values.snapshot(_stored(records), names) if few else {}
        if not plain and records:
            # What was read here as superuser is not known to whoever pressed the
            # button: reading it is refused to him if it would have been.
            records.invalidate_recordset(names)
        token = _current.set(frame)
        try:
            yield frame
        finally:
            _current.reset(token)
    _note(records, frame, names, before, few)


def _stored(records):
    return records.filtered("id").exists() if records else records


def _note(records, frame, names, before, few):
    entries = records.env["finance.audit.entry"]
    facts = (
        {
            "with": {
                code: sorted(ids)[: constants.LISTED_MAX]
                for code, ids in sorted(frame.inside.items())
            }
        }
        if frame.inside
        else {}
    )
    # A screen that was opened, or a write that changed nothing, is no news.
    only_changes = frame.plain or (frame.asked and not frame.inside)
    if not few or not records:
        if only_changes and frame.asked:
            return
        ids = [record_id for record_id in records._ids if record_id]
        entries._note(
            frame.action,
            res_model=records._name,
            label=records.env._("%s records", len(ids)) if ids else None,
            reason=frame.reason,
            facts={**facts, "count": len(ids), "ids": ids[: constants.LISTED_MAX]}
            if ids
            else facts,
        )
        return
    stored = _stored(records)
    after = values.snapshot(stored, names)
    for record in stored:
        was, now = values.difference(
            records, before.get(record.id, {}), after[record.id]
        )
        if only_changes and not was and not now:
            continue
        entries._note(
            frame.action,
            record,
            reason=frame.reason or _reason_of(record),
            before=was,
            after=now,
            facts=facts,
        )


def _reason_of(record):
    """Return the reason that stands on the record itself, as on a replay."""
    field = record._fields.get("reason")
    return record.sudo().reason if field and field.type in ("char", "text") else None


@contextmanager
def _refusals(records, what):
    """Have what is refused inside recorded, once."""
    try:
        yield
    except REFUSALS as error:
        if type(error) in REFUSALS and not getattr(error, "finance_audited", False):
            error.finance_audited = True
            frame = what if isinstance(what, Frame) else None
            _note_refusal(
                records, frame.action if frame else what, error, frame and frame.reason
            )
        raise


def _note_refusal(records, action, error, reason):
    env = records.env
    default = env.transaction.default_env or env
    user = default.user if env.uid == SUPERUSER_ID else env.user
    if user.id == SUPERUSER_ID:
        # A job that can't go on is no attempt of anybody.
        return
    ids = [record_id for record_id in records._ids if record_id]
    one = len(ids) == 1
    env["finance.audit.entry"]._note_refusal(
        action,
        records if one and records.sudo().exists() else None,
        res_model=records._name,
        reason=reason,
        facts={
            "refused_because": str(error),
            "kind": "access" if isinstance(error, AccessError) else "rule",
            **({"ids": ids[: constants.EACH_MAX]} if ids and not one else {}),
        },
    )
