"""Limits and lists of the audit room: each stands here, once."""

from datetime import timedelta

from .. import constants

# Who may look at the trail.
READERS = (constants.GROUP_ADMINISTRATOR, constants.GROUP_AUDITOR)
# The roles whose holders are followed.
ROLES = (
    constants.GROUP_OPERATOR,
    constants.GROUP_APPROVER,
    constants.GROUP_ADMINISTRATOR,
    constants.GROUP_AUDITOR,
    constants.GROUP_CONFIDENTIAL,
    constants.GROUP_BREAK_GLASS,
)

# === ENTRIES === #
# Characters of one value, of a reason and of a label that an entry keeps.
MAX_VALUE = 2_000
MAX_REASON = 2_000
MAX_LABEL = 200
# A decision about more records than this is one entry that lists them.
EACH_MAX = 200
# Ids that such an entry lists; it tells the number of them in any case.
LISTED_MAX = 10_000
# Stands for a value that an entry must not hold.
MASK = "****"
# Stored ciphertext and the like: that it changed is kept, never what it is. Fields
# that nobody may read are treated so, too.
SECRET_FIELDS = frozenset({"token_parameters"})
# Values that describe a person: the end of them is kept.
PERSONAL_FIELDS = frozenset({"username", "email", "phone", "acc_number", "iban"})
# What moves by itself and is no decision.
NOISE_FIELDS = frozenset(
    {
        "id",
        "create_uid",
        "create_date",
        "write_uid",
        "write_date",
        "message_main_attachment_id",
        "file_next_at",
        "advance_at",
        "breach",
        "configured_at",
        "configured_by_ids",
        "removed_count",
        "removed_at",
        "last_seen_at",
        "occurrences",
    }
)

# System parameters that are settings of the hub, and those that it writes itself.
PARAMETER_PREFIX = "finance_hub."
NOISE_PARAMETERS = frozenset({"finance_hub.purge_positions", "finance_hub.privacy_key"})

# === REFUSED ATTEMPTS === #
# Of one person, at one action, so many are kept in each interval; the next one that
# is kept tells how many were not. By server process.
REFUSALS_KEPT = 10
REFUSALS_INTERVAL = timedelta(minutes=1)
# Addresses that one entry about refused calls lists.
ADDRESSES_LISTED = 10
# Pairs of person and action that a process remembers.
REFUSALS_REMEMBERED = 1_000

# === SEALS === #
# Entries of one seal, and seals of one run of the job.
SEAL_MAX_ENTRIES = 10_000
SEALS_A_RUN = 20
# Key of the transaction's advisory lock that one sealing job at a time holds.
SEAL_LOCK = 0x66_68_75_61  # "fhua"
# What an exception tells of a broken trail: so many findings.
FINDINGS_TOLD = 20
CODE_BROKEN = "C-AUDIT-CHAIN"

# What no mark was made with: stands for a key that is none of the hub's.
NO_KEY = b"none"

# === RETENTION === #
# How many days entries are kept; 0 or nothing means for ever.
KEEP_PARAMETER = "finance_hub.audit_keep_days"
# Shortest time, whatever is entered: ten years of bookkeeping are a common duty, and
# less than one is a mistake.
MIN_KEEP_DAYS = 365
