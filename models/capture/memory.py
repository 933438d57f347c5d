"""What one database transaction did, kept until it ends.

Odoo runs its precommit callbacks whenever a savepoint begins or is released, so a
transaction may be looked at many times before it commits. Two things are needed to
say in the end what really changed: the values from before its first change, and the
events that were written on the way and may have to be taken back. They live in
``Cursor.postcommit.data``, which lasts as long as the transaction and survives
savepoints; what happened since the last look lives in ``Cursor.precommit.data``,
which a rolled back savepoint empties.
"""

MEMORY = "finance_hub.memory"
TOUCHED = "finance_hub.touched"

# Stands in ``Memory.before`` for a record that was created in this transaction.
NEW = None


class Memory:
    """The memory of one transaction.

    :ivar before: {model: {id: values}}; the values of the model's
        ``_finance_fields`` as the database had them when the transaction began, or
        ``NEW``. A savepoint that is rolled back restores them, so they stay valid.
    :ivar emitted: {model: {id: [(event row id, verb, extra)]}}; every event written
        in this transaction. Rolled back ones are among them: whoever reads this
        asks the database which of them exist.
    :ivar origins: {(model, id): origin}; who touched a record first, and why
    :ivar event_ids: ids for events to come, ascending
    :ivar fresh: ids of moves that are posted for the first time
    :ivar reversed: ids of moves for which a reversal was made in this transaction
    """

    __slots__ = ("before", "emitted", "event_ids", "fresh", "origins", "reversed")

    def __init__(self):
        self.before = {}
        self.emitted = {}
        self.origins = {}
        self.event_ids = []
        self.fresh = set()
        self.reversed = set()


def memory_of(cr):
    """Return the memory of the cursor's transaction."""
    data = cr.postcommit.data
    memory = data.get(MEMORY)
    if memory is None:
        memory = data[MEMORY] = Memory()
    return memory


def forget(cr):
    """Drop the memory, as the end of a transaction does; for tests within one."""
    cr.postcommit.data.pop(MEMORY, None)
