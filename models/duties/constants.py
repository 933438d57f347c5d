"""Limits, thresholds and defaults of the room of duties: each stands here, once."""

from datetime import timedelta

# === MATRIX === #
# What a conflict does, the strictest first.
EFFECTS = ("refuse", "reason", "report", "allow")
CODE_CONFLICT = "C-SOD"

# === GO-LIVE === #
# A test call counts for so long, and only for the settings that it was made with.
TEST_VALID = timedelta(days=30)
# Thresholds of a new connection by its criticality: largest share of requests that
# fail in an hour (percent), oldest past due (minutes), open exceptions.
THRESHOLDS = {
    "critical": (1.0, 15, 5),
    "standard": (5.0, 60, 20),
    "bulk": (10.0, 240, 50),
}
# Below so many requests in the hour a share says nothing.
FAILURE_SAMPLE = 20
CODE_THRESHOLD = "T-THRESHOLD"

# === EMERGENCY ACCESS === #
# Longest time for which a role is given, in hours, and the time that is proposed.
GLASS_MAX_HOURS = 8.0
GLASS_DEFAULT_HOURS = 1.0
# By then a second person has reviewed what was done.
GLASS_REVIEW_DUE = timedelta(days=2)
# Entries of the trail that the form lists.
GLASS_ENTRIES_SHOWN = 500
CODE_GLASS = "C-BREAK-GLASS"

# === ACCESS REVIEW === #
# How long the reviewers of a quarter have.
REVIEW_DUE = timedelta(days=21)
CODE_REVIEW = "C-ACCESS-REVIEW"
