"""Every limit and default of the capture, named once."""

# How long after its due date a document is still announced as overdue, in days. A
# cron that stood still for a while catches up; what was overdue long before the hub
# was installed is history, which a new subscriber gets by a backfill.
OVERDUE_LOOKBACK_DAYS = 30

# Documents announced as overdue in one transaction.
OVERDUE_BATCH_SIZE = 500

# Who acts when nobody does.
ACTOR_SYSTEM = "system"
ACTOR_BACKFILL = "backfill"
