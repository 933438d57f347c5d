# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every limit and default of the contracts room, named once."""

import uuid

# === MONEY AND QUANTITIES === #

#: Digits of an amount in all, and after the decimal point. The widest currencies
#: need three decimals, unit prices up to six.
MONEY_MAX_DIGITS = 20
MONEY_MAX_SCALE = 6

#: The same for quantities and percentages.
QUANTITY_MAX_DIGITS = 24
QUANTITY_MAX_SCALE = 10

# === TEXT === #

#: Ids and references which are compared and indexed, in characters.
IDENTIFIER_MAX_LENGTH = 256

#: Names, numbers and references a person typed, and descriptions, in characters.
#: Outbound ones are cut there rather than refused: a document has to be able to
#: leave whatever somebody typed into it.
NAME_MAX_LENGTH = 512
DESCRIPTION_MAX_LENGTH = 4000

#: Free key-value pairs of a command: how many, and how long, in characters.
METADATA_MAX_COUNT = 50
METADATA_KEY_MAX_LENGTH = 64
METADATA_VALUE_MAX_LENGTH = 500

# === COMMANDS === #

#: Lines of a statement, settlement report or posting request, and bank accounts of a
#: counterparty, in one command.
STATEMENT_MAX_LINES = 50_000
POSTING_MAX_LINES = 10_000
PARTY_MAX_BANK_ACCOUNTS = 50

# === ENVELOPE === #

#: CloudEvents version spoken here.
SPECVERSION = "1.0"

#: Namespace of event ids (UUIDv5). Changing it would give every replayed event a new
#: id, so it never changes.
EVENT_NAMESPACE = uuid.UUID("a45c25a2-cba8-4794-b44a-9d871d7aaa36")

#: ``sequence`` is a zero-padded decimal of this width, so that it sorts as text
#: (CloudEvents sequence extension); it holds every 64-bit number.
SEQUENCE_DIGITS = 20

#: Names of extension attributes: lower-case letters and digits, at most this many
#: (CloudEvents 1.0, attribute naming).
EXTENSION_NAME_MAX_LENGTH = 20
EXTENSION_VALUE_MAX_LENGTH = 1024

#: Largest envelope or batch that is read, in bytes, how deep it may be nested, and
#: how many events a batch may hold.
ENVELOPE_MAX_BYTES = 2 * 1024 * 1024
ENVELOPE_MAX_DEPTH = 32
BATCH_MAX_COUNT = 1000

#: Longest number in a JSON text, in characters.
NUMBER_MAX_LENGTH = 64

#: How many faults of one message are listed; the rest is the same mistake again.
ERRORS_MAX_COUNT = 20

# === CATALOGUE === #

#: How many types an error message proposes.
SUGGESTIONS_MAX_COUNT = 5

#: Dialect of the published JSON Schemas.
JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: Where a schema is published, below the hub's own address.
SCHEMA_PATH = "/finance/v1/event-types/{name}/schema"

#: Prefix of the problem types (RFC 9457).
PROBLEM_TYPE = "urn:finance-hub:problem:"

# === SAMPLES === #

#: What the samples of events hold where a real one names its database, its moment and
#: its business case.
SAMPLE_DATABASE = "0f6f6c1e-8a43-4f0e-9a29-52d0f2b1c001"
SAMPLE_TIME = "2026-01-31T09:30:00Z"
SAMPLE_CORRELATION = "7f2c9a44-3f62-4a55-9a39-0a54c1f0b001"

# === CURSORS === #

#: First byte of every cursor; another layout gets another one.
CURSOR_VERSION = 1

#: With the 17 bytes before it, 24: base64url without padding.
CURSOR_CHECKSUM_BYTES = 7

# === CLASSIFICATION === #

#: Keyword of the published JSON Schemas which says how confidential a value is.
CLASSIFICATION_KEYWORD = "x-classification"

#: Keyword which says that further values may be added to a choice without a new
#: version.
OPEN_CHOICE_KEYWORD = "x-open-choice"

#: What stands for a required value that is masked: a text, a currency (ISO 4217 "no
#: currency"), a number, one which has to be positive, a day and a moment.
MASK_TEXT = "***"
MASK_CURRENCY = "XXX"
MASK_NUMBER = "0"
MASK_POSITIVE_NUMBER = "1"
MASK_DATE = "1970-01-01"
MASK_TIME = "1970-01-01T00:00:00Z"

# === FILTERS === #

#: How long the text of a filter may be, in characters; how many conditions it may
#: have, how deep they may be nested, how many values a list may hold, and how many
#: steps a path.
FILTER_MAX_LENGTH = 8000
FILTER_MAX_CONDITIONS = 100
FILTER_MAX_DEPTH = 10
FILTER_MAX_VALUES = 1000
FILTER_MAX_STEPS = 8

#: How many compiled filters are kept; beyond, the longest unused one is forgotten.
FILTER_CACHE_SIZE = 512

#: First step of the paths which lead to an attribute of the envelope.
FILTER_ATTRIBUTES = "event"

# === BATCH FILES === #

#: Beginnings of a text which spreadsheets take for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

#: The field of an event's data that is added up for the control totals: the first one
#: it has.
CONTROL_TOTAL_FIELDS = ("total_amount", "amount")

FILE_NAME_MAX_LENGTH = 200

#: Where the schema of the manifest is published, below the hub's own address.
MANIFEST_SCHEMA_PATH = "/finance/v1/batch-manifest/schema"

# === ASYNCAPI === #

#: Names the document for ever (RFC 3986).
ASYNCAPI_ID = "urn:finance-hub:events"

#: Where commands are sent to, below the hub's own address.
INBOUND_PATH = "/finance/v1/inbound/{connector}"

# === PERSONS === #
#: What stands where a person's data stood.
PERSON_REMOVED = "[removed]"
#: Names of fields in what comes from outside that describe a person. What contracts
#: mark as personal comes on top.
PERSON_NAMES = frozenset(
    {
        "account_holder",
        "beneficiary",
        "beneficiary_name",
        "cardholder_name",
        "city",
        "contact",
        "counterparty_name",
        "creditor",
        "creditor_name",
        "customer_name",
        "debtor",
        "debtor_name",
        "description",
        "email",
        "employee",
        "first_name",
        "full_name",
        "holder",
        "holder_name",
        "last_name",
        "name",
        "owner_name",
        "partner_name",
        "payee",
        "payee_name",
        "payer",
        "payer_name",
        "preparer",
        "remittance",
        "remittance_information",
        "shopper_name",
        "street",
        "street2",
        "vat",
        "zip",
    }
)
#: Names of fields that hold a phone number.
PERSON_PHONES = frozenset({"mobile", "phone", "phone_number", "telephone"})
#: Characters of one text that are looked at, and words of it.
PERSON_MAX_CHARS = 2_000_000
PERSON_MAX_WORDS = 24
#: Words that stand together in a name, at most.
PERSON_NAME_WORDS = 3
#: Terms of one content: an invoice of a thousand lines describes no more people.
PERSON_MAX_TERMS = 200
#: Last digits of a phone number that count, so that it is the same with and without
#: the prefix of its country; and those that it needs to have.
PERSON_PHONE_DIGITS = 8
PERSON_PHONE_MIN_DIGITS = 8
