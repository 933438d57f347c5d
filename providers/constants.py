# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every limit of the providers room, named once."""

#: Longest external id kept as it is, in characters; a longer one is kept as a digest.
EXTERNAL_ID_MAX_LENGTH = 256

# === FILES === #

#: Largest file of a bank or a settlement report, in bytes.
FILE_MAX_BYTES = 32 * 1024 * 1024

#: XML: how deep elements may be nested (a camt file has at most 20 levels, an envelope
#: around it a few more), how many of them there may be in a file, how many attributes
#: one of them may have, and how long the text of one of them may be, in characters.
XML_MAX_DEPTH = 64
XML_MAX_ELEMENTS = 8_000_000
XML_MAX_ATTRIBUTES = 64
XML_MAX_TEXT = 64 * 1024

#: Elements of one entry or balance that are kept in memory at a time.
XML_MAX_KEPT = 500_000

#: Rows of a CSV file, columns of a row, and characters of a cell.
CSV_MAX_ROWS = 200_000
CSV_MAX_COLUMNS = 200
CSV_MAX_CELL = 16_000

#: Lines before the header of a CSV statement that can be skipped.
CSV_MAX_SKIPPED = 100

#: Faults of a file that are told at once.
FAULTS_MAX_COUNT = 20

#: Digits that two spellings of one amount are read with.
DECIMAL_DIGITS = 40

#: Longest number that is read, in characters.
NUMBER_MAX_LENGTH = 40
