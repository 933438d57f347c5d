# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every limit and default of the transport room, named once."""

from datetime import timedelta

# === RETRIES === #

#: Delay before each attempt, in seconds, the first included: at once, then 5 s,
#: 5 min, 30 min, 2 h, 5 h, 10 h, 10 h. Eight attempts over about 28 hours, the
#: schedule Standard Webhooks recommends.
RETRY_SCHEDULE = (0, 5, 300, 1800, 7200, 18000, 36000, 36000)

#: Jitter only ever adds, up to this share of the delay: it spreads retries after an
#: outage and never comes earlier than promised.
JITTER_SHARE = 0.20

#: Longest wait a receiver can ask for with Retry-After. Up to here it is honoured in
#: full; beyond it a receiver could park a delivery for years.
RETRY_AFTER_MAX = timedelta(hours=24)

#: More digits than this in Retry-After mean "longer than the maximum".
RETRY_AFTER_MAX_DIGITS = 9

#: Headers of an answer that are kept, and characters of each: enough for a dispute.
ANSWER_HEADERS_MAX_COUNT = 100
ANSWER_HEADER_MAX_LENGTH = 4096

#: Wait after a 429 without Retry-After, in seconds.
THROTTLE_DELAY = 60

#: Shortest wait after a 429, in seconds: "Retry-After: 0" is no leave to ask again
#: hundreds of times in a row.
THROTTLE_MIN_DELAY = 1

#: A 429 uses up no attempt, but not for ever: after this many of them, or this long
#: after the first attempt, it counts like any other failure.
THROTTLES_MAX = 500
THROTTLE_AGE_MAX = timedelta(days=7)

#: Answers in the 400s which say "later" and are always retried: request timeout,
#: conflict, too early, too many requests.
RETRYABLE_CLIENT_ERRORS = frozenset({408, 409, 425, 429})

#: Errors which say "later" and are treated like a 429: the broker is short of memory
#: or disk, or a queue is full.
THROTTLE_ERRORS = frozenset({"amqp_blocked", "amqp_nack"})

#: Errors that are the message's own and say nothing of the receiver.
MESSAGE_ERRORS = frozenset({"too_large", "amqp_unroutable"})

#: Errors by which the receiver says "not this": they are what an answer in the 400s is
#: to HTTP.
REFUSAL_ERRORS = frozenset(
    {"amqp_unroutable", "amqp_login", "amqp_vhost", "amqp_exchange", "amqp_denied"}
)

# === OUTCOME === #

#: What stands for a header that shows who the hub is, wherever it is kept.
HIDDEN = "****"

#: How much of an answer's body is kept, in bytes.
BODY_KEPT_BYTES = 64 * 1024

# === ADDRESSES === #

#: Longest URL of an endpoint, in characters.
URL_MAX_LENGTH = 2048

#: Longest host name and longest label in it, in characters (RFC 1035).
HOST_MAX_LENGTH = 253
LABEL_MAX_LENGTH = 63

#: Port of each scheme when the URL names none.
DEFAULT_PORTS = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671}

#: Ports where no webhook receiver listens, but something that would misread an HTTP
#: request does: the "bad ports" of the WHATWG Fetch standard, and databases.
REFUSED_PORTS = frozenset(
    {
        *(1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77),
        *(79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123),
        *(135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530),
        *(531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995),
        *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566),
        *(6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
        *(1433, 1521, 3306, 5432, 6379, 11211, 27017),
    }
)

#: Services which hand out machine credentials to whoever asks. Never reachable,
#: whatever an administrator allows.
METADATA_ADDRESSES = (
    "169.254.169.254",  # AWS, Google Cloud, Azure, OpenStack, Oracle, DigitalOcean
    "169.254.170.2",  # AWS container credentials
    "169.254.170.23",  # AWS EKS pod identity
    "169.254.0.23",  # Tencent Cloud
    "169.254.42.42",  # Scaleway
    "168.63.129.16",  # Azure platform services
    "100.100.100.200",  # Alibaba Cloud
    "192.0.0.192",  # Oracle Cloud, classic
    "fd00:ec2::254",  # AWS
    "fd00:ec2::23",  # AWS EKS pod identity
    "fd20:ce::254",  # Google Cloud
    "fd00:42::42",  # Scaleway
)

#: Networks which no allow-list opens: "this host", link-local (where metadata
#: services live), multicast, class E and broadcast. Nobody's receiver is there.
NEVER_NETWORKS = {
    "0.0.0.0/8": "this host",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved (class E)",
    "::/128": "unspecified",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}

#: Networks which are refused unless an administrator allows them (IANA special
#: purpose registries).
REFUSED_NETWORKS = {
    "10.0.0.0/8": "private (RFC 1918)",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "172.16.0.0/12": "private (RFC 1918)",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private (RFC 1918)",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard only",
    "2001::/32": "Teredo",
    "2001:2::/48": "benchmarking",
    "2001:10::/28": "ORCHID",
    "2001:20::/28": "ORCHID",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "fc00::/7": "unique local",
    "fec0::/10": "site-local",
}

#: The only IPv6 block given out for the public internet.
GLOBAL_UNICAST_V6 = "2000::/3"

# === SCHEDULES OF ENDPOINTS === #

#: Most attempts, and longest delay in seconds (a week), an endpoint may ask for.
SCHEDULE_MAX_LENGTH = 50
SCHEDULE_MAX_DELAY = 7 * 24 * 3600

# === CIRCUIT BREAKER === #

#: The breaker looks back this long, counting in buckets of this width (seconds).
BREAKER_WINDOW_SECONDS = 120
BREAKER_BUCKET_SECONDS = 5

#: It opens when at least so many requests were made in the window, and this share of
#: them failed. Below the sample a few failures in a row are left to the schedule.
BREAKER_MIN_SAMPLE = 10
BREAKER_FAILURE_RATE = 0.5

#: How long it rests before it lets one request through (seconds): doubled each time
#: that one fails, up to the longest.
BREAKER_REST_SECONDS = 15
BREAKER_REST_MAX_SECONDS = 600

#: Answers in the 400s which tell of the endpoint and not of the message.
BREAKER_CLIENT_ERRORS = frozenset({401, 403, 404, 405, 407, 408, 410, 421})

# === QUIET WINDOWS === #

#: How many windows an endpoint may have, and how many that touch each other are
#: followed to find the end of the quiet.
QUIET_MAX_WINDOWS = 20
QUIET_MAX_CHAIN = 64

# === ENGINE === #

#: Outcomes are recorded when there are this many, or when the oldest has waited this
#: long (seconds): few transactions, and little to send twice after a crash.
RECORD_BATCH = 500
RECORD_INTERVAL = 0.1

#: When nothing is due now but something will be within this time (seconds), the run
#: waits for it rather than ending: a limited rate, a short retry.
IDLE_WAIT = 1.5

#: A worker leaves a lane to serve the others after this long (seconds).
LANE_TURN = 0.1

#: While answers are awaited and nothing else is known to be due, it is looked for
#: this often (seconds).
LOOK_INTERVAL = 0.25

#: When time is up and a destination has kept a request waiting for this long
#: (seconds), the others go on until it answers, for at most the overtime.
LATE_ANSWER = 1.0
OVERTIME = 20.0

#: How long the addresses of a host name are believed (seconds).
DNS_TTL = 30

# === AUTHENTICATION === #

#: Most configured headers, and longest value of one, in characters: what common
#: servers accept.
HEADERS_MAX_COUNT = 20
HEADER_VALUE_MAX_LENGTH = 8192

#: Headers which are the hub's own or the connection's, in lower case. A configured
#: one would break the message or let its signature stand for something else.
RESERVED_HEADERS = frozenset(
    {
        # The connection's own (RFC 9110, section 7.6.1).
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # What decides where a request goes and where its body ends.
        "host",
        "content-length",
        "expect",
        # What the hub itself says about the message.
        "accept-encoding",
        "content-digest",
        "content-encoding",
        "content-type",
        "signature",
        "signature-input",
        "traceparent",
        "tracestate",
        "user-agent",
    }
)

#: A header which begins with one of these is the hub's own as well.
RESERVED_HEADER_PREFIXES = ("ce-", "webhook-", "svix-", "sec-")

#: Seconds for one request to a token endpoint, connecting included.
TOKEN_TIMEOUT = 15.0

#: Most bytes read of a token endpoint's answer, and longest access token in it.
TOKEN_BODY_MAX_BYTES = 64 * 1024
TOKEN_MAX_LENGTH = 16 * 1024

#: A token is renewed this long before it ends (seconds), but is used for at least
#: half of its life.
TOKEN_MARGIN = 60.0

#: How long a token is believed whose life nobody told (seconds), and at most.
TOKEN_DEFAULT_LIFETIME = 300.0
TOKEN_MAX_LIFETIME = 24 * 3600.0

#: After the token endpoint failed it is not asked again for this long (seconds):
#: many messages wait for one token, and each would ask.
TOKEN_ERROR_PAUSE = 5.0

#: A receiver that refuses one token after the other does not get a new one for each
#: message: only one in this time (seconds) is thrown away.
TOKEN_REJECT_PAUSE = 60.0

#: Most characters of a token endpoint's words that are shown.
TOKEN_ERROR_MAX_LENGTH = 200

#: Most further parameters of a token request, and longest of one, in characters.
TOKEN_PARAMETERS_MAX_COUNT = 20
TOKEN_PARAMETER_MAX_LENGTH = 2048

# === TLS === #

#: Largest PEM text of certificates or of a key, in characters.
PEM_MAX_LENGTH = 256 * 1024

# === PROXY === #

#: Names whose addresses are remembered for requests through a proxy.
PROXY_NAMES_MAX_COUNT = 1000

#: How long an unused connection is kept (seconds).
KEEPALIVE = 15

# === AMQP === #

#: Longest "short string" of AMQP 0-9-1, in bytes of UTF-8: routing keys, names of
#: exchanges and virtual hosts, message ids.
SHORT_STRING_MAX_BYTES = 255

#: The virtual host of a URL that names none, as every AMQP client reads it.
DEFAULT_VHOST = "/"

#: Routing key of an endpoint that sets none: the event type.
ROUTING_KEY = "{type}"

#: Seconds between heartbeats. A few seconds after a missed one the connection counts
#: as lost.
AMQP_HEARTBEAT = 30

#: Seconds to reach one address, log in and open the exchange.
AMQP_CONNECT_TIMEOUT = 10

#: A broker that refused is not asked again for this long (seconds); whoever has a
#: message for it meanwhile gets the same answer.
AMQP_RECONNECT_PAUSE = 1.0

#: Closing waits this long (seconds) for outstanding confirms, and then for the
#: broker's good-bye.
AMQP_CLOSE_TIMEOUT = 5

#: Largest body and largest set of headers, in bytes. The headers travel in one frame,
#: which is at most 128 KiB unless the broker is told otherwise.
AMQP_BODY_MAX_BYTES = 16 * 1024 * 1024
AMQP_HEADERS_MAX_BYTES = 64 * 1024

#: What the text attributes of a CloudEvent are prefixed with in application
#: properties (CloudEvents AMQP protocol binding 1.0.2, section 3.1.3).
CLOUDEVENTS_PREFIX = "cloudEvents:"

#: What stands for the event type in the routing key of a batch, which holds events of
#: several types.
AMQP_BATCH_TYPE = "finance.batch"

#: ``app_id`` of every message, and the name in the broker's list of connections.
AMQP_APP_ID = "finance-hub"

# === FETCHING === #

#: Seconds until a document (keys, a certificate) has to be there, and its largest size:
#: a caller waits meanwhile.
FETCH_TIMEOUT = 5.0
FETCH_MAX_BYTES = 256 * 1024
