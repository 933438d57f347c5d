# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every limit and default of the signing room, named once."""

# === STANDARD WEBHOOKS 1.0.0 === #

#: Accepted distance, in seconds and in both directions, between the time a
#: message was signed and our clock (Standard Webhooks: five minutes).
TOLERANCE_SECONDS = 300

#: Size of the random part of the symmetric secrets we make, in bytes.
SECRET_BYTES = 32

#: Accepted sizes of a symmetric secret, in bytes (Standard Webhooks: 24 to 64).
SECRET_MIN_BYTES = 24
SECRET_MAX_BYTES = 64

#: Ed25519 sizes in bytes: the seed, the public key, and the ``whsk_`` form, which
#: is the seed followed by the public key.
ED25519_SEED_BYTES = 32
ED25519_PUBLIC_BYTES = 32
ED25519_PRIVATE_BYTES = ED25519_SEED_BYTES + ED25519_PUBLIC_BYTES

#: Longest message id we sign or accept. It is stored and indexed, so it is bounded.
MESSAGE_ID_MAX_LENGTH = 256

#: Longest decimal Unix time accepted in a header. Eleven digits last until the
#: year 5138 and keep a hostile header from being turned into a huge integer.
TIMESTAMP_MAX_DIGITS = 11

#: Longest signature header that is looked at, in characters, and how many
#: signatures in it are tried: a rotation needs two or three, never hundreds.
SIGNATURE_HEADER_MAX_LENGTH = 8192
SIGNATURES_MAX_COUNT = 32

# === HTTP MESSAGE SIGNATURES (RFC 9421) === #

#: What our signatures cover always, and the headers they cover where they are there.
COVERED = ("@method", "@target-uri", "content-digest")
COVERED_HEADERS = ("content-type", "webhook-id")

#: Longest Signature, Signature-Input or Content-Digest header that is looked at, in
#: characters, and most signatures and components in one.
MESSAGE_HEADER_MAX_LENGTH = 8192
MESSAGE_SIGNATURES_MAX_COUNT = 8
COMPONENTS_MAX_COUNT = 32

#: Longest id of a key. It is shown on screens and sent with every message.
KEY_ID_MAX_LENGTH = 128

#: Hexadecimal digits of the ids we make for shared secrets.
KEY_ID_DIGITS = 16

# === INBOUND PRESETS === #

#: Most headers of one call that are looked at, and longest value of one that holds a
#: signature, a token or a certificate, in characters.
HEADERS_MAX_COUNT = 256
HEADER_MAX_LENGTH = 8192
#: A certificate that a proxy passes on, URL-encoded.
CERTIFICATE_HEADER_MAX_LENGTH = 32 * 1024

#: Longest name of a header, prefix and template in a setting, in characters.
HEADER_NAME_MAX_LENGTH = 64
PREFIX_MAX_LENGTH = 32
TEMPLATE_MAX_LENGTH = 256

#: Shortest secret that is taken from a person, in characters: what is shorter can be
#: guessed. Longest one, which no provider comes near.
INBOUND_SECRET_MIN_LENGTH = 8
INBOUND_SECRET_MAX_LENGTH = 8192
#: Random bytes of a secret that the hub makes for the other side.
INBOUND_SECRET_BYTES = 32

#: Widest tolerance that can be set, in seconds: a day. Whoever needs more has a clock
#: to repair.
TOLERANCE_MAX_SECONDS = 86400

#: Longest decimal time in milliseconds that is accepted in a header.
TIMESTAMP_MS_MAX_DIGITS = TIMESTAMP_MAX_DIGITS + 3

#: Adyen's keys are 32 bytes in hexadecimal digits; shorter ones were never given out.
ADYEN_KEY_BYTES = 32
#: Adyen puts one item into a notification, and batches of a few by agreement.
ADYEN_ITEMS_MAX_COUNT = 1000

#: PayPal sends a message again for three days under its first time, so an age of that
#: much is good; the future is not.
PAYPAL_TOLERANCE_SECONDS = 3 * 86400 + TOLERANCE_SECONDS
#: Whose certificates count: hosts below this, reached by HTTPS, and the names of the
#: certificate itself.
PAYPAL_HOST_SUFFIX = ".paypal.com"
PAYPAL_CERTIFICATE_NAME = "messageverificationcerts"
PAYPAL_CHAIN_MAX_COUNT = 8
#: Smallest RSA key that counts, in bits.
RSA_MIN_BITS = 2048

#: Access tokens: longest token in characters, most keys of a key set, and accepted
#: inaccuracy of the clocks, in seconds.
JWT_MAX_LENGTH = 8192
JWKS_MAX_COUNT = 100
JWT_LEEWAY_SECONDS = 60
JWT_LEEWAY_MAX_SECONDS = 300
#: What may sign a token: public key algorithms only. With a shared secret in this list
#: a public key could be passed off as one.
JWT_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
JWT_DEFAULT_ALGORITHMS = ("RS256", "ES256")
JWT_CLAIMS_MAX_COUNT = 20

#: Documents fetched to verify with (keys, certificates): how many are kept, how long
#: they are fresh, and how long after that they go on serving while they can't be
#: fetched; in seconds.
DOCUMENTS_MAX_COUNT = 64
DOCUMENT_FRESH_SECONDS = 3600.0
DOCUMENT_STALE_SECONDS = 86400.0
#: After a failure, and before a fresh document is fetched again because a key was not
#: in it, so much time has to pass.
DOCUMENT_RETRY_SECONDS = 15.0
DOCUMENT_REFRESH_SECONDS = 60.0
#: Most fetches of a kind within a minute of one server process, and most at a time:
#: what is to be fetched is partly named by the caller, who must not keep it busy.
FETCHES_PER_MINUTE = 10
FETCHES_AT_A_TIME = 2

# === SECRET BOX === #

#: Permission bits of a key file we create and of the folders made for it.
KEY_FILE_MODE = 0o600
KEY_FOLDER_MODE = 0o700

#: Permission bits which must not be set on a key file: anything for group or others.
KEY_FILE_FORBIDDEN_BITS = 0o077

#: A key file is a few lines of text; anything larger is not one. In bytes.
KEY_FILE_MAX_BYTES = 65536

# === MASKING === #

#: What stands in for the hidden part of a value.
MASK = "****"

#: How many characters at the end of a secret stay readable, so that two secrets
#: can be told apart, and how long a secret must be before any of it is shown.
MASK_VISIBLE_TAIL = 4
MASK_MIN_LENGTH = 20

#: An IBAN has 15 to 34 characters (ISO 13616); anything shorter is hidden in full.
IBAN_MIN_LENGTH = 15

#: Headers whose value is a secret, in lower case.
SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "apikey",
        "x-auth",
        "x-amz-security-token",
    }
)

#: A header whose name contains one of these is masked as well: a new provider's
#: header is hidden before anybody thought of listing it.
SECRET_HEADER_FRAGMENTS = (
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "api_key",
    "apikey",
    "access-key",
    "credential",
    "private-key",
)

# === API KEYS === #

#: Begins every key, so that scanners of repositories and logs know it for one.
API_KEY_MARK = "fhk_"
#: The public part: 40 bits name a key; the letters are not taken for one another.
API_KEY_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
API_KEY_PREFIX_CHARS = 8
#: Random bytes of the secret part: 43 characters of base64url.
API_KEY_BYTES = 32

# === AUDIT TRAIL === #

#: Names the form of seals and exported trails; another form gets another name.
AUDIT_FORMAT = "finance-hub-audit/1"
#: What the first seal names as the hash of the one before it.
AUDIT_GENESIS = "0" * 64
#: Sets the key of the marks apart from the signing key that it is derived from.
AUDIT_MARK_CONTEXT = b"finance-hub audit entry mark"
#: An exported seal is less than a thousand characters; anything larger is none.
AUDIT_SEAL_MAX_BYTES = 16_384
#: Findings of one verification that are told one by one.
AUDIT_MAX_FINDINGS = 1_000
