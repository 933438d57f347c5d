"""Limits, thresholds and defaults of the ORM rooms: each stands here, once."""

from datetime import timedelta

# === ACCESS === #
GROUP_OPERATOR = "finance_hub.group_operator"
GROUP_APPROVER = "finance_hub.group_approver"
GROUP_ADMINISTRATOR = "finance_hub.group_administrator"
GROUP_AUDITOR = "finance_hub.group_auditor"
# Sees the content of messages that are kept encrypted.
GROUP_CONFIDENTIAL = "finance_hub.group_confidential"
# May take a role for some hours, with an alarm.
GROUP_BREAK_GLASS = "finance_hub.group_break_glass"
# Those who leave their word on what they work at; auditors look on.
GROUPS_WORKING = (GROUP_OPERATOR, GROUP_APPROVER, GROUP_ADMINISTRATOR)

# === OUTBOX === #
# A dispatcher job claims work for this long, then hands over to a new job, well
# below Odoo's default limit_time_cpu (60 s) and limit_time_real (120 s).
DISPATCH_BUDGET = timedelta(seconds=20)
# Rows in hand per endpoint, as a multiple of its requests at a time: enough to keep
# its lanes busy while more is claimed, few enough to leave others their share. More
# is claimed when half of them are done.
CLAIM_FACTOR = 20
# Requests in flight to one endpoint at a time, unless the endpoint says otherwise.
DEFAULT_CONCURRENCY = 20
MAX_CONCURRENCY = 200
# Seconds until an unanswered request counts as timed out (Standard Webhooks
# recommends 15 to 30).
DEFAULT_TIMEOUT = 20
MAX_TIMEOUT = 30
# First key of the session advisory locks which give one dispatcher sole use of an
# endpoint in one lane (the lane's number is added); the second key is the endpoint's
# id.
ENDPOINT_LOCK_CLASS = 0x66_68_75_60  # "fhu`"
# A retry due within this horizon gets a job with an ETA of its own; later ones are
# found by the sweep.
WAKE_HORIZON = timedelta(minutes=10)
# ETAs are rounded up to this, so that many retries share one wake-up.
WAKE_BUCKET = timedelta(seconds=1)
# How long a delivery waits that found a predecessor of its document still in the
# hands of another lane's dispatcher.
BEHIND_PAUSE = timedelta(seconds=1)
# Most events per second that an endpoint can be limited to, and the largest burst.
MAX_RATE = 100_000
# Days of failure without a success after which an endpoint is suspended, unless it
# says otherwise, and the shares of that time at which its owner is told.
DEFAULT_SUSPEND_AFTER_DAYS = 5
MAX_SUSPEND_AFTER_DAYS = 90
SUSPEND_NOTICES = (50, 70, 90)

# How many endpoints' routes a server process keeps between runs, and for how long: a
# secret whose overlap ends goes on signing beside its successor at most that long.
ROUTES_KEPT = 1_000
ROUTE_KEPT = timedelta(minutes=1)

# === LANES === #
# In order of urgency. Each has a job channel and a dispatcher of its own.
LANES = ("critical", "standard", "bulk")

# === BATCHES === #
DEFAULT_BATCH_COUNT = 100
MAX_BATCH_COUNT = 1000
DEFAULT_BATCH_SECONDS = 60
MAX_BATCH_SECONDS = 24 * 3600
# Events in one batch file; what is more goes into further files of the same run.
BATCH_FILE_MAX_EVENTS = 10_000

# Answers that refuse the content of a batch: it is sent again in two halves, until
# what can't be taken is alone.
BATCH_SPLIT_STATUSES = frozenset({400, 413, 415, 422})

# === CREDENTIALS === #
# How long the previous signing secret stays in force beside its successor.
ROTATION_OVERLAP = timedelta(hours=24)
# What is no secret (a key, an id, an address) is shown whole up to this length.
HINT_MAX_CHARS = 200
# Days before a credential expires at which an exception says so; 0 is when it has.
EXPIRY_NOTICES = (30, 7, 0)

# === REPLAY === #
# A replay of more deliveries than this needs a second person's approval; so does
# every backfill.
REPLAY_APPROVAL_THRESHOLD = 1_000
# A dry run stops counting here, or after this time, and says “more than”.
REPLAY_COUNT_LIMIT = 100_000
REPLAY_COUNT_BUDGET = timedelta(seconds=15)
# Documents that a dry run names as examples.
REPLAY_SAMPLE = 10
# Most events that can be picked by hand; for more there are times and types.
REPLAY_MAX_CHOSEN = 10_000
# Deliveries per second, over all endpoints of one replay.
REPLAY_DEFAULT_RATE = 100
REPLAY_MAX_RATE = 2_000
# Deliveries that one transaction of a replay looks at, and the widest range of event
# ids that it reads to find them: together they bound its time and memory.
REPLAY_CHUNK = 1_000
REPLAY_WINDOW = 50_000
# Documents from before the hub that one transaction makes events for.
REPLAY_DOCUMENT_CHUNK = 100
# A replay job works for this long, then hands over to a new job.
REPLAY_BUDGET = timedelta(seconds=20)
# Deliveries are made this far ahead of their time, so that a pause has little to hold
# back and the table holds no million of rows that wait.
REPLAY_LEAD = timedelta(seconds=60)
# When nothing can be made yet, the job looks again after this.
REPLAY_RECHECK = timedelta(seconds=20)
# A receiver that lags behind is not given more than this, or what the rate asks for
# in REPLAY_LEAD, whichever is more.
REPLAY_MIN_BACKLOG = 1_000

# === INBOX === #
# Largest body accepted from outside, before anything is parsed, unless the connector's
# format takes files.
MAX_BODY_BYTES = 1024 * 1024
# No format takes more than this, whatever it says.
MAX_FILE_BYTES = 64 * 1024 * 1024
# How deep JSON from outside may be nested (the contracts' own limit).
MAX_NESTING = 32
# Headers of one call: how many, and their names and values together. (The HTTP server
# in front refuses more than that, too, but says so less clearly.)
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
# Of each header this much is kept.
KEPT_HEADER_CHARS = 2048
# Calls per minute that a connector can be limited to.
MAX_INBOUND_RATE = 600_000
# An id that comes with other content than before is refused so often; after that the
# sender is told that it was taken, so that it stops: the content is kept, set aside.
CONFLICT_REFUSALS = 3
# Names the transmission that a weak signature is for (PayPal's, over a CRC-32): whoever
# has seen one call could make other content fit it, so it counts for one event only.
TRANSMISSION_HEADER = "Paypal-Transmission-Id"
# What a person may download of a message, in bytes, when it is encrypted.
MAX_DECRYPTED_BYTES = MAX_FILE_BYTES

# Arrivals of a known message are rows; beyond this many they are folded into one row
# with a count, and the latest stay.
DUPLICATES_KEPT = 20
# Rows that one run of the sweep folds away.
DUPLICATES_FOLD_BATCH = 100_000

# The job that processes messages is woken by a server process at most this often.
PROCESS_WAKE_INTERVAL = timedelta(milliseconds=250)
# A processing job works for this long, then hands over to a new job.
PROCESS_BUDGET = timedelta(seconds=20)
# Commands applied in one transaction, and the time after which no more are added to
# it: others who post in the same journal wait for its end.
PROCESS_BATCH = 25
PROCESS_BATCH_TIME = timedelta(milliseconds=500)
# Messages understood in one transaction, and the time after which no more are added.
READ_BATCH = 50
READ_BATCH_TIME = timedelta(milliseconds=500)
# Commands of a connector are spread over this many tracks by their aggregate. One job
# at a time works on a track, so the order within an aggregate holds.
TRACKS = 4
# First key of the session advisory locks which give one job sole use of a track; the
# second is made of connector and track. One more track per connector is for reading.
INBOX_LOCK_CLASS = 0x66_68_75_70  # "fhup"
# Unexpected failures (not decisions of a handler) are tried this often.
PROCESS_MAX_ATTEMPTS = 5
# Delay before such a message is tried again: doubled each time.
PROCESS_BACKOFF = timedelta(seconds=10)
# What took its server process down with it so often is put before a person.
PROCESS_MAX_CRASHES = 3
# A transaction that lost a race is run again at once, so often.
PROCESS_MAX_TRIES = 5

# === REFUSED CALLS === #
# A server process writes its counts of refused calls at most this often, so that no
# flood can fill the disk; and it counts at most so many different ones apart.
REFUSAL_INTERVAL = timedelta(seconds=1)
REFUSAL_KEYS = 200
# Of one connector, in one minute, so many addresses are told apart; the rest are one.
REFUSAL_ADDRESSES = 50
REFUSAL_DETAIL_CHARS = 300
# Rows older than this are removed: an address is personal data.
REFUSAL_KEPT = timedelta(days=90)
# A refusal of an API client is counted on its exception at most this often per server
# process, so that a flood of bad keys cannot fill the disk.
REFUSAL_RECORD_INTERVAL = timedelta(seconds=10)
# A person is told at once when a sender that was verified before is refused, and else
# when this many calls were refused within the window.
REFUSAL_WINDOW = timedelta(minutes=10)
REFUSAL_THRESHOLD = 5
# === COMMANDS === #
# Messages and commands that a person can have tried again.
RETRYABLE = ("failed", "waiting")
# A command that waits for another is tried again after this, doubled each time.
WAITING_RETRY = timedelta(minutes=1)
WAITING_RETRY_MAX = timedelta(hours=1)
# How long a command may wait for what it belongs to before a person is told.
ORPHAN_GRACE = timedelta(minutes=10)
# Waiting commands looked at in one run of the sweep.
WAITING_BATCH = 1000
# What a suspended connector tells its sender to wait.
SUSPENDED_RETRY_AFTER = 300
# The same, where what a call is verified with can't be fetched at the moment.
UNAVAILABLE_RETRY_AFTER = 30

# === EXCEPTION DESK === #
# Solved ones of the same kind that an exception shows.
SIMILAR_SHOWN = 5
# Share of the time until it is due after which somebody is warned, and how long before
# the due time an exception is looked at for that at all.
DUE_WARNING_SHARE = 0.75
DUE_WARNING_HORIZON = timedelta(days=2)
# Shortest time between two steps of an escalation.
ESCALATION_MIN_SPAN = timedelta(hours=1)
# Exceptions looked at in one run.
ESCALATION_BATCH = 1000
# Records that an exception names as those it concerns, of each model.
CONCERNED_SHOWN = 10
# Steps of the timeline that an exception shows; the whole is one click away.
STEPS_SHOWN = 40
# Lines of an entry that the preview of a compensation lists.
PREVIEW_ENTRY_LINES = 30
# Fields of a command that only say what it belongs to. Correcting them needs no second
# person, as no amount, account or party changes by it.
FREELY_CORRECTED = frozenset({"document_ref", "parent_ref", "reference"})
# Fields of a correction whose change is listed one by one.
DIFFERENCES_SHOWN = 200

# === RANK === #
# What an exception weighs: the higher, the further up. A class of severity weighs
# more than everything the connector adds, and as much as five powers of ten of money.
RANK_SEVERITY = {"critical": 4000, "high": 3000, "medium": 2000, "low": 1000, "info": 0}
# For each power of ten at stake above the first, in the company's currency.
RANK_AMOUNT_STEP = 200
RANK_AMOUNT_MAX = 1200
RANK_CRITICALITY = {"critical": 400, "standard": 200, "bulk": 0}
# Added when somebody was warned of the due time, when it is over, and for each step
# of the escalation.
RANK_WARNED = 300
RANK_LATE = 600
RANK_ESCALATED = 200
# Most steps that count, so that the rank stays within what is above.
RANK_ESCALATED_MAX = 3

# === BULK === #
# Selections up to this size are worked on at once; a job takes larger ones, in pieces.
BULK_AT_ONCE = 20
# Exceptions decided on in one transaction of the job.
BULK_PIECE = 50
# The job works for this long, then hands over to a new one.
BULK_BUDGET = timedelta(seconds=20)
# Most exceptions that one action takes on.
BULK_MAX = 20_000
# A piece that lost a race is run again at once, so often.
BULK_MAX_TRIES = 5

# === ALERTS AND DIGESTS === #
# A person gets at most one mail with alerts within this time; what comes meanwhile is
# in the next one.
ALERT_WINDOW = timedelta(hours=1)
# Alerts that one mail lists, the gravest first, and how long they are kept.
ALERT_LINES = 20
ALERTS_KEPT = timedelta(days=90)
# Hour of the day, where the person is, from which a digest is sent; the weekly one
# comes on this day of the week (Monday is 0).
DIGEST_HOUR = 7
DIGEST_WEEKDAY = 0
# Exceptions that a digest lists, and what counts as “about to be late” in it.
DIGEST_LINES = 10
DIGEST_SOON = timedelta(days=1)

# === HOLDS AND APPROVALS === #
# Holds looked at in one run of the scheduled action.
HOLD_BATCH = 1000
# How long an approver has, unless the connector says otherwise.
APPROVAL_DUE = timedelta(days=2)
APPROVAL_DUE_HOURS = 48
# A turn of more people than this is told by the list alone, not by an activity each.
APPROVAL_MAX_ACTIVITIES = 10
# Longest absence that one delegation covers.
DELEGATION_MAX = timedelta(days=366)

# A policy's form shows what it would have stopped: of so many days, among so many of
# the latest documents of a kind, and so many of them by name.
POLICY_PREVIEW_DAYS = 90
POLICY_PREVIEW_DOCUMENTS = 2_000
POLICY_PREVIEW_LINES = 10

# === POSTING REQUESTS === #
# Lines of a request that its screen shows side by side with the entry's.
POSTING_PREVIEW_LINES = 200
# Faults of one request that are listed.
POSTING_MAX_FAULTS = 100

# === MASTER DATA === #
# Days before a temporary mapping ends at which its steward is reminded.
MAPPING_NOTICE = timedelta(days=14)
# Suggestions for an unmapped code that are shown.
SUGGESTIONS_SHOWN = 8
# Records among which a counterpart of a code is looked for.
SUGGESTION_SEARCH_LIMIT = 5_000
# Parties that each way of finding a possible duplicate gives at most, and how many of
# the likeliest a person is shown.
PARTY_SEARCH_LIMIT = 200
PARTY_CANDIDATES_SHOWN = 10
# === PAYMENTS === #
# Invoices that are looked at before several fitting ones are called ambiguous.
MATCH_LIMIT = 20
# Parts of a reference shorter than this name no document by themselves.
MATCH_MIN_CHARS = 4
# Invoices that one reference can list.
MATCH_MAX_REFERENCES = 100
# An outcome that is not known is asked for by a person after this.
INDOUBT_GRACE = timedelta(minutes=15)
# Transactions looked at in one run of the sweep.
INDOUBT_BATCH = 500
# A bank line of the right amount is taken for a payout from so long before its value
# date to so long after it, unless the bank line names the payout.
PAYOUT_BANK_BEFORE = timedelta(days=3)
PAYOUT_BANK_AFTER = timedelta(days=10)
# Items of a payout that its event lists; the event counts them all.
PAYOUT_MAX_ITEMS = 1_000
# Lines of a payout named in an exception's cause.
PAYOUT_SAMPLE = 5

# === BANK STATEMENTS === #
# Bank transactions created at a time: enough to batch, few enough to stay small.
STATEMENT_CHUNK = 250
# Entries of one statement imported in one transaction: Odoo takes up to 0.03 s for
# each, and a worker is ended after limit_time_cpu, 60 s by default.
STATEMENT_STEP = 1000
# Digits and letters that an account number needs to be known as the end of an IBAN.
ACCOUNT_MIN_LENGTH = 8
# How long after it is ready a statement may take to arrive.
STATEMENT_GRACE = timedelta(hours=4)
# Awaited statements looked at in one run.
AWAITED_BATCH = 1000

# === API CLIENTS === #
# How long the key before the last rotation is accepted beside its successor.
KEY_OVERLAP = timedelta(hours=24)
# A new client's key ends after so many days, unless its form says otherwise.
DEFAULT_KEY_DAYS = 365
# Calls per minute of one client, over all server processes together; as many may come
# at once after a pause.
DEFAULT_CALLS_PER_MINUTE = 300
MAX_CALLS_PER_MINUTE = 60_000
# How often the count of a call is tried again, at once, when another process counts
# a call of the same client at that very moment: each time one of them gets through.
COUNT_MAX_TRIES = 64

# === FEED === #
# Events in one page, unless the reader says otherwise, and at most.
FEED_DEFAULT_LIMIT = 100
FEED_MAX_LIMIT = 200
# New events that one call gives a position.
FEED_ADVANCE_ROWS = 1000
# Events that one call looks through for those of the types asked for.
FEED_SCAN_ROWS = 1000
# A page ends before it would become larger than this, unless it holds one event only.
FEED_MAX_BYTES = 8 * 1024 * 1024
# Types that one call can ask for.
FEED_MAX_PATTERNS = 20

# === HEALTH === #
# Counting for a list of endpoints ends here: nobody needs to wait for a count of a
# million.
GLANCE_COUNT_LIMIT = 10_000
# Hours that a sparkline shows.
GLANCE_HOURS = 24
# Below this share of success in the last hour an endpoint is shown as unwell.
HEALTHY_SUCCESS_RATE = 0.95
# What is due for longer than this is late.
LATE_AFTER = timedelta(minutes=15)
# Seconds that the test button waits for an answer: a person is waiting, too.
TEST_TIMEOUT = 10

# === JANITOR === #
# Something that is due, and for this long nothing was even tried, is stuck.
STUCK_AFTER = timedelta(minutes=15)
# Of each endpoint and lane so many due rows are looked at: those that wait for an
# earlier event of their document are not stuck.
STUCK_SAMPLE = 200
# Rows without a way out that one run of the janitor repairs.
REPAIR_BATCH = 1000

# === PULSES === #
# Minutes become hours; both are kept as long as a screen or a report looks at them.
PULSE_MINUTES_KEPT = timedelta(days=3)
PULSE_HOURS_KEPT = timedelta(days=400)
# Hours counted anew at each roll-up: a transaction may commit late.
PULSE_ROLL_UP = timedelta(hours=3)
# Rows removed in one transaction.
PULSE_PURGE_BATCH = 10_000

# === DASHBOARD === #
# Connectors shown, the unwell first.
DASHBOARD_CONNECTORS = 60
# The figure of a tile, or of a connector's open exceptions, ends here, as “1,000+”:
# the list behind it counts on.
OPEN_COUNT_LIMIT = 1_000
# Exceptions that are shown themselves, so that the next one is one click away.
DASHBOARD_URGENT = 10
# The colour in which a severity is shown.
SEVERITY_LEVELS = {
    "critical": "danger",
    "high": "danger",
    "medium": "warning",
    "low": "info",
    "info": "info",
}
# How far back the first count of a tally goes, and what each later one counts anew: a
# transaction may commit late.
TALLY_HISTORY = timedelta(days=31)
TALLY_RECOUNT = timedelta(hours=1)

# === RETENTION === #
# Rows looked at, and rows removed, in one transaction.
PURGE_PAGE = 5000
# An archive file ends at this size before compression, so that it stays handy and
# memory stays small.
ARCHIVE_MAX_BYTES = 64 * 1024 * 1024
# Rows read at a time while an archive is written.
ARCHIVE_READ_ROWS = 200
# Seconds that one run of the purge takes at most.
PURGE_BUDGET = 60
# Lines of purges that a legal hold shows.
HOLD_LINES_SHOWN = 100
# Shortest time anything is kept, in days.
MIN_RETENTION_DAYS = 7

# === PRIVACY === #
# Seconds that one run takes at most to read what describes people, and rows in a page.
PRIVACY_BUDGET = 20
PRIVACY_PAGE = 500
# Pages that are read ahead of what is settled, and so are read twice.
PRIVACY_AHEAD_PAGES = 4
# Bytes of a message that are looked at.
PRIVACY_MAX_BYTES = 8 * 1024 * 1024
# Rows that one search lists.
PRIVACY_FINDINGS = 500

# === SCREENS === #
# Characters of a payload or body shown inline; the whole can be downloaded.
PREVIEW_CHARS = 20_000
# Latest events on which a subscription is tried out, and how many are listed.
PREVIEW_EVENTS = 500
PREVIEW_LINES = 8
# Further arrivals of one message that its screen lists.
MAX_DUPLICATES_SHOWN = 100
# Days of events that the catalogue counts.
CATALOGUE_DAYS = 7
# Largest content that is tried without effect, in bytes, how many commands of it are
# shown, and how much of a wrong value.
TRY_MAX_BYTES = 5 * 1024 * 1024
TRY_MAX_COMMANDS = 300
TRY_EXCERPT_CHARS = 200

# === FLOWS === #
# Facts read in one page, processes advanced in one transaction, and seconds that one
# run of the engine takes at most.
FLOW_PAGE = 1000
FLOW_BATCH = 50
FLOW_BUDGET = timedelta(seconds=30)
# What advances at once, and what is collected for so long: by latency class.
FLOW_PACE = {
    "realtime": timedelta(0),
    "micro_batch": timedelta(minutes=15),
    "batch": timedelta(hours=12),
}
# Clocks of two servers differ by less than this: commands that were applied so shortly
# before what is known are read once more.
FLOW_CLOCK_MARGIN = timedelta(minutes=1)
# Processes that one run of the check compares with the books, and how long an ended
# process is still compared.
FLOW_CHECK_BATCH = 500
FLOW_CHECK_ENDED = timedelta(days=30)
# A process that waits is looked at again after this though nothing was recorded.
FLOW_RECHECK = timedelta(hours=1)
# Hours of the figures on a flow: a day, a week, a month.
FLOW_SPANS = {"day": 24, "week": 7 * 24, "month": 30 * 24}
# Processes that ended, in the last day, from which on a failure rate says something.
FLOW_MIN_SAMPLE = 5
# Longest service time, in hours: a year.
FLOW_MAX_HOURS = 8760
# Where steps of a new flow begin to be numbered, and by how much.
FLOW_STEP_GAP = 10
