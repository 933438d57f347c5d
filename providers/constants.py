# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every limit of the providers room, named once."""

#: Longest external id kept as it is, in characters; a longer one is kept as a digest.
EXTERNAL_ID_MAX_LENGTH = 256

#: Longest free text of a provider that is kept (reasons, names, descriptions), in
#: characters; a longer one is cut, as nothing depends on it.
WORDS_MAX_LENGTH = 500

#: Longest metadata value that is kept, in characters.
METADATA_MAX_LENGTH = 500

#: Longest number of a document that is looked for, in characters.
REFERENCE_MAX_LENGTH = 256

#: Longest name of an event that nothing is done with, in characters.
TYPE_MAX_LENGTH = 128

#: Names under which shops write the number of the invoice or order into the metadata
#: of a payment, the first that is there counts; a connector may name others.
REFERENCE_KEYS = (
    "document_ref",
    "invoice",
    "invoice_number",
    "invoice_ref",
    "order",
    "order_number",
    "order_ref",
    "order_id",
    "reference",
)

#: How many such names a connector may have.
REFERENCE_KEYS_MAX_COUNT = 20

#: How many accounts, organisations and the like a connector may name.
ACCOUNTS_MAX_COUNT = 50

#: Most items of one message: GoCardless sends up to 250 events at once, Adyen up to 6
#: in practice and sets no limit.
ITEMS_MAX_COUNT = 1000

#: Longest text that is computed with as an amount, in characters.
AMOUNT_MAX_LENGTH = 40

# === GENERIC JSON === #

#: Paths of the generic JSON format: how long in characters, how many steps, how many
#: digits a position has, and how many compiled ones are kept.
PATH_MAX_LENGTH = 500
PATH_MAX_STEPS = 16
INDEX_DIGITS = 6
PATH_CACHE_SIZE = 1024

#: How many mappings a connector has, how many conditions, events and fields one of
#: them, and how many entries a translation of values.
MAPPINGS_MAX_COUNT = 100
CONDITIONS_MAX_COUNT = 20
EVENTS_MAX_COUNT = 50
FIELDS_MAX_COUNT = 200
VALUES_MAX_COUNT = 500

#: A JSON number with a point is exact up to this many digits (IEEE 754, double).
FLOAT_DIGITS = 15

#: How many sets of settings are kept compiled.
OPTIONS_CACHE_SIZE = 64
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
